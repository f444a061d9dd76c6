"""Photo files to pixels: what is read, and how it is turned and reduced."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from encoder_pictures import decoded, distance, photo_like, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from encoder.errors import BoxOutside
from encoder.header import read_header
from encoder.photo import decode, read_photo
from encoder.preprocess import resize
from encoder.values import Box, Pixels

PIXELS = photo_like(150, 110)
ROOT = Path(__file__).resolve().parent.parent.parent


def oriented(kind: str, orientation: int, pixels: Pixels = PIXELS) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(pixels, kind, exif=exif)


# --- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 2.0),
        ("JPEG", {"quality": 95, "progressive": True}, 2.0),
        ("JPEG", {"quality": 95, "restart_marker_rows": 1}, 2.0),
        ("PNG", {}, 0.0),
        ("WEBP", {"lossless": True}, 0.0),
        ("WEBP", {"quality": 95}, 4.0),
        ("TIFF", {}, 0.0),
        ("TIFF", {"compression": "tiff_lzw"}, 0.0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0.0),
        ("TIFF", {"compression": "packbits"}, 0.0),
        ("BMP", {}, 0.0),
    ],
)
def test_each_kind_of_file_gives_the_pixels_it_was_made_of(kind: str, options: dict[str, object], tolerance: float) -> None:
    assert distance(decoded(saved(PIXELS, kind, **options)), PIXELS) <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_a_grey_photo_has_three_equal_channels(kind: str) -> None:
    grey = PIXELS[:, :, 0]
    pixels = decoded(saved(grey, kind))
    assert (pixels[:, :, 0] == pixels[:, :, 1]).all()
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    assert float(np.abs(pixels[:, :, 0].astype(int) - grey).mean()) < 2


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("colours", [1, 3])
def test_sixteen_bits_keep_their_upper_eight(kind: str, colours: int) -> None:
    deep = PIXELS.astype(np.uint16) * 256 + 77
    given_pixels = deep[:, :, 0] if colours == 1 else deep[:, :, ::-1]  # cv2 writes BGR
    data = cv2.imencode(kind, given_pixels)[1].tobytes()
    expected = np.repeat(PIXELS[:, :, :1], 3, axis=2) if colours == 1 else PIXELS
    assert (decoded(data) == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert("CMYK").save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert distance(decoded(buffer.getvalue()), PIXELS) < 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_palette_is_resolved(kind: str) -> None:
    buffer = io.BytesIO()
    indexed = Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)
    indexed.save(buffer, kind)
    assert (decoded(buffer.getvalue()) == np.asarray(indexed.convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_over_mid_grey(kind: str) -> None:
    alpha = np.full(PIXELS.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    alpha[50:60] = 128
    data = saved(np.dstack([PIXELS, alpha]), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    pixels = decoded(data)
    assert (pixels[:50] == 128).all()
    assert (pixels[60:] == PIXELS[60:]).all()
    halfway = (PIXELS[50:60].astype(float) + 128) / 2
    assert np.abs(pixels[50:60] - halfway).max() <= 2


def test_a_transparent_palette_colour_is_laid_over_mid_grey() -> None:
    buffer = io.BytesIO()
    indexed = Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)
    indexed.save(buffer, "PNG", transparency=0)
    pixels = decoded(buffer.getvalue())
    assert (pixels[np.asarray(indexed) == 0] == 128).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_several_is_read(kind: str) -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {}))
    assert distance(decoded(buffer.getvalue()), PIXELS) == 0


def test_the_kind_is_told_from_the_bytes_not_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(PIXELS, "PNG"))
    data = read_photo(path)
    assert read_header(data).format == "png"
    assert (decoded(data) == PIXELS).all()


# --- orientation, boxes, reduction ----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    data = oriented(kind, orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    header = read_header(data)
    pixels = decode(data, header)
    assert (header.height, header.width) == pixels.shape[:2]
    assert distance(pixels, expected) < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@settings(max_examples=30)
@given(
    orientation=st.integers(1, 8),
    x=st.integers(0, 200),
    y=st.integers(0, 200),
    width=st.integers(40, 500),
    height=st.integers(40, 500),
    target=st.integers(24, 60),
)
def test_a_box_shows_the_same_place_whatever_the_orientation_and_reduction(
    kind: str, orientation: int, x: int, y: int, width: int, height: int, target: int
) -> None:
    pixels = photo_like(901, 707)
    data = _cached(kind, orientation)
    header = read_header(data)
    box = Box(x, y, width, height)
    upright = np.asarray(_turned(pixels, orientation))
    expected = resize(np.ascontiguousarray(upright[y : y + height, x : x + width]), target, target)
    crop = decode(data, header, box, (target, target))
    assert crop.shape[0] <= height
    assert crop.shape[1] <= width
    assert min(crop.shape[0] / target, crop.shape[1] / target) >= min(2.0, min(height, width) / target) - 0.5
    # A reduced crop's edges fall on its own pixels: up to a quarter of a target's pixel aside.
    assert np.abs(resize(crop, target, target).astype(int) - expected.astype(int)).mean() < 4


_files: dict[tuple[str, int], bytes] = {}


def _cached(kind: str, orientation: int) -> bytes:
    if (kind, orientation) not in _files:
        _files[kind, orientation] = oriented(kind, orientation, photo_like(901, 707))
    return _files[kind, orientation]


def _turned(pixels: Pixels, orientation: int) -> Image.Image:
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(image)


def test_a_large_jpeg_is_reduced_to_no_less_than_twice_the_target() -> None:
    data = saved(photo_like(2000, 1500), "JPEG")
    assert decoded(data, target=(224, 224)).shape == (750, 1000, 3)
    assert decoded(data, target=(400, 400)).shape == (1500, 2000, 3)
    assert decoded(data, target=(64, 64)).shape == (188, 250, 3)
    assert decoded(data, Box(100, 100, 500, 500), (224, 224)).shape == (500, 500, 3)
    assert decoded(data).shape == (1500, 2000, 3)


@pytest.mark.parametrize(
    "box", [Box(-1, 0, 10, 10), Box(0, 0, 151, 10), Box(141, 0, 10, 10), Box(0, 0, 0, 10), Box(0, 0, 10, -5)]
)
def test_a_box_outside_the_photo_is_refused_and_the_photo_s_size_is_said(box: Box) -> None:
    with pytest.raises(BoxOutside, match="150 x 110"):
        decoded(saved(PIXELS, "PNG"), box)


def test_a_box_is_in_pixels_of_the_upright_photo() -> None:
    data = oriented("JPEG", 6)  # stored 150 x 110, upright 110 x 150
    assert decoded(data, Box(0, 120, 110, 30)).shape == (30, 110, 3)
    with pytest.raises(BoxOutside, match="110 x 150"):
        decoded(data, Box(120, 0, 30, 110))
