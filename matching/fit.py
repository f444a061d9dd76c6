"""Trials to a calibration, and the one door that makes both: `calibrate`.

One ridge logistic regression turns four features into a confidence that the top candidate is the animal; two isotonic curves turn the
confidence into P(right) and P(known). Trials are weighted so that known animals make up 1 - `new_share` of them and new ones
`new_share`, each occasion and, among new ones, each individual counting once. Every figure that is reported comes from
trials of individuals that the fit had not seen (five folds by individual).

False matches are bounded as conformal prediction with groups does it: the individuals are the exchangeable
units, each with weight 1/(K + 1) spread over its trials, the last 1/(K + 1) reserved for the animal that is asked about. So among K
individuals no operating point below 1/(K + 1) is supported, and there nothing is called known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from matching.calibration import NEW_SHARE, Bar, Basis, Calibration, Knot, stand_in
from matching.features import NAMES
from matching.fusion import DEPTH
from matching.isotonic import isotonic
from matching.logistic import fit_rising
from matching.ports import Searches, Teaches
from matching.trials import Sampling, Trial, run_trials, sample

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ENOUGH = 20  # individuals to learn from: the fewest that support the usual operating point of .05 (1/21)
RIDGE = 1.0  # in occasions: a coefficient per standard deviation is believed as far as one occasion more would move it
FOLDS = 5
BINS = 10
BARS = 96


@dataclass(frozen=True, slots=True)
class Sheet:
    """Trials as columns."""

    features: Floats  # (n, 4)
    known: Mask
    right: Mask
    weight: Floats  # sums to the number of occasions
    individual: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]

    def where(self, rows: Mask) -> Sheet:
        return Sheet(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def tabulate(trials: Sequence[Trial], new_share: float) -> Sheet:
    known = np.array([trial.known for trial in trials])
    place = np.array([trial.place for trial in trials], dtype=np.int64)
    share = np.array([trial.share for trial in trials])
    individual = np.array([trial.individual for trial in trials], dtype=np.int64)
    _, unit = np.unique(individual, return_inverse=True)
    occasions = float(share.sum())
    per_individual = np.bincount(unit, np.where(known, 0.0, share))
    weight = np.where(known, share, share / np.where(known, 1.0, per_individual[unit]))
    for rows, part in ((known, 1 - new_share), (~known, new_share)):
        weight[rows] *= part * occasions / weight[rows].sum()
    return Sheet(np.array([trial.features.row() for trial in trials]), known, known & (place == 1), weight, individual, place)


def _line(sheet: Sheet) -> tuple[float, Floats]:
    """Intercept and coefficients on the features as they are; fitted on standardised ones, so that the ridge is fair."""
    mean = np.average(sheet.features, axis=0, weights=sheet.weight)
    spread = np.sqrt(np.average((sheet.features - mean) ** 2, axis=0, weights=sheet.weight))
    spread = np.where(spread > 1e-9, spread, 1.0)
    intercept, slope = fit_rising((sheet.features - mean) / spread, sheet.right.astype(np.float64), sheet.weight, RIDGE)
    return intercept - float((slope / spread) @ mean), slope / spread


def _curves(confidence: Floats, sheet: Sheet) -> tuple[Knot, ...]:
    """P(right) and P(new) by isotonic regression.

    One occasion of each kind that nobody saw is added at the end where it would surprise most, so no probability is 0 or 1 that
    rests on few trials (the rule of succession). The curves stay apart: right ≤ known point by point, so is the fit.
    """
    ends = np.array([confidence.min(), confidence.max()])
    at, weight = np.r_[confidence, ends], np.r_[sheet.weight, 1.0, 1.0]
    right_at, right, _ = isotonic(at, np.r_[sheet.right.astype(np.float64), 1.0, 0.0], weight)
    known_at, known, _ = isotonic(at, np.r_[sheet.known.astype(np.float64), 1.0, 0.0], weight)
    grid = np.unique(np.round(np.r_[right_at, known_at], 6))
    known_there = np.interp(grid, known_at, known)
    right_there = np.minimum(np.interp(grid, right_at, right), known_there)
    return tuple(
        Knot(float(place), float(good), float(1 - there))
        for place, good, there in zip(grid, np.round(right_there, 6), np.round(known_there, 6), strict=True)
    )
