"""Whether what is asked about looks like what the catalogue holds, and whether answers are right as often as they say.

*Drift* is the population stability index: the catalogue's own values of a measure are cut into tenths, and the shares of the
recent photos in them are compared, Σ (recent - known) · ln(recent / known). Below 0.1 nothing has changed, above 0.2 something
has. By chance alone it is about 9 · (1 / recent + 1 / known), so it is not told where `ENOUGH` is not reached.

*Calibration in use* compares what answers stated with what people said of them later. Pure numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Measure = Literal["norm", "brightness", "sharpness", "pixels", "score"]

MEASURES: tuple[Measure, ...] = ("norm", "brightness", "sharpness", "pixels", "score")
BINS = 10
FEWEST = 200  # photos, known or recent, and judged answers
ENOUGH = 150  # 1 / (1 / recent + 1 / known): 300 of each, or 200 of 600. Drawn without drift, 100 of each gave an index above
# 0.2 in 31 % of 40,000 tries, 300 of each in 0.08 %
DRIFTED = 0.2
OFF = 0.05  # of stated probabilities from the share that was right
STEPS = (0.0, 0.5, 0.7, 0.85, 0.95, 1.0)  # of stated probability, for a person


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the catalogue holds of one measure. A value belongs to the bin after the last edge that is not above it."""

    edges: Floats  # ascending
    shares: Floats  # (len(edges) + 1,), sum 1
    median: float
    count: int


@dataclass(frozen=True, slots=True)
class Shift:
    """One measure; `psi` is None where there is too little to tell."""

    measure: Measure
    psi: float | None
    known: float | None  # the catalogue's median
    recent: float | None  # the recent photos'

    @property
    def drifted(self) -> bool:
        return self.psi is not None and self.psi > DRIFTED


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer on which somebody had the last word."""

    stated: float  # the probability that it was right, as it was told
    right: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The answers that stated a probability from `low` up to `high`."""

    low: float
    high: float
    answers: int
    stated: float
    right: float


@dataclass(frozen=True, slots=True)
class InUse:
    """`stated` and `right` are means over the judged answers, None where there are none; `gap` where there are too few."""

    answers: int
    stated: float | None
    right: float | None
    gap: float | None  # stated less right: above 0, answers promise too much
    steps: tuple[Step, ...]


def baseline(values: npt.ArrayLike) -> Baseline | None:
    """None of too few. A value that fills a tenth or more (the one size of the one camera) gets a bin of its own."""
    known = np.asarray(values, dtype=np.float64)
    if len(known) < FEWEST:
        return None
    tenths = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges, often = np.unique(tenths, return_counts=True)
    edges = np.unique(np.r_[edges, np.nextafter(edges[often > 1], np.inf)])
    return Baseline(edges, _shares(known, edges), float(np.median(known)), len(known))


def from_tenths(tenths: Sequence[float], count: int) -> Baseline | None:
    """Of the nine values between tenths, where the values themselves are gone."""
    edges = np.asarray(tenths, dtype=np.float64)
    if count < FEWEST or len(edges) != BINS - 1 or not (np.diff(edges) > 0).all():
        return None
    return Baseline(edges, np.full(BINS, 1 / BINS), float(edges[BINS // 2 - 1]), count)


def shift(measure: Measure, known: Baseline | None, recent: Sequence[float]) -> Shift:
    """
    >>> shift("brightness", baseline(np.linspace(0, 1, 500)), [0.05] * 300).drifted
    True
    """
    median = float(np.median(recent)) if recent else None
    if known is None:
        return Shift(measure, None, None, median)
    enough = bool(recent) and 1 / (1 / len(recent) + 1 / known.count) >= ENOUGH and len(recent) >= FEWEST
    psi = stability(known, recent) if enough else None
    return Shift(measure, psi, known.median, median)


def stability(known: Baseline, recent: Sequence[float]) -> float:
    """The population stability index. Half a value is added to each bin, so that an empty one is rare, not impossible."""
    values = np.asarray(recent, dtype=np.float64)
    bins = len(known.shares)
    now = (_shares(values, known.edges) * len(values) + 0.5) / (len(values) + 0.5 * bins)
    then = (known.shares * known.count + 0.5) / (known.count + 0.5 * bins)
    return float(((now - then) * np.log(now / then)).sum())


def in_use(judged: Sequence[Judged]) -> InUse:
    if not judged:
        return InUse(0, None, None, None, ())
    stated = np.array([one.stated for one in judged])
    right = np.array([one.right for one in judged], dtype=np.float64)
    steps = []
    for low, high in pairwise(STEPS):
        inside = (stated >= low) & ((stated < high) | (high == STEPS[-1]))
        if inside.any():
            steps.append(Step(low, high, int(inside.sum()), float(stated[inside].mean()), float(right[inside].mean())))
    gap = float(stated.mean() - right.mean()) if len(judged) >= FEWEST else None
    return InUse(len(judged), float(stated.mean()), float(right.mean()), gap, tuple(steps))


def _shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.asarray(counts / len(values), dtype=np.float64)
