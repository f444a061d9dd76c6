"""The figures, as pure functions of what queries were answered: no photo, no model, no file.

Scores are the best cosine of an individual's photos. A query whose animal is in the gallery is *known*, another *new*. A figure
over nothing is None, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def share(values: Mask | Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def average_precision(own: Floats, others: Floats) -> float:
    """Of one query, by the scores of its own animal's photos and of others': the precision at each of its own, averaged. A tie
    counts against it.

    >>> average_precision(np.array([0.9, 0.7]), np.array([0.8, 0.6]))
    0.8333333333333333
    """
    ranked = np.sort(own)[::-1]
    ahead = len(others) - np.searchsorted(np.sort(others), ranked, side="left")
    places = np.arange(1, len(ranked) + 1)
    return float((places / (places + ahead)).mean())


def map_at_5(five: Floats, rank: Ints, isknown: Mask, threshold: float) -> float | None:
    """HappyWhale's metric: five guesses, `new_individual` placed where the scores fall below the threshold; 1 / place.

    `five` (n, 5) are the highest scores of individuals, `rank` (n,) how many are before a known query's own."""
    new_at = (five >= threshold).sum(axis=1)
    place = np.where(isknown, rank + (rank >= new_at), new_at)
    return share(np.where(place < 5, 1 / (place + 1), 0.0))


def auroc(known_best: Floats, new_best: Floats) -> float | None:
    """P(a known query's best score is above a new one's), ties half."""
    if not len(known_best) or not len(new_best):
        return None
    lower = np.searchsorted(np.sort(new_best), known_best, side="left")
    upper = np.searchsorted(np.sort(new_best), known_best, side="right")
    return float((lower + upper).mean() / 2 / len(new_best))


def threshold_at(new_best: Floats, false_positives: float) -> float:
    """The lowest score that at most this share of new queries reach."""
    ranked = np.sort(new_best)[::-1]
    spared = int(np.floor(false_positives * len(ranked)))
    return float(np.nextafter(ranked[spared], np.inf)) if spared < len(ranked) else float("-inf")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """At a threshold a query is *named* (its best individual reaches it) or called new."""

    threshold: float
    precision: float | None  # rightly named, of all named
    recall: float | None  # rightly named, of all known: the detection and identification rate
    specificity: float | None  # called new, of all new
    f1: float | None


def operating_point(best: Floats, right: Mask, isnew: Mask, threshold: float) -> OperatingPoint:
    """Of each query its best score, whether that is its own animal's, and whether it is new; who is not is known."""
    named = best >= threshold
    precision, recall = share((right & named)[named]), share((right & named)[~isnew])
    both = precision is not None and recall is not None and precision + recall > 0
    f1 = 2 * precision * recall / (precision + recall) if both else None  # type: ignore[operator]
    return OperatingPoint(threshold, precision, recall, share(~named[isnew]), f1)


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the answers whose stated probability lies in [low, high): their weight, what they said, how many were right."""

    low: float
    high: float
    weight: float  # of all answers
    said: float
    right: float


def reliability(probability: Floats, right: Mask, bins: int = 10, weight: Floats | None = None) -> tuple[Bin, ...]:
    weights = np.ones(len(probability)) if weight is None else weight
    place = np.minimum((probability * bins).astype(int), bins - 1)
    made = []
    for b in range(bins):
        some = place == b
        total = float(weights[some].sum())
        if total > 0:
            said, came = (float(np.average(v[some], weights=weights[some])) for v in (probability, right))
            made.append(Bin(b / bins, (b + 1) / bins, total / float(weights.sum()), said, came))
    return tuple(made)


def expected_calibration_error(probability: Floats, right: Mask, bins: int = 10, weight: Floats | None = None) -> float | None:
    """Mean distance of what was said from what was right, weighted by the answers in each bin."""
    if not len(probability):
        return None
    return sum(b.weight * abs(b.said - b.right) for b in reliability(probability, right, bins, weight))


class Bootstrap:
    """Queries drawn again and again by their individuals: photos of one animal are not independent, so animals are drawn."""

    def __init__(self, individual: Ints, seed: int, rounds: int) -> None:
        names, inverse = np.unique(individual, return_inverse=True)
        members = [np.flatnonzero(inverse == n) for n in range(len(names))]
        draw = np.random.default_rng(seed)
        many = rounds if len(names) > 1 else 0
        # Each round the drawn queries' indices, with repetition.
        self._rounds = [np.concatenate([members[n] for n in draw.integers(len(names), size=len(names))]) for _ in range(many)]

    def interval(self, statistic: Callable[[Ints], float | None]) -> list[float] | None:
        """The 95 % of the statistic, which is handed the drawn queries' indices."""
        values = [value for drawn in self._rounds if (value := statistic(drawn)) is not None]
        return np.quantile(values, [0.025, 0.975]).tolist() if values else None

    def mean(self, values: Mask | Floats) -> list[float] | None:
        return self.interval(lambda drawn: share(values[drawn]))
