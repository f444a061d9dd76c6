"""The input's rule: what size a crop becomes, and what the tensor of it holds."""

from __future__ import annotations

import numpy as np
import pytest
from encoder_pictures import photo_like
from hypothesis import given
from hypothesis import strategies as st

from encoder.preprocess import MAX_SIDE, STEP, Fit, InputShape, resize, to_tensor

HALF = (0.5, 0.5, 0.5)
sides = st.integers(1, 5000)


@given(width=sides, height=sides)
def test_a_square_is_a_square_whatever_the_crop(width: int, height: int) -> None:
    assert InputShape("square", 224, 224).fit(width, height) == Fit(False, (224, 224), (224, 224))


@given(width=sides, height=sides)
def test_a_letterbox_keeps_the_shape_and_fits_inside(width: int, height: int) -> None:
    fit = InputShape("letterbox", 320, 160).fit(width, height)
    assert fit.outer == (320, 160)
    assert fit.inner[0] == 320 or fit.inner[1] == 160
    assert fit.inner[0] <= 320
    assert fit.inner[1] <= 160
    scale = min(320 / width, 160 / height)
    assert fit.inner[0] == max(1, round(width * scale))
    assert fit.inner[1] == max(1, round(height * scale))


@given(width=st.integers(50, 5000), height=st.integers(50, 5000))
def test_a_budget_keeps_the_shape_and_the_number_of_pixels(width: int, height: int) -> None:
    fit = InputShape("budget", 224, 224).fit(width, height)
    columns, rows = fit.outer
    assert columns % STEP == rows % STEP == 0
    assert max(columns, rows) <= MAX_SIDE
    assert columns * rows <= 224 * 224
    if 1 / 6 <= width / height <= 6:
        bent = columns / rows / (width / height)
        assert columns * rows >= 0.65 * 224 * 224
        assert max(bent, 1 / bent) < 1.25


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        ((100, 100), (224, 224)),  # 7 x 7 of the 49 blocks of 32 x 32
        ((640, 480), (256, 192)),  # 8 x 6 has the shape exactly; 49 blocks have no larger 4 : 3
        ((157, 434), (128, 352)),  # 1 : 2.76; 4 x 11 is 1 : 2.75, though 4 x 12 has more pixels
        ((434, 157), (352, 128)),
        ((10, 3000), (32, 1568)),  # all 49 in a row is as long as it gets
    ],
)
def test_budgets_by_hand(crop: tuple[int, int], expected: tuple[int, int]) -> None:
    assert InputShape("budget", 224, 224).fit(*crop).outer == expected


@given(width=sides, height=sides, turn=st.sampled_from(["portrait", "landscape"]))
def test_turned_crops_all_stand_or_all_lie(width: int, height: int, turn: str) -> None:
    fit = InputShape("budget", 224, 224, turn).fit(width, height)  # type: ignore[arg-type]
    columns, rows = fit.outer
    assert columns <= rows if turn == "portrait" else columns >= rows
    assert fit.turned == ((width > height) if turn == "portrait" else (height > width))


@pytest.mark.parametrize("rule", ["square", "rectangle", "letterbox", "budget"])
@pytest.mark.parametrize("turn", ["none", "portrait", "landscape"])
def test_the_tensor_has_the_shape_that_was_promised(rule: str, turn: str) -> None:
    shape = InputShape(rule, 96, 96 if rule == "square" else 64, turn)  # type: ignore[arg-type]
    for size in ((300, 200), (200, 300), (20, 31), (500, 40)):
        fit = shape.fit(*size)
        tensor = to_tensor(photo_like(*size), fit, HALF, HALF)
        assert tensor.shape == (1, 3, fit.outer[1], fit.outer[0])
        assert tensor.dtype == np.float32
        assert tensor.flags.c_contiguous
        assert np.abs(tensor).max() <= 1 + 1e-6


def test_the_tensor_s_values_by_hand() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[3, 5] = (255, 51, 102)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    tensor = to_tensor(pixels, InputShape("square", 32, 32).fit(32, 32), mean, std)
    assert tensor[0, :, 3, 5] == pytest.approx([(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.4 - 0.406) / 0.225], abs=1e-5)
    assert tensor[0, :, 5, 3] == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-5)


def test_a_letterbox_is_centred_and_filled_with_the_mean() -> None:
    white = np.full((32, 64, 3), 255, np.uint8)
    tensor = to_tensor(white, InputShape("letterbox", 64, 64).fit(64, 32), (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    assert (tensor[0, :, :16] == 0).all()
    assert (tensor[0, :, 48:] == 0).all()
    assert tensor[0, :, 16:48] == pytest.approx(np.full((3, 32, 64), 3.0), abs=1e-5)


def test_a_turned_crop_is_turned_by_a_quarter_to_the_left() -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 32:] = 255  # the right half becomes the upper half
    fit = InputShape("rectangle", 32, 64, "portrait").fit(64, 32)
    tensor = to_tensor(pixels, fit, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert fit.turned
    assert fit.target == (64, 32)
    assert (tensor[0, :, :32] == 1).all()
    assert (tensor[0, :, 32:] == 0).all()


def test_shrinking_averages_and_never_skips() -> None:
    """A chessboard of single pixels is grey from afar; a resize that skips pixels would give black or white."""
    board = ((np.indices((64, 64)).sum(axis=0) % 2) * 255).astype(np.uint8)
    small = resize(np.repeat(board[:, :, None], 3, axis=2), 16, 16)
    assert np.abs(small.astype(int) - 128).max() <= 1
    tall = resize(np.repeat(board[:, :, None], 3, axis=2), 16, 128)  # shrinks one way, grows the other
    assert np.abs(tall[8:-8].astype(int) - 128).max() <= 40


@pytest.mark.parametrize(
    "given_shape",
    [
        {"rule": "circle", "width": 224, "height": 224},
        {"rule": "square", "width": 224, "height": 192},
        {"rule": "rectangle", "width": 225, "height": 224},
        {"rule": "rectangle", "width": 0, "height": 224},
        {"rule": "rectangle", "width": 224, "height": 1 << 20},
        {"rule": "square", "width": "224", "height": "224"},
        {"rule": "square", "width": 224.0, "height": 224.0},
        {"rule": "square", "width": True, "height": True},
        {"rule": "square", "width": 224, "height": 224, "turn": "sideways"},
        {"rule": "square", "width": 224, "height": 224, "crop": "centre"},
        {"rule": "square"},
        {},
    ],
)
def test_a_shape_that_cannot_be_is_refused(given_shape: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown"):
        InputShape.from_json(given_shape)


@pytest.mark.parametrize("shape", [InputShape("square", 224, 224), InputShape("budget", 320, 192, "portrait")])
def test_a_shape_survives_json(shape: InputShape) -> None:
    assert InputShape.from_json(shape.as_json()) == shape
