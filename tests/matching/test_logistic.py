from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.logistic import fit_logistic, fit_rising, sigmoid


def loss(beta: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray, ridge: float) -> float:
    """Spelled out with probabilities, unlike the code under test."""
    p = np.array([1 / (1 + np.exp(-(beta[0] + row @ beta[1:]))) for row in x])
    return float(-(w * (y * np.log(p) + (1 - y) * np.log(1 - p))).sum() + ridge / 2 * (beta[1:] ** 2).sum())


def test_without_columns_the_intercept_is_the_weighted_log_odds() -> None:
    hit, weight = np.array([1.0, 0, 0, 1]), np.array([3.0, 1, 1, 2])
    intercept, slope = fit_logistic(np.empty((4, 0)), hit, weight, 1.0)
    assert intercept == pytest.approx(log(5 / 2), abs=1e-6)
    assert slope.shape == (0,)


def test_one_yes_no_column_without_a_ridge_gives_the_log_odds_ratio() -> None:
    column = np.repeat([0.0, 1.0], [10, 20])[:, None]
    hit = np.r_[np.ones(4), np.zeros(6), np.ones(15), np.zeros(5)]
    intercept, slope = fit_logistic(column, hit, np.ones(30), 0.0)
    assert intercept == pytest.approx(log(4 / 6), abs=1e-5)
    assert slope[0] == pytest.approx(log(15 / 5) - log(4 / 6), abs=1e-5)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 10.0]))
def test_no_small_step_in_any_direction_is_better(seed: int, ridge: float) -> None:
    random = np.random.default_rng(seed)
    x, w = random.normal(size=(40, 3)), random.uniform(0.1, 2, 40)
    y = (random.random(40) < sigmoid(2 * x[:, 0] - x[:, 1])).astype(float)
    intercept, slope = fit_logistic(x, y, w, ridge)
    beta = np.r_[intercept, slope]
    best = loss(beta, x, y, w, ridge)
    for step in np.r_[np.eye(4), -np.eye(4), random.normal(size=(10, 4))] * 0.01:
        assert loss(beta + step, x, y, w, ridge) >= best - 1e-7


def test_separated_points_stay_finite_and_a_hundredfold_scale_is_no_trouble() -> None:
    x = np.r_[np.linspace(-300, -100, 20), np.linspace(100, 300, 20)][:, None]
    intercept, slope = fit_logistic(x, (x[:, 0] > 0).astype(float), np.ones(40), 1.0)
    assert np.isfinite(intercept)
    assert 0 < slope[0] < 1


def test_a_column_that_would_count_against_is_left_out_and_the_rest_fitted_without_it() -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(400, 2))
    y = (random.random(400) < sigmoid(1.5 * x[:, 1] - 1.5 * x[:, 0])).astype(float)
    intercept, slope = fit_rising(x, y, np.ones(400), 1.0)
    alone = fit_logistic(x[:, 1:], y, np.ones(400), 1.0)
    assert slope.tolist() == [0.0, alone[1][0]]
    assert intercept == alone[0]


def test_where_every_column_counts_against_only_the_intercept_is_left() -> None:
    x = np.linspace(-1, 1, 50)[:, None]
    intercept, slope = fit_rising(x, (x[:, 0] < 0).astype(float), np.ones(50), 1.0)
    assert slope.tolist() == [0.0]
    assert intercept == pytest.approx(0.0, abs=1e-6)


def test_sigmoid_is_right_at_the_ends_and_in_the_middle() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, log(3), 1000.0])).tolist() == pytest.approx([0.0, 0.5, 0.75, 1.0])


def test_points_on_which_newton_overshoots_are_fitted_all_the_same() -> None:
    """Heavy tails in columns and weights: full steps go uphill here, halved ones arrive where the slope is nothing."""
    random = np.random.default_rng(101)
    count = int(random.integers(4, 30))
    x = random.standard_cauchy((count, 2))
    y = (random.random(count) < 0.5).astype(float)
    w = random.pareto(0.5, count) + 0.01
    intercept, slope = fit_logistic(x, y, w, 0.1)
    p = 0.5 + 0.5 * np.tanh((intercept + x @ slope) / 2)
    uphill = np.r_[w @ (p - y), x.T @ (w * (p - y)) + 0.1 * slope]
    assert np.abs(uphill).max() < 1e-3 * w.sum()
