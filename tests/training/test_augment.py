"""Changed photos keep their shape, are decided by the draw alone, and are never mirrored unasked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.preprocess import resize
from encoder.values import Pixels
from training.augment import augment, worn
from training.config import Augment

NOTHING = Augment(zoom=1.0, shift=0, rotate_deg=0, light=0, colour=0, grey=0, blur=0, jpeg=0, noise=0, occlude=0)
ALL = Augment(grey=1, blur=1, jpeg=1, noise=1, occlude=1)


def photo(height: int = 40, width: int = 24) -> np.ndarray:
    ramp = np.linspace(20, 230, width).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (height, width, 3)))


def shown(pixels: Pixels, how: Augment, draw: np.random.Generator) -> Pixels:
    """As a batch shows it: worn at the size that it was seen at, here a third as wide as it became, and then changed."""
    return augment(worn(pixels, (pixels.shape[1] // 3, pixels.shape[0]), how, draw), how, draw)


@given(st.integers(33, 90), st.integers(33, 90), st.integers(0, 1000))
def test_shape_and_type_are_kept_and_the_draw_decides(height: int, width: int, seed: int) -> None:
    given_photo = photo(height, width)
    before = given_photo.copy()
    one, two = (shown(given_photo, ALL, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == given_photo.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert np.array_equal(given_photo, before)


def test_nothing_asked_leaves_the_picture_but_for_the_zoom_out() -> None:
    changed = augment(photo(), NOTHING, np.random.default_rng(0))
    assert np.abs(changed.astype(int) - photo()).mean() < 6  # up to a tenth smaller, edges drawn out


@given(st.integers(0, 300))
def test_left_stays_left_unless_a_mirror_was_asked_for(seed: int) -> None:
    darker_left = augment(photo(), Augment(occlude=0, light=0.1), np.random.default_rng(seed)).mean(axis=(0, 2))
    assert darker_left[:8].mean() < darker_left[-8:].mean()
    mirrored = augment(photo(), Augment(occlude=0, light=0.1), np.random.default_rng(seed), mirrored=True).mean(axis=(0, 2))
    assert mirrored[:8].mean() > mirrored[-8:].mean()


@pytest.mark.parametrize("name", ["grey", "blur", "jpeg", "noise", "occlude"])
def test_each_change_does_something_by_itself(name: str) -> None:
    coloured = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    plain, changed = (shown(coloured, how, np.random.default_rng(2)) for how in (NOTHING, _with(name)))
    assert not np.array_equal(plain, changed)


def test_photo_that_nothing_wears_is_left_as_it_is() -> None:
    assert np.array_equal(worn(photo(), (8, 40), NOTHING, np.random.default_rng(0)), photo())


@pytest.mark.parametrize("name", ["jpeg", "noise"])
def test_grains_and_blocks_are_as_large_as_scaling_up_makes_them(name: str) -> None:
    """A third as wide when it was seen: neighbours that came of one pixel are alike, up and down they are not."""
    grey = resize(np.random.default_rng(3).integers(90, 160, (40, 20, 3), dtype=np.uint8), 60, 40)
    by = worn(grey, (20, 40), _with(name), np.random.default_rng(4)).astype(float) - grey
    across, down = (
        np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in ((by[:, 1:], by[:, :-1]), (by[1:], by[:-1]))
    )
    assert across > 0.6 > down + 0.2


def _with(name: str) -> Augment:
    from dataclasses import replace

    return replace(NOTHING, **{name: 1.0})
