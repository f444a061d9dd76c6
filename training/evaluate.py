"""The figures of an encoder on labelled photos: vectors and rows in, one dictionary out.

Whatever is asked is asked four times: of the whole gallery; without the photos of the query's own encounter; without all photos
of its date; and without its own animal's photos of its date, while other animals' photos of that day stay. The first flatters,
since the next frame of a burst is nearly the same photo. The last is the task at its hardest: light and water speak for the
wrong animals. (The third is the easier of the two for an encoder that knows days better than animals.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from encoder.values import Box
from matching.calibration import NEW_SHARE

from . import metrics
from .calibrated import ExactIndex, said
from .errors import EvaluationRefused
from .metrics import Ints, Mask
from .occasions import apart, encounter_of
from .rows import NEW, Row
from .splits import key

Words = npt.NDArray[np.str_]
FALSE_POSITIVES = (0.01, 0.05)
FOLDS = 5
GALLERY_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Photos with their vectors."""

    rows: Sequence[Row]
    vectors: npt.NDArray[np.float32]  # (n, dim), unit norm
    bytes_of: Mapping[str, str] = field(default_factory=dict)  # by path, a hash of its bytes: the same for copies


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries against a gallery as numbers: what every figure is made of."""

    similarity: npt.NDArray[np.float32]  # (n_query, n_gallery)
    owner: Ints  # of each photo of the gallery, a column of the scores
    truth: Ints  # of each query, that column or -1
    names: tuple[str, ...]  # of the columns
    individual: Ints  # of each query, whoever it is: what the bootstrap draws
    other: Mask  # (n_query, n_gallery): not the query itself, nor a copy of it

    def scores(self, allowed: Mask | None = None) -> npt.NDArray[np.floating]:
        seen = self.other if allowed is None else self.other & allowed
        return metrics.individual_scores(self.similarity, self.owner, len(self.names), seen)


def asked(gallery: Labelled, query: Labelled) -> Asked:
    if not gallery.rows or not query.rows:
        raise EvaluationRefused(
            f"{len(gallery.rows)} photos in the gallery, {len(query.rows)} queries: expected one or more of each."
        )
    names = tuple(sorted({row.identity for row in gallery.rows if row.identity != NEW}))
    column = {name: index for index, name in enumerate(names)}
    kept = [index for index, row in enumerate(gallery.rows) if row.identity != NEW]
    if len(kept) < len(gallery.rows):
        raise EvaluationRefused(
            f"The gallery has {len(gallery.rows) - len(kept)} photos of {NEW}: name them, or leave them out."
        )
    everyone = {name: index for index, name in enumerate(sorted({row.identity for row in query.rows}))}
    return Asked(
        query.vectors @ gallery.vectors.T,
        np.array([column[row.identity] for row in gallery.rows]),
        np.array([column.get(row.identity, -1) for row in query.rows]),
        names,
        np.array([everyone[row.identity] for row in query.rows]),
        ~_itself(gallery, query),
    )


def _itself(gallery: Labelled, query: Labelled) -> Mask:
    """(n_query, n_gallery): the same photo or a copy of it, with the same animal in it. Two boxes around it differ a little."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(gallery.rows):
        places[gallery.bytes_of.get(row.path, row.path)].append(place)
    same = np.zeros((len(query.rows), len(gallery.rows)), dtype=bool)
    for number, row in enumerate(query.rows):
        for place in places.get(query.bytes_of.get(row.path, row.path), ()):
            same[number, place] = overlap(row.box, gallery.rows[place].box) > 0.5
    return same


