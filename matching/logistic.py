"""Weighted ridge logistic regression by Newton's method: a few columns, a few thousand rows, well under a millisecond a step.

Written by hand because serving needs no more than this of a statistics library.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEPS = 50  # Newton needs about eight; a bound, since halved steps may need more
TOLERANCE = 1e-10


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x) without overflow at either end."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


def _loss(columns: Floats, hit: Floats, weight: Floats, beta: Floats, ridge: Floats) -> float:
    line = columns @ beta
    return float(weight @ (np.logaddexp(0.0, line) - hit * line) + 0.5 * (ridge * beta) @ beta)


def fit_logistic(features: Floats, hit: Floats, weight: Floats, ridge: float) -> tuple[float, Floats]:
    """Intercept and coefficients that minimise weighted log-loss plus ridge/2 · |coefficients|²; the intercept is free.

    `features` is (n, k), `hit` (n,) of 0 and 1, `weight` (n,) positive. With `ridge` above 0, or hits and misses that
    overlap, the minimum is finite; where all are hits or all misses the caller has nothing to fit.
    """
    columns = np.column_stack([np.ones(len(features)), features])
    penalty = np.full(columns.shape[1], ridge)
    penalty[0] = 1e-9
    beta = np.zeros(columns.shape[1])
    loss = _loss(columns, hit, weight, beta, penalty)
    for _ in range(STEPS):
        share = sigmoid(columns @ beta)
        slope = columns.T @ (weight * (share - hit)) + penalty * beta
        curve = (columns * (weight * share * (1 - share))[:, None]).T @ columns + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curve, slope)
        while (after := _loss(columns, hit, weight, beta - step, penalty)) > loss + TOLERANCE:
            step = step / 2  # Newton overshoots where hits and misses barely overlap
        beta = beta - step
        if loss - after < TOLERANCE:
            break
        loss = after
    return float(beta[0]), beta[1:]


def fit_rising(features: Floats, hit: Floats, weight: Floats, ridge: float) -> tuple[float, Floats]:
    """As `fit_logistic`, but no coefficient below 0: a column that would count against is left out, the worst first."""
    kept = list(range(features.shape[1]))
    while True:
        intercept, some = fit_logistic(features[:, kept], hit, weight, ridge)
        if not kept or some.min() >= 0:
            beta = np.zeros(features.shape[1])
            beta[kept] = some
            return intercept, beta
        kept.pop(int(np.argmin(some)))
