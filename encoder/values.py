"""The plain values that enter and leave the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # (height, width, 3) uint8, RGB, upright
Vector = npt.NDArray[np.float32]  # (dim,) float32, unit norm


@dataclass(frozen=True, slots=True)
class Box:
    """A crop in pixels of the upright photo, before any reduction."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused from the header alone."""

    max_bytes: int = 100_000_000
    max_pixels: int = 200_000_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Taken:
    """What the photo's own metadata say, each None where they say nothing credible."""

    at: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One photo, encoded."""

    vector: Vector
    norm: float  # before normalisation
    brightness: float  # mean luma of the crop, 0-1
    sharpness: float  # variance of the Laplacian of the crop at the encoder's size, luma in 0-1
    width: int  # of the upright photo
    height: int
    box: Box | None
    sha256: str  # of the bytes
    format: str  # "jpeg", "png", "webp", "tiff", "bmp"
    taken: Taken
    decode_ms: float
    encode_ms: float
