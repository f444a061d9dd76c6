"""Photos for the encoder's tests, drawn by code, and their files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from encoder.header import read_header
from encoder.photo import decode
from encoder.values import Box, Pixels


def saved(pixels: Pixels, kind: str, **options: object) -> bytes:
    """The pixels as a file of that kind, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def photo_like(width: int, height: int, number: int = 1) -> Pixels:
    """Smooth enough to survive JPEG, with no two parts alike."""
    coarse = np.random.default_rng(number).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def decoded(data: bytes, box: Box | None = None, target: tuple[int, int] | None = None) -> Pixels:
    return decode(data, read_header(data), box, target)


def distance(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())
