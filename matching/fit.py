"""A catalogue to a calibration: `calibrate` asks it questions with known answers and fits what the answers teach.

One ridge logistic regression turns the features into a confidence that the top candidate is the animal; two logistic curves
turn the confidence into P(known) and P(right | known): Platt's scaling. (Isotonic curves were no better anywhere and, where
known and new lie far apart, worse: calibration error .03 against .001.) Known animals weigh 1 - `new_share` together and
new ones `new_share`, each occasion and, among new ones, each individual counting once.

False matches are bounded as conformal prediction for groups does it: individuals are the exchangeable units, each of
weight 1/(K + 1) spread over its trials, and the last 1/(K + 1) is kept for the animal that is asked about. So K individuals
support no operating point below 1/(K + 1), and below it nothing is called known. Every figure that is reported comes from
trials of individuals that the fit had not seen, in five folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from matching.calibration import NEW_SHARE, Bar, Basis, Calibration, Curve, stand_in
from matching.decision import NEW_AT
from matching.features import NAMES
from matching.fusion import DEPTH
from matching.logistic import Floats, fit_rising, sigmoid
from matching.ports import Searches, Teaches
from matching.trials import SAMPLING, Occasion, Sampling, Trial, run_trials, sample

Mask = npt.NDArray[np.bool_]

ENOUGH = 20  # individuals: 19 are the fewest that support the usual operating point of .05 (1 / 20), one to spare
ENOUGH_AGAIN = 10  # of them seen on two occasions, for without known trials there is no P(known)
# Other occasions of a known animal, from which on a trial's scores are those of use. A trial lacks the one that it asks with:
# where one is left, questions find nearer photos than trials did, and that looked like drift.
BESIDES = 2
RIDGE = 1.0  # in occasions, on standardised features
FOLDS = 5
BINS = 10
BARS = 96


@dataclass(frozen=True, slots=True)
class Sheet:
    """Trials as columns."""

    features: Floats  # (n, 4)
    known: Mask
    place: npt.NDArray[np.int64]
    individual: npt.NDArray[np.int64]
    weight: Floats  # sums to the number of occasions asked with

    @property
    def right(self) -> Mask:
        return np.asarray(self.known & (self.place == 1))

    def only(self, rows: Mask) -> Sheet:
        return Sheet(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class Model:
    intercept: float
    coefficients: Floats
    known: Curve
    right: Curve

    def confidence(self, features: Floats) -> Floats:
        return self.intercept + features @ self.coefficients

    def chances(self, confidence: Floats) -> tuple[Floats, Floats]:
        known = sigmoid(self.known.intercept + self.known.slope * confidence)
        return known * sigmoid(self.right.intercept + self.right.slope * confidence), 1 - known


def calibrate(
    index: Searches,
    catalogue: Teaches,
    *,
    bundle: Calibration | None = None,
    new_share: float = NEW_SHARE,
    sampling: Sampling = SAMPLING,
    data: str = "the catalogue's own sightings",
    species: Iterable[str] = (),
) -> Calibration:
    """The catalogue's own calibration or, where it is too small for one, what stands in for it and why: the `bundle`'s,
    unless the catalogue has `species` that it was not measured on.

    Costs one search for each photo asked with: at most 1,200 by the default sampling.
    """
    enrolled = catalogue.enrolled()
    occasions = sample(enrolled, sampling)
    why = too_small(occasions, "its own calibration needs")
    if why is not None:
        return stand_in(bundle, why, len(enrolled), species, new_share=new_share)
    trials = list(run_trials(index, catalogue, enrolled, occasions))
    optimistic = all(len(occasion.all) == 1 for occasion in occasions)
    made = fit(trials, new_share=new_share, sightings=len(enrolled), optimistic=optimistic, data=data)
    besides = np.median([occasion.besides for occasion in occasions if occasion.repeated])
    return made if besides >= BESIDES else replace(made, tenths=())


def too_small(occasions: Sequence[Occasion], needs: str) -> str | None:
    """Why nothing can be fitted on so few questions, in words; None where there are enough."""
    individuals = len({occasion.individual for occasion in occasions})
    again = len({occasion.individual for occasion in occasions if occasion.repeated})
    if individuals >= ENOUGH and again >= ENOUGH_AGAIN:
        return None
    counted = f"{individuals} individual{'' if individuals == 1 else 's'}"
    return f"the catalogue has {counted}, {again} seen in two encounters or more; {needs} {ENOUGH} and {ENOUGH_AGAIN}"


def fit(trials: Sequence[Trial], *, new_share: float, sightings: int, optimistic: bool, data: str) -> Calibration:
    sheet = tabulate(trials, new_share)
    model = _model(sheet)
    unseen, right, new = across(sheet)
    known, truly_new = sheet.known, ~sheet.known
    individuals = len(np.unique(sheet.individual))
    called_new = new >= NEW_AT
    return Calibration(
        source="catalogue",
        reason=f"fitted on {individuals} individuals of this catalogue"
        + ("; no encounter has two photos, so near-copies flatter it" if optimistic else ""),
        sightings=sightings,
        new_share=new_share,
        intercept=model.intercept,
        coefficients=dict(zip(NAMES, model.coefficients.tolist(), strict=True)),
        known=model.known,
        right=model.right,
        bars=bars(unseen, sheet),
        places=_places(sheet),
        basis=Basis(
            data=data,
            sightings=sightings,
            individuals=individuals,
            known_trials=int(known.sum()),
            new_trials=int(truly_new.sum()),
            single_trials=int(_single(sheet).sum()),
            optimistic=optimistic,
            error_right=calibration_error(right, sheet.right, sheet.weight),
            error_new=calibration_error(new, truly_new, sheet.weight),
            false_new=_share(called_new, known, sheet.weight),
            true_new=_share(called_new, truly_new, sheet.weight),
        ),
        tenths=_tenths(sheet),
    )


def tabulate(trials: Sequence[Trial], new_share: float) -> Sheet:
    known = np.array([trial.known for trial in trials])
    share = np.array([trial.share for trial in trials])
    individual = np.array([trial.individual for trial in trials], dtype=np.int64)
    _, unit = np.unique(individual, return_inverse=True)
    asked_new = np.bincount(unit, np.where(known, 0.0, share))
    weight = np.where(known, share, share / np.where(known, 1.0, asked_new[unit]))
    for rows, part in ((known, 1 - new_share), (~known, new_share)):
        weight[rows] *= part * share.sum() / weight[rows].sum()
    features = np.array([trial.features.row() for trial in trials])
    return Sheet(features, known, np.array([trial.place for trial in trials], dtype=np.int64), individual, weight)


def calibration_error(stated: Floats, came: Mask, weight: Floats) -> float:
    """Mean distance between what was stated and what came, over ten bins of equal weight; what is stated alike is one bin's."""
    _, of = np.unique(stated, return_inverse=True)
    mass = np.bincount(of, weight) / weight.sum()
    middle = np.cumsum(mass) - mass / 2
    bins = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins[of], weight * (stated - came))
    return float(np.abs(gaps).sum() / weight.sum())


