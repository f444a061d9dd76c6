"""Whether two photos show the same marks: drawn marks whose truth is known, and drawn animals through the real extraction."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import marked

from demo import animals
from encoder.local import local_features
from encoder.values import LocalFeatures
from matching.agreement import Agreement, agree, agree_each

numbers = st.integers(0, 10_000)


def pairs(agreement: Agreement) -> set[tuple[int, int]]:
    return set(zip(agreement.first.tolist(), agreement.second.tolist(), strict=True))


def jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


@given(numbers, numbers, numbers)
def test_agreement_is_symmetric(animal: int, one: int, other: int) -> None:
    first, second = marked(animal, one), marked(animal, other)
    assert pairs(agree(first, second)) == {(a, b) for b, a in pairs(agree(second, first))}


@given(numbers, numbers, numbers)
def test_two_photos_of_one_animal_agree_in_most_of_the_marks_that_both_show(animal: int, one: int, other: int) -> None:
    agreement = agree(marked(animal, one, shown=0.9), marked(animal, other, shown=0.9))
    assert agreement.inliers >= 20  # about 32 of 40 are shown in both


@given(numbers, numbers)
def test_two_animals_do_not_agree(one: int, other: int) -> None:
    agreement = agree(marked(one, 1), marked(one + other + 1, 2))
    assert agreement.inliers <= 3


@given(numbers)
def test_features_agree_with_themselves_in_every_point(animal: int) -> None:
    features = marked(animal, 1)
    every = {(n, n) for n in range(len(features.points))}
    assert pairs(agree(features, features)) == every


@given(numbers, st.floats(0, 2 * np.pi), st.floats(0.4, 2.5), st.floats(-200, 200))
def test_turning_scaling_and_moving_a_photo_costs_no_point(animal: int, turn: float, scale: float, move: float) -> None:
    features = marked(animal, 3)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = features.points.copy()
    points[:, :2] = points[:, :2] @ rotation.T + move
    points[:, 2] *= scale
    points[:, 3] += turn
    assert agree(features, replace(features, points=points)).inliers == len(points)


@given(numbers, st.permutations(range(8)))
def test_the_order_of_points_changes_nothing(animal: int, order: list[int]) -> None:
    first, second = marked(animal, 1), marked(animal, 2)
    mixed = np.concatenate([np.array(order), np.arange(8, len(second.points))])
    moved = replace(second, points=second.points[mixed], looks=second.looks[mixed])
    assert {(a, int(mixed[b])) for a, b in pairs(agree(first, moved))} == pairs(agree(first, second))


def test_many_at_once_are_what_each_is_by_itself() -> None:
    first, others = marked(1, 1), [marked(animal, photo) for animal in (1, 2, 3) for photo in (2, 3)]
    assert [pairs(one) for one in agree_each(first, others)] == [pairs(agree(first, other)) for other in others]
    assert agree_each(first, []) == []


@pytest.mark.parametrize("count", [0, 1])
def test_a_photo_of_no_or_one_point_agrees_with_nothing(count: int) -> None:
    some = marked(1, 1)
    few = LocalFeatures(some.points[:count], some.looks[:count], some.origin, some.step)
    assert agree(few, some).inliers == agree(some, few).inliers == agree(few, few).inliers == 0


def test_a_drawn_photo_agrees_with_its_own_turned_copy() -> None:
    pixels = animals.draw(2, 0)[:, :, ::-1]
    straight = local_features(jpeg(pixels))
    turned = local_features(jpeg(np.rot90(pixels)))
    assert agree(straight, turned).inliers > len(straight.points) / 2


def test_matched_points_are_the_same_places_of_the_photo_as_it_was_given() -> None:
    pixels = animals.draw(2, 0)[:, :, ::-1]
    straight, turned = local_features(jpeg(pixels)), local_features(jpeg(np.rot90(pixels)))
    agreement = agree(straight, turned)
    here, there = straight.in_photo(agreement.first), turned.in_photo(agreement.second)
    back = np.column_stack([pixels.shape[1] - there[:, 1], there[:, 0]])  # a quarter turn to the left, taken back
    assert np.median(np.linalg.norm(here - back, axis=1)) < 4


def test_drawings_of_two_animals_agree_in_next_to_nothing_and_two_of_one_in_much() -> None:
    features = [[local_features(animals.photo(animal, photo)) for photo in (0, 1)] for animal in (0, 2, 4, 6)]
    own = [agree(*each).inliers for each in features]
    others = [agree(one[0], other[1]).inliers for one in features for other in features if one is not other]
    assert min(own) > 2 * max(others)
    assert np.median(others) <= 3
