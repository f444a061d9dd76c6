"""Photos that are kept smaller: what the copy shows, and where boxes lie in it."""

from __future__ import annotations

import numpy as np
import pytest
from encoder_pictures import photo_like, saved
from PIL import Image

from encoder.header import read_header
from encoder.photo import decode
from encoder.preprocess import resize
from encoder.reduced import in_copy, reduced
from encoder.values import Box, Pixels


def shown(data: bytes) -> Pixels:
    return decode(data, read_header(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_reduced_photo_is_upright(kind: str) -> None:
    """EXIF orientation 6: the camera was turned, so the stored left is the upright top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    small = reduced(saved(photo_like(640, 480), kind, exif=exif), 320)
    assert small is not None
    assert shown(small).shape == (320, 240, 3)
    upright = resize(np.ascontiguousarray(np.rot90(photo_like(640, 480), -1)), 240, 320)
    assert np.abs(shown(small).astype(int) - upright).mean() < 6


def test_a_transparent_photo_is_kept_as_the_encoder_sees_it() -> None:
    pixels = np.dstack([photo_like(640, 480), np.zeros((480, 640), np.uint8)])
    small = reduced(saved(pixels, "PNG"), 320)
    assert small is not None
    assert np.abs(shown(small).astype(int) - 128).max() <= 2


@pytest.mark.parametrize("data", [saved(photo_like(320, 240), "JPEG"), b"not a photo", b""])
def test_what_is_small_already_or_no_photo_is_not_reduced(data: bytes) -> None:
    assert reduced(data, 320) is None


def test_a_box_keeps_its_place_in_a_copy() -> None:
    copy = read_header(saved(photo_like(200, 150), "JPEG"))
    assert in_copy(Box(300, 200, 400, 300), (1000, 750), copy) == Box(60, 40, 80, 60)
    assert in_copy(Box(999, 749, 1, 1), (1000, 750), copy) == Box(199, 149, 1, 1)