def bars(confidence: Floats, sheet: Sheet) -> tuple[Bar, ...]:
    """Where operating points lie: at the surest new trials one by one, ever fewer below, and all along the known ones."""
    new = np.sort(confidence[~sheet.known])[::-1]
    ranks = np.unique(np.geomspace(1, len(new), BARS).astype(np.int64)) - 1
    along = np.quantile(confidence[sheet.known], np.linspace(0, 1, BARS // 3, endpoint=False))
    individuals = len(np.unique(sheet.individual[~sheet.known]))
    found = []
    for place in np.unique(np.ceil(np.r_[new[ranks], along] * 1e6) / 1e6).tolist():  # up: a trial is never above itself
        above = confidence > place
        share = (1 + individuals * _share(above, ~sheet.known, sheet.weight)) / (1 + individuals)
        named = _share(above & sheet.right, sheet.known, sheet.weight)
        found.append(Bar(place, share, named, _share(above & ~sheet.right, sheet.known, sheet.weight)))
    return tuple(found)


def _model(sheet: Sheet) -> Model:
    mean = np.average(sheet.features, axis=0, weights=sheet.weight)
    spread = np.sqrt(np.average((sheet.features - mean) ** 2, axis=0, weights=sheet.weight))
    spread = np.where(spread > 1e-9, spread, 1.0)
    hit = sheet.right.astype(np.float64)
    intercept, slope = fit_rising((sheet.features - mean) / spread, hit, sheet.weight, RIDGE)
    confidence = intercept + (sheet.features - mean) / spread @ slope
    known = _curve(confidence, sheet.known, sheet.weight)
    right = _curve(confidence[sheet.known], sheet.right[sheet.known], sheet.weight[sheet.known])
    return Model(intercept - float(slope / spread @ mean), slope / spread, known, right)


def _curve(confidence: Floats, came: Mask, weight: Floats) -> Curve:
    """Platt's scaling with his targets: as if one more occasion of either kind had gone the other way."""
    hits, misses = weight[came].sum(), weight[~came].sum()
    target = np.where(came, (hits + 1) / (hits + 2), 1 / (misses + 2))
    intercept, slope = fit_rising(confidence[:, None], target, weight, RIDGE)
    return Curve(intercept, float(slope[0]))


def across(sheet: Sheet) -> tuple[Floats, Floats, Floats]:
    """Confidence, P(right) and P(new) of every trial by a model that saw none of its individual's."""
    _, unit = np.unique(sheet.individual, return_inverse=True)
    fold = np.random.default_rng(0).permutation(unit.max() + 1)[unit] % FOLDS
    confidence, right, new = (np.empty(len(fold)) for _ in range(3))
    for number in range(FOLDS):
        out = fold == number
        model = _model(sheet.only(~out))
        confidence[out] = model.confidence(sheet.features[out])
        right[out], new[out] = model.chances(confidence[out])
    return confidence, right, new


def _places(sheet: Sheet) -> tuple[float, ...]:
    """Sorted, since a later place cannot truly be the likelier; one wrong trial more than was seen stands nowhere."""
    wrong = sheet.known & ~sheet.right
    total = sheet.weight[wrong].sum() + 1.0
    shares = [float(sheet.weight[wrong & (sheet.place == place)].sum() / total) for place in range(2, DEPTH + 1)]
    return tuple(sorted(shares, reverse=True))


def _tenths(sheet: Sheet) -> tuple[float, ...]:
    """Of the top scores of single photos, known and new in their shares: what photos asked about ought to score."""
    single = _single(sheet)
    scores, weight = sheet.features[single, NAMES.index("score")], sheet.weight[single]
    order = np.argsort(scores)
    mass = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(mass, np.arange(1, 10) / 10), len(order) - 1)
    return tuple(scores[order][at].tolist())


def _single(sheet: Sheet) -> Mask:
    return np.asarray(sheet.features[:, NAMES.index("photos")] == 0)


def _share(rows: Mask, among: Mask, weight: Floats) -> float:
    return float(weight[rows & among].sum() / weight[among].sum())
