"""The plain values that enter and leave the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # (height, width, 3) uint8, RGB, upright
Vector = npt.NDArray[np.float32]  # (dim,) float32, unit norm
Vectors = npt.NDArray[np.float32]  # (n, dim) float32, unit norm
Norms = npt.NDArray[np.float32]  # (n,)
Points = npt.NDArray[np.float32]  # (n, 4) float32: x, y, size, angle in radians


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


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """The places of a crop that can be found again, and what each looks like."""

    points: Points  # in pixels of the crop scaled to its long side; the surest first
    looks: npt.NDArray[np.uint8]  # (n, 128): RootSIFT in sixteen steps, 0-15, not normalised
    origin: tuple[float, float]  # of the crop, in pixels of the upright photo as it was given
    step: tuple[float, float]  # pixels of that photo, along and down, that one pixel here is

    def in_photo(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """(len(rows), 2): where these points lie, in pixels of the upright photo."""
        return np.asarray(self.points[rows, :2] * np.array(self.step) + np.array(self.origin), dtype=np.float64)
