"""The figures, as pure functions of scores: no photo, no model, no file.

Most take `scores` (n_query, n_individuals) float, the best cosine of each individual's allowed gallery photos, -inf where
it has none, and `truth` (n_query,) int, the right column, -1 where the gallery lacks the animal. A query whose animal is in
the gallery is *known*, another *new*. A figure over nothing is None, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def individual_scores(similarity: Floats, owner: Ints, individuals: int, allowed: Mask | None = None) -> Floats:
    """(n_query, n_gallery) cosines to (n_query, individuals): the best of each individual's photos that are allowed."""
    scores = np.full((len(similarity), individuals), -np.inf, dtype=similarity.dtype)
    seen = similarity if allowed is None else np.where(allowed, similarity, -np.inf)
    order = np.argsort(owner, kind="stable")
    present, starts = np.unique(owner[order], return_index=True)
    if len(present):
        scores[:, present] = np.maximum.reduceat(seen[:, order], starts, axis=1)
    return scores


def known(scores: Floats, truth: Ints) -> Mask:
    """Whether the right individual has an allowed photo."""
    return (truth >= 0) & np.isfinite(scores[np.arange(len(truth)), np.maximum(truth, 0)])


def hits(scores: Floats, truth: Ints, k: int = 1) -> Mask:
    """Of each known query: whether its individual is among the best k. A tie counts against it."""
    rows = np.flatnonzero(known(scores, truth))
    own = scores[rows, truth[rows]][:, None]
    better = (scores[rows] >= own).sum(axis=1) - 1
    return np.asarray(better < k)


def share(values: Mask | Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def average_precisions(similarity: Floats, same: Mask, allowed: Mask | None = None) -> Floats:
    """Over the photos of the gallery: precision at each right one, averaged a query; of the queries that have any."""
    seen = np.ones_like(same) if allowed is None else allowed
    order = np.argsort(np.where(seen, -similarity, np.inf), axis=1, kind="stable")
    right = np.take_along_axis(same & seen, order, axis=1)
    right = right[right.any(axis=1)]
    precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    return np.asarray((precision * right).sum(axis=1) / right.sum(axis=1))


def map_at_5(scores: Floats, truth: Ints, threshold: float) -> float | None:
    """HappyWhale's metric: five guesses, `new_individual` placed where the scores fall below the threshold; 1 / place."""
    if not len(truth):
        return None
    isknown = known(scores, truth)
    points = np.zeros(len(truth))
    for row in range(len(truth)):
        ranked = np.sort(scores[row])[::-1]
        new_at = int((ranked >= threshold).sum())
        if isknown[row]:
            place = int((scores[row] >= scores[row, truth[row]]).sum()) - 1
            place += place >= new_at
        else:
            place = new_at
        points[row] = 1 / (place + 1) if place < 5 else 0
    return float(points.mean())


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