def overlap(one: Box | None, other: Box | None) -> float:
    """What two boxes share of what they cover together; a photo without one is all in it.

    >>> overlap(Box(0, 0, 100, 50), Box(1, 0, 99, 50))
    0.99
    """
    if one is None or other is None:
        return 1.0
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def figures(gallery: Labelled, query: Labelled, *, seed: int = 0, rounds: int = 1000) -> dict[str, Any]:
    """Every figure of these queries. Those whose animal the gallery lacks count as new animals, the rest as known."""
    whole = asked(gallery, query)
    scores = whole.scores()
    isknown = metrics.known(scores, whole.truth)
    left = apart(gallery.rows, query.rows)
    return {
        "n_query": len(query.rows),
        "n_gallery": len(gallery.rows),
        "n_individuals": len(whole.names),
        "n_known": int(isknown.sum()),
        **_ranking(whole, None, seed, rounds),
        "cross_encounter": _ranking(whole, left.encounter, seed, rounds),
        "cross_date": _ranking(whole, left.date, seed, rounds),
        "cross_occasion": _ranking(whole, left.occasion, seed, rounds),
        "open_set": _open_set(whole, None, seed, rounds),
        "open_set_cross_occasion": _open_set(whole, left.occasion, seed, rounds),
        "calibration": _calibration(gallery, query, whole, left.encounter),
        "by_species": _by(query.rows, lambda row: row.species, whole, left.encounter),
        "by_viewpoint": _by(query.rows, lambda row: row.viewpoint, whole, left.encounter),
        "top1_by_gallery": _by_gallery(scores, whole.truth, seed),
    }


def headline(made: Mapping[str, Any]) -> float:
    """What runs are compared by: top-1 across occasions, else encounters, else plain, averaged over the parts that ask."""
    values = [
        next((v for v in (part["cross_occasion"]["top1"], part["cross_encounter"]["top1"], part["top1"]) if v is not None), 0.0)
        for part in made.values()
    ]
    return float(np.mean(values)) if values else 0.0


def _ranking(whole: Asked, allowed: Mask | None, seed: int, rounds: int) -> dict[str, Any]:
    scores = whole.scores(allowed)
    isknown = metrics.known(scores, whole.truth)
    seen = whole.other if allowed is None else whole.other & allowed
    counted = (isknown | (whole.truth < 0)) & seen.any(axis=1)  # others were only left out, or do not say when they are of
    threshold = _threshold(scores[counted], whole.truth[counted], 0.05)
    drawn = metrics.Bootstrap(whole.individual[isknown], seed, rounds)
    of: dict[str, Mask | metrics.Floats] = {
        "top1": metrics.hits(scores, whole.truth),
        "top5": metrics.hits(scores, whole.truth, 5),
        "map": metrics.average_precisions(whole.similarity, whole.owner[None] == whole.truth[:, None], seen),
    }
    return {
        "n": int(isknown.sum()),
        **{name: metrics.share(values) for name, values in of.items()},
        **{f"{name}_95": drawn.mean(values) for name, values in of.items()},
        "map5_new": None if threshold is None else metrics.map_at_5(scores[counted], whole.truth[counted], threshold),
    }


def _threshold(scores: npt.NDArray[np.floating], truth: Ints, false_positives: float) -> float | None:
    new = truth < 0
    return metrics.threshold_at(scores[new].max(axis=1), false_positives) if new.any() else None


def _open_set(whole: Asked, allowed: Mask | None, seed: int, rounds: int) -> dict[str, Any]:
    """Queries whose own animal was only left out of the gallery are in neither group, nor those of which nobody knows when."""
    scores, truth = whole.scores(allowed), whole.truth
    isknown, isnew = metrics.known(scores, truth), truth < 0
    if allowed is not None:
        isnew &= (whole.other & allowed).any(axis=1)
    right = np.zeros(len(truth), dtype=bool)
    right[isknown] = metrics.hits(scores, truth)
    either = np.flatnonzero(isknown | isnew)
    best, right, new = scores.max(axis=1)[either], right[either], isnew[either]
    drawn = metrics.Bootstrap(whole.individual[either], seed, rounds)

    def auroc(some: Ints | slice = slice(None)) -> float | None:
        return metrics.auroc(best[some][~new[some]], best[some][new[some]])

    def at(share: float, some: Ints | slice = slice(None)) -> metrics.OperatingPoint | None:
        if not new[some].any():
            return None
        threshold = metrics.threshold_at(best[some][new[some]], share)
        return metrics.operating_point(best[some], right[some], new[some], threshold)

    made: dict[str, Any] = {
        "n_known": int(isknown.sum()),
        "n_new": int(isnew.sum()),
        "auroc": auroc(),
        "auroc_95": drawn.interval(auroc),
    }
    for share in FALSE_POSITIVES:
        if point := at(share):
            made[f"at_{share:.0%}_false_positives"] = asdict(point) | {
                f"{name}_95": drawn.interval(lambda some, s=share, n=name: getattr(at(s, some), n, None))  # type: ignore[misc]
                for name in ("precision", "recall", "f1")
            }
    return made


