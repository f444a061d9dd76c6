from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.drift import DRIFTED, FEWEST, Judged, baseline, from_tenths, in_use, shift, stability

numbers = st.lists(st.floats(-1e6, 1e6), min_size=FEWEST, max_size=400)


def test_the_index_is_the_sum_that_its_definition_says() -> None:
    """Half of what was in the lowest tenth is in the highest now: by hand, with the half value that is added to each bin."""
    known = baseline(np.arange(1000) / 1000)
    assert known is not None
    recent = np.r_[np.repeat(np.arange(10), 50) / 10 + 0.05][25:].tolist() + [0.99] * 25  # 25, 8 × 50, 75 of 500
    counts = np.array([25, *[50] * 8, 75])
    tenths = np.array([99, *[100] * 8, 101])  # the value at an edge lies in the upper bin
    now, then = (counts + 0.5) / 505, (tenths + 0.5) / 1005
    by_hand = sum((a - b) * log(a / b) for a, b in zip(now, then, strict=True))
    assert stability(known, recent) == pytest.approx(by_hand)
    assert 0.02 < by_hand < DRIFTED


@given(numbers)
def test_what_has_not_moved_has_not_drifted(values: list[float]) -> None:
    known = baseline(values)
    assert known is not None
    assert known.shares.sum() == pytest.approx(1)
    assert stability(known, values) == pytest.approx(0, abs=1e-9)


@given(numbers, numbers)
def test_the_index_is_never_below_zero(values: list[float], others: list[float]) -> None:
    known = baseline(values)
    assert known is not None
    assert stability(known, others) >= 0


@given(numbers)
def test_what_lies_all_above_has_drifted(values: list[float]) -> None:
    known = baseline(values)
    assert known is not None
    assert stability(known, [max(values) + 1] * 300) > DRIFTED


@pytest.mark.parametrize("size", [12e6 - 1, 12e6 + 1, 1e6])
def test_another_camera_is_seen_though_the_catalogue_knows_one_size_only(size: float) -> None:
    known = baseline([12e6] * 300)
    assert shift("pixels", known, [12e6] * 300).psi == pytest.approx(0)
    assert shift("pixels", known, [size] * 300).drifted


def test_too_little_is_no_index() -> None:
    many = list(np.linspace(0, 1, 600))
    assert baseline(many[: FEWEST - 1]) is None
    assert shift("norm", None, many).psi is None
    assert shift("norm", baseline(many), many[: FEWEST - 1]).psi is None
    assert shift("norm", baseline(many[:250]), many[:250]).psi is None  # chance alone is too large
    assert shift("norm", baseline(many), many[::2]).psi is not None


def test_a_baseline_of_tenths_is_that_of_the_values() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    direct, told = baseline(values), from_tenths(np.quantile(values, np.arange(1, 10) / 10).tolist(), 100_000)
    assert direct is not None
    assert told is not None
    recent = np.random.default_rng(1).normal(0.5, size=400).tolist()
    assert stability(told, recent) == pytest.approx(stability(direct, recent), abs=0.01)
    assert from_tenths([], 400) is None
    assert from_tenths([0.5] * 9, 400) is None


def test_calibration_in_use_is_what_was_stated_less_what_was_right() -> None:
    said = [Judged(0.9, True)] * 150 + [Judged(0.9, False)] * 50 + [Judged(0.3, False)] * 50
    found = in_use(said)
    assert (found.answers, found.stated, found.right) == (250, pytest.approx(0.78), pytest.approx(0.6))
    assert found.gap == pytest.approx(0.18)
    assert [(step.low, step.answers, step.right) for step in found.steps] == [(0.0, 50, 0.0), (0.85, 200, 0.75)]
    assert sum(step.answers for step in in_use([Judged(1.0, True)] * 3).steps) == 3


def test_of_few_answers_no_gap_is_told() -> None:
    assert in_use([]).stated is None
    assert in_use([Judged(0.9, False)] * (FEWEST - 1)).gap is None
