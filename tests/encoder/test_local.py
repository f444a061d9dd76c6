from __future__ import annotations

import cv2
import hypothesis
import numpy as np
import pytest
from encoder_pictures import photo_like, saved
from hypothesis import given
from hypothesis import strategies as st

from demo import animals
from encoder.errors import BoxOutside, FeaturesDamaged, NoDetail, NotAPhoto
from encoder.local import LONG_SIDE, POINTS, local_features, pack, unpack
from encoder.reduced import reduced
from encoder.values import Box, LocalFeatures

WHALE = animals.photo(2, 0)
FEATURES = local_features(WHALE)


def same(one: LocalFeatures, other: LocalFeatures) -> bool:
    alike = np.array_equal(one.points, other.points) and np.array_equal(one.looks, other.looks)
    return alike and (one.origin, one.step) == (other.origin, other.step)


def test_a_photo_has_points_within_its_long_side_of_400_and_looks_in_sixteen_steps() -> None:
    assert 100 < len(FEATURES.points) <= POINTS
    assert FEATURES.points.dtype == np.float32
    assert (FEATURES.points[:, 0] < LONG_SIDE).all()
    assert (FEATURES.points[:, 1] < LONG_SIDE * 3 / 4).all()
    assert (FEATURES.looks.shape, FEATURES.looks.dtype) == ((len(FEATURES.points), 128), np.uint8)
    assert FEATURES.looks.max() <= 15


def test_the_same_photo_has_the_same_features_every_time() -> None:
    assert same(local_features(WHALE), FEATURES)


def test_what_is_packed_comes_back_to_the_bit_in_72_bytes_a_point() -> None:
    packed = pack(FEATURES)
    assert same(unpack(packed), FEATURES)
    assert len(packed) <= 64 + 72 * len(FEATURES.points)
    assert pack(unpack(packed)) == packed


@given(st.binary(max_size=200))
def test_bytes_that_nobody_packed_are_refused(junk: bytes) -> None:
    with pytest.raises(FeaturesDamaged):
        unpack(junk)


@given(st.integers(0, len(pack(FEATURES)) - 1), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_noticed(at: int, change: int) -> None:
    packed = bytearray(pack(FEATURES))
    packed[at] ^= change
    with pytest.raises(FeaturesDamaged):
        unpack(bytes(packed))


@given(st.integers(0, len(pack(FEATURES)) - 1))
def test_features_that_end_early_are_refused(end: int) -> None:
    with pytest.raises(FeaturesDamaged):
        unpack(pack(FEATURES)[:end])


def test_points_lie_where_the_photo_has_them_whatever_box_was_cut() -> None:
    """A white cross on grey, in pixels of the whole photo."""
    pixels = np.full((600, 900, 3), 90, np.uint8)
    cv2.rectangle(pixels, (600, 300), (640, 420), (255, 255, 255), -1)
    cv2.rectangle(pixels, (560, 340), (680, 380), (255, 255, 255), -1)
    photo = saved(pixels, "png")
    for box in (None, Box(500, 250, 300, 300)):
        features = local_features(photo, box)
        places = features.in_photo(np.arange(len(features.points)))
        assert len(places) > 4
        near = (abs(places - np.array([620, 360])) < 110).all(axis=1)
        assert near.mean() > 0.9


def test_a_reduced_copy_has_its_points_in_pixels_of_the_photo_as_it_was_given() -> None:
    photo = animals.photo(4, 0, size=(1280, 960))
    small = reduced(photo, 640)
    assert small is not None
    box = Box(200, 100, 900, 700)
    whole, copy = local_features(photo, box), local_features(small, box, given=(1280, 960))
    assert copy.origin == whole.origin == (200.0, 100.0)
    assert copy.step == pytest.approx(whole.step, rel=0.02)
    places = copy.in_photo(np.arange(len(copy.points)))
    assert (places >= [199, 99]).all()
    assert (places <= [1101, 801]).all()


@hypothesis.settings(max_examples=25)
@given(st.integers(0, 900), st.integers(0, 700), st.integers(40, 400), st.integers(40, 300))
def test_any_box_of_a_photo_is_a_box_of_its_reduced_copy(x: int, y: int, width: int, height: int) -> None:
    box = Box(x, y, min(width, 1000 - x), min(height, 800 - y))
    copy = saved(photo_like(333, 267), "png")
    features = local_features(copy, box, given=(1000, 800)) if min(box.width, box.height) >= 60 else None
    if features is not None:
        places = features.in_photo(np.arange(len(features.points)))
        assert (places >= np.array([box.x, box.y]) - 1).all()


def test_a_crop_without_detail_has_no_points_and_can_be_kept() -> None:
    features = local_features(saved(np.full((80, 80, 3), 120, np.uint8), "png"))
    assert len(features.points) == 0
    assert same(unpack(pack(features)), features)


def test_what_the_encoder_refuses_is_refused_alike() -> None:
    with pytest.raises(NotAPhoto):
        local_features(b"not a photo")
    with pytest.raises(BoxOutside):
        local_features(WHALE, Box(0, 0, 6400, 100))
    with pytest.raises(NoDetail):
        local_features(WHALE, Box(0, 0, 8, 8))