def _calibration(gallery: Labelled, query: Labelled, whole: Asked, other_encounter: Mask) -> dict[str, Any]:
    """Of queries whose own encounter is left out, weighted so that new animals are the share that a calibration supposes: each
    photo counted once, and each encounter, as a calibration counts them, since the photos of one are no news to each other."""
    scores = whole.scores(other_encounter)
    counted = metrics.known(scores, whole.truth) | (whole.truth < 0)
    names, encounter = np.unique([encounter_of(r) or key(r) for r in gallery.rows], return_inverse=True)
    same = ~(whole.other & (other_encounter | (whole.truth < 0)[:, None]))
    fold, learnt_from = _folds(gallery, query, names, encounter)
    indexes = [ExactIndex(gallery.vectors[some], whole.owner[some].tolist(), encounter[some].tolist()) for some in learnt_from]
    index = ExactIndex(gallery.vectors, whole.owner.tolist(), encounter.tolist())
    answer = said(index, query.vectors[counted], same[counted], indexes, fold[counted])
    right = scores.argmax(axis=1)[counted] == whole.truth[counted]
    isnew = whole.truth[counted] < 0
    mixed = isnew.any() and not isnew.all()
    weight = np.ones(len(right))
    _, of, photos = np.unique(
        [encounter_of(r) or key(r) for r, asks in zip(query.rows, counted, strict=True) if asks],
        return_inverse=True,
        return_counts=True,
    )
    once = 1 / photos[of]
    for each in (weight, once) if mixed else ():
        for rows, part in ((isnew, NEW_SHARE), (~isnew, 1 - NEW_SHARE)):
            each[rows] *= part / each[rows].sum()
    return {
        "n": int(counted.sum()),
        "ece": metrics.expected_calibration_error(answer.probability, right, weight=weight),
        "n_encounters": len(photos),
        "ece_by_encounter": metrics.expected_calibration_error(answer.probability, right, weight=once),
        "new_share": NEW_SHARE if mixed else None,
        "source": answer.source,
        "reason": answer.reason,
        "reliability": [asdict(b) for b in metrics.reliability(answer.probability, right, weight=weight)],
    }


def _folds(gallery: Labelled, query: Labelled, names: Words, encounter: Ints) -> tuple[Ints, list[Ints]]:
    """Of each query a number, and for each number the photos of the gallery that its calibration learns from: all, where no
    query is among them; else those of other encounters, in parts, since what it was fitted on a calibration states too well."""
    if not {key(row) for row in gallery.rows} & {key(row) for row in query.rows}:
        return np.zeros(len(query.rows), np.int64), [np.arange(len(gallery.rows))]
    part = np.random.default_rng(0).permutation(len(names)) % FOLDS
    of = dict(zip(names.tolist(), part.tolist(), strict=True))
    fold = np.array([of.get(encounter_of(row) or key(row), 0) for row in query.rows])
    return fold, [np.flatnonzero(part[encounter] != n) for n in range(FOLDS)]


def _by(rows: Sequence[Row], of: Callable[[Row], str | None], whole: Asked, other_encounter: Mask) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in sorted({value for row in rows if (value := of(row))}):
        some = np.array([of(row) == name for row in rows])
        truth = np.where(some, whole.truth, -1)
        plain, across = (metrics.hits(whole.scores(allowed), truth) for allowed in (None, other_encounter))
        made[name] = {
            "n": len(plain),
            "top1": metrics.share(plain),
            "cross_encounter": {"n": len(across), "top1": metrics.share(across)},
        }
    return made


def _by_gallery(scores: npt.NDArray[np.floating], truth: Ints, seed: int) -> list[dict[str, Any]]:
    """Top-1 against a share of the individuals, the query's own always among them."""
    order = np.random.default_rng(seed).permutation(scores.shape[1])
    made = []
    for share in GALLERY_SHARES:
        kept = np.zeros(scores.shape[1], dtype=bool)
        kept[order[: max(1, round(share * scores.shape[1]))]] = True
        allowed = np.tile(kept, (len(scores), 1))
        rows = np.flatnonzero(truth >= 0)
        allowed[rows, truth[rows]] = True
        made.append(
            {"individuals": int(kept.sum()), "top1": metrics.share(metrics.hits(np.where(allowed, scores, -np.inf), truth))}
        )
    return made
