"""The figures of an encoder on labelled photos: vectors and rows in, one dictionary out.

Whatever is asked is asked four times: of the whole gallery; without the photos of the query's own encounter; without all photos
of its date; and without its own animal's photos of its date, while other animals' photos of that day stay. The first flatters,
since the next frame of a burst is nearly the same photo. The last is the task at its hardest: light and water speak for the
wrong animals. (The third is the easier of the two for an encoder that knows days better than animals.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from matching.calibration import NEW_SHARE, Calibration

from . import metrics
from .answers import Answers, Asked, Labelled, answers, ask
from .calibrated import ExactIndex, said
from .metrics import Ints, Mask
from .occasions import encounter_of
from .rows import Row
from .splits import key

Words = npt.NDArray[np.str_]
FALSE_POSITIVES = (0.01, 0.05)
FOLDS = 5
GALLERY_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


def figures(
    gallery: Labelled, query: Labelled, *, seed: int = 0, rounds: int = 1000, shipped: Calibration | None = None
) -> dict[str, Any]:
    """Every figure of these queries. Those whose animal the gallery lacks count as new animals, the rest as known.

    `shipped` is the bundle's own calibration, which answers where the gallery is too small for one.
    """
    asked = ask(gallery, query)
    parts = _parts(len(asked.names), seed)
    made = answers(asked, among=parts)
    whole = made["whole"]
    draws = seed, rounds
    return {
        "n_query": len(query.rows),
        "n_gallery": len(gallery.rows),
        "n_individuals": len(asked.names),
        "n_known": int(whole.known.sum()),
        **_ranking(asked, whole, draws),
        **{f"cross_{way}": _ranking(asked, made[way], draws) for way in ("encounter", "date", "occasion")},
        "open_set": _open_set(asked, whole, draws),
        "open_set_cross_occasion": _open_set(asked, made["occasion"], draws),
        "calibration": _calibration(asked, made["encounter"], shipped),
        "by_species": _by(query.rows, lambda row: row.species, whole, made["encounter"]),
        "by_viewpoint": _by(query.rows, lambda row: row.viewpoint, whole, made["encounter"]),
        "top1_by_gallery": [
            {"individuals": int(part.sum()), "top1": metrics.share(whole.rank_among[whole.known, n] < 1)}
            for n, part in enumerate(parts)
        ],
    }


def _parts(individuals: int, seed: int) -> list[Mask]:
    """Growing shares of the gallery's individuals, each with those before it."""
    order = np.random.default_rng(seed).permutation(individuals)
    return [np.isin(np.arange(individuals), order[: max(1, round(share * individuals))]) for share in GALLERY_SHARES]


def headline(made: Mapping[str, Any]) -> float:
    """What runs are compared by: top-1 across occasions, else encounters, else plain, averaged over the parts that ask."""
    values = [
        next((v for v in (part["cross_occasion"]["top1"], part["cross_encounter"]["top1"], part["top1"]) if v is not None), 0.0)
        for part in made.values()
    ]
    return float(np.mean(values)) if values else 0.0


def _ranking(asked: Asked, given: Answers, draws: tuple[int, int]) -> dict[str, Any]:
    isnew, best = asked.truth < 0, given.best
    counted = (given.known | isnew) & given.seen  # others were only left out, or do not say when they are of
    threshold = metrics.threshold_at(best[counted & isnew], 0.05) if (counted & isnew).any() else None
    drawn = metrics.Bootstrap(asked.individual[given.known], *draws)
    of: dict[str, Mask | metrics.Floats] = {
        "top1": given.hits(),
        "top5": given.hits(5),
        "map": given.precision[given.known],
    }
    return {
        "n": int(given.known.sum()),
        **{name: metrics.share(values) for name, values in of.items()},
        **{f"{name}_95": drawn.mean(values) for name, values in of.items()},
        "map5_new": None
        if threshold is None
        else metrics.map_at_5(given.five[counted], given.rank[counted], given.known[counted], threshold),
    }


def _open_set(asked: Asked, given: Answers, draws: tuple[int, int]) -> dict[str, Any]:
    """Queries whose own animal was only left out of the gallery are in neither group, nor those of which nobody knows when."""
    isnew = (asked.truth < 0) & given.seen
    either = np.flatnonzero(given.known | isnew)
    best, right, new = given.best[either], (given.known & (given.rank < 1))[either], isnew[either]
    drawn = metrics.Bootstrap(asked.individual[either], *draws)

    def auroc(some: Ints | slice = slice(None)) -> float | None:
        return metrics.auroc(best[some][~new[some]], best[some][new[some]])

    def at(share: float, some: Ints | slice = slice(None)) -> metrics.OperatingPoint | None:
        if not new[some].any():
            return None
        threshold = metrics.threshold_at(best[some][new[some]], share)
        return metrics.operating_point(best[some], right[some], new[some], threshold)

    made: dict[str, Any] = {
        "n_known": int(given.known.sum()),
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


def _calibration(asked: Asked, given: Answers, shipped: Calibration | None) -> dict[str, Any]:
    """Of queries whose own encounter is left out, weighted so that new animals are the share that a calibration supposes: each
    photo counted once, and each encounter, as a calibration counts them, since the photos of one are no news to each other."""
    gallery, query, isnew = asked.gallery, asked.query, asked.truth < 0
    counted = np.flatnonzero(given.known | isnew)
    names, encounter = np.unique([encounter_of(r) or key(r) for r in gallery.rows], return_inverse=True)

    def left_out(place: int) -> Ints:
        one = int(counted[place])
        allowed = asked.apart.masks(slice(one, one + 1))
        return np.flatnonzero(~allowed["whole" if isnew[one] else "encounter"][0])

    fold, learnt_from = _folds(gallery, query, names, encounter)
    indexes = [ExactIndex(gallery.vectors[some], asked.owner[some].tolist(), encounter[some].tolist()) for some in learnt_from]
    index = ExactIndex(gallery.vectors, asked.owner.tolist(), encounter.tolist())
    species = {row.species for row in gallery.rows if row.species}
    answer = said(index, query.vectors[counted], left_out, indexes, fold[counted], shipped=shipped, species=species)
    right, isnew = (given.winner == asked.truth)[counted], isnew[counted]
    mixed = isnew.any() and not isnew.all()
    weight = np.ones(len(right))
    _, of, photos = np.unique(
        [encounter_of(query.rows[place]) or key(query.rows[place]) for place in counted.tolist()],
        return_inverse=True,
        return_counts=True,
    )
    once = 1 / photos[of]
    for each in (weight, once) if mixed else ():
        for rows, part in ((isnew, NEW_SHARE), (~isnew, 1 - NEW_SHARE)):
            each[rows] *= part / each[rows].sum()
    return {
        "n": len(counted),
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


def _by(rows: Sequence[Row], of: Callable[[Row], str | None], whole: Answers, across: Answers) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in sorted({value for row in rows if (value := of(row))}):
        some = np.array([of(row) == name for row in rows])
        first, second = (given.rank[given.known & some] < 1 for given in (whole, across))
        made[name] = {
            "n": len(first),
            "top1": metrics.share(first),
            "cross_encounter": {"n": len(second), "top1": metrics.share(second)},
        }
    return made
