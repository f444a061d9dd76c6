"""Masks: what is cut out, where it lies in the whole photo, and that it is made once. The cutting itself is rembg's."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoder.errors import NotAPhoto, RuntimeUnavailable
from encoder.mask import Masker, open_masker
from encoder.values import DEFAULT_LIMITS, Box, Pixels


def photo(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


class Cutter:
    """Takes the middle quarter for the animal, and counts how often it was asked."""

    def __init__(self, seen: int = 255) -> None:
        self.asked, self._seen = 0, seen

    def __call__(self, pixels: Pixels) -> Pixels:
        self.asked += 1
        height, width = pixels.shape[:2]
        alpha = np.zeros((height, width), np.uint8)
        alpha[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = self._seen
        return alpha


def test_the_box_is_in_pixels_of_the_whole_photo_though_the_picture_is_smaller(tmp_path: Path) -> None:
    mask = Masker(Cutter(), tmp_path, DEFAULT_LIMITS).mask(photo(4096, 2048), "ab" * 32)
    assert mask.box == Box(1024, 512, 2048, 1024)
    with Image.open(io.BytesIO(mask.png)) as picture:
        assert (picture.size, picture.mode) == ((1024, 512), "RGBA")


def test_a_mask_is_made_once_for_a_photo(tmp_path: Path) -> None:
    cutter, data = Cutter(), photo(200, 100)
    first = Masker(cutter, tmp_path, DEFAULT_LIMITS).mask(data, "ab" * 32)
    again = Masker(cutter, tmp_path, DEFAULT_LIMITS).mask(data, "ab" * 32)
    assert (first, cutter.asked) == (again, 1)


def test_where_nothing_stands_out_there_is_no_box(tmp_path: Path) -> None:
    assert Masker(Cutter(seen=100), tmp_path, DEFAULT_LIMITS).mask(photo(200, 100), "ab" * 32).box is None


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPhoto):
        Masker(Cutter(), tmp_path, DEFAULT_LIMITS).mask(b"<svg/>", "ab" * 32)


def test_a_model_that_is_not_in_place_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="make mask-model"):
        open_masker(tmp_path / "none.onnx", tmp_path)
