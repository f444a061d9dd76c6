"""The figures against tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.metrics import (
    Bootstrap,
    auroc,
    average_precision,
    expected_calibration_error,
    map_at_5,
    operating_point,
    reliability,
    share,
    threshold_at,
)

# Four queries against three individuals; the last query's animal is not among them.
SCORES = np.array([[0.9, 0.2, 0.1], [0.6, 0.5, 0.4], [0.3, 0.8, 0.7], [0.65, 0.1, 0.2]])
TRUTH = np.array([0, 1, 2, -1])
BEST, RIGHT = SCORES.max(axis=1), np.array([True, False, False, False])


def test_average_precision_by_hand() -> None:
    assert average_precision(np.array([0.7, 0.9]), np.array([0.8, 0.6])) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(np.array([0.7]), np.array([0.8, 0.6])) == pytest.approx(1 / 2)
    assert average_precision(np.array([0.8, 0.8]), np.array([0.8])) == pytest.approx((1 / 2 + 2 / 3) / 2)  # ties are against


def test_map_at_5_places_new_individual_where_scores_fall_below() -> None:
    # .9 | new: place 1. new first, then .6, .5: place 3. .8, .7 above: place 2. .65 is above: new is second.
    five = np.pad(-np.sort(-SCORES, axis=1), ((0, 0), (0, 2)), constant_values=-np.inf)
    rank = np.array([0, 1, 1, 0])
    assert map_at_5(five, rank, TRUTH >= 0, 0.62) == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    of_six, isknown = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]), np.array([True])
    assert map_at_5(of_six, np.array([5]), isknown, 0.0) == 0
    assert map_at_5(of_six, np.array([4]), isknown, 0.0) == pytest.approx(1 / 5)
    assert map_at_5(of_six, np.array([4]), isknown, 0.95) == 0  # new_individual has taken a place


def test_auroc_by_hand() -> None:
    assert auroc(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == pytest.approx((2 + 1.5) / 4)
    assert auroc(np.array([]), np.array([1.0])) is None


@given(
    hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)),
    hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)),
)
def test_auroc_is_the_share_of_pairs_in_order(one: np.ndarray, two: np.ndarray) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in one for b in two]
    assert auroc(one, two) == pytest.approx(np.mean(pairs))


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)), st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]))
def test_threshold_lets_at_most_its_share_pass_and_is_the_lowest(new: np.ndarray, allowed: float) -> None:
    threshold = threshold_at(new, allowed)
    assert (new >= threshold).mean() <= allowed
    lower = np.nextafter(threshold, -np.inf)
    assert allowed == 1.0 or (new >= lower).mean() > allowed


def test_operating_point_by_hand() -> None:
    point = operating_point(BEST, RIGHT, TRUTH < 0, 0.62)
    # named: queries 0 (right), 2 (wrong), 3 (new, wrongly); query 1 is called new.
    assert (point.precision, point.recall, point.specificity) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0)
    assert point.f1 == pytest.approx(1 / 3)
    nothing = operating_point(BEST, RIGHT, TRUTH < 0, 2.0)
    assert (nothing.precision, nothing.recall, nothing.specificity, nothing.f1) == (None, 0.0, 1.0, None)


@given(st.floats(0, 1), st.floats(0, 0.5))
def test_raising_the_threshold_never_raises_recall_or_lowers_specificity(threshold: float, by: float) -> None:
    low, high = (operating_point(BEST, RIGHT, TRUTH < 0, at) for at in (threshold, threshold + by))
    assert low.recall is not None
    assert high.recall is not None
    assert high.recall <= low.recall
    assert low.specificity is not None
    assert high.specificity is not None
    assert high.specificity >= low.specificity


def test_calibration_error_by_hand() -> None:
    said = np.array([0.95, 0.95, 0.55, 0.51])
    right = np.array([True, True, True, False])
    assert expected_calibration_error(said, right) == pytest.approx((2 * 0.05 + 2 * abs(0.53 - 0.5)) / 4)
    assert [(b.low, b.weight) for b in reliability(said, right)] == [(0.5, 0.5), (0.9, 0.5)]
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0
    weight = np.array([3.0, 0.0, 0.0, 1.0])
    assert expected_calibration_error(said, right, weight=weight) == pytest.approx(0.75 * 0.05 + 0.25 * 0.51)
    assert expected_calibration_error(np.array([]), np.array([], dtype=bool)) is None


def test_interval_draws_animals_not_photos() -> None:
    # One animal with 99 right photos and one with a single wrong one: over photos the figure is sure, over animals it is not.
    right = np.array([True] * 99 + [False])
    individual = np.array([0] * 99 + [1])
    assert Bootstrap(individual, 0, 1000).mean(right) == [0.0, 1.0]
    assert Bootstrap(np.zeros(100, dtype=np.int64), 0, 1000).mean(right) is None
    large = Bootstrap(individual, 0, 1000).interval(lambda drawn: None if len(drawn) < 100 else share(right[drawn]))
    assert large == [0.99, 1.0]  # a round of which there is no figure is none of 0


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        skill = draw.beta(2, 2, 60)  # of each animal; its photos are not independent
        right = draw.random((60, 10)) < skill[:, None]
        low, high = Bootstrap(np.repeat(np.arange(60), 10), seed, 200).mean(right.ravel()) or (0.0, 0.0)
        covered += low <= 0.5 <= high
    assert 0.9 <= covered / 200 <= 0.99
