"""A catalogue to its own second opinion: what a second look is worth there, or that it is worth nothing.

Occasions with known answers are asked as for a calibration (`trials.py`), each with its own encounter taken out of the gallery,
and every photo is compared with its nearest sightings by local features. Which of two individuals is the right one is then
fitted by a logistic regression on two differences, of cosine and of strength, through the origin; the part of the second in
both is `share`. Photos of the same encounter agree by their water and light too, and would teach too much trust: they
are never asked.

Five folds by individual say what it is worth: each is ordered by the share that the others teach, and it is *earned* where
that puts the right animal first in more questions than it takes away, by more than chance would (a sign test at .05) and by a
hundredth of them at least. Where it is earned, a calibration is fitted on the blended scores, so that probabilities and false
matches are those of the two opinions together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import comb

import numpy as np
import numpy.typing as npt

from matching.agreement import Agreement
from matching.calibration import NEW_SHARE
from matching.fit import FOLDS, RIDGE, fit, too_small
from matching.fusion import fuse
from matching.logistic import Floats, fit_rising
from matching.opinion import Opinion, Worth
from matching.ports import Looks, Searches, Teaches
from matching.ranking import rank
from matching.second import blend, candidates, compare, strength
from matching.trials import SAMPLING, Sampling, Search, run_searches, sample, trials_of

CHANCE = 0.05
WORTH_IT = 0.01  # of the questions, right more often: below it the time is not earned
Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """An occasion searched, and what its photos' second looks saw."""

    search: Search
    seen: Mapping[tuple[int, int], Agreement]

    def blended(self, share: float) -> Search:
        found = (tuple(blend(each, photo, self.seen, share)) for photo, each in enumerate(self.search.found))
        return replace(self.search, found=tuple(found))

    def is_right(self, share: float) -> bool:
        """Whether all photos together name the right animal."""
        search = self.blended(share)
        fused = fuse([rank(found, search.owner, photo) for photo, found in enumerate(search.found)])
        return bool(fused) and fused[0].individual_id == search.occasion.individual


@dataclass(frozen=True, slots=True)
class Pairs:
    """Right individuals less wrong ones, of one question each: (n, 2) of cosine and strength."""

    rows: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    weight: Floats = field(default_factory=lambda: np.zeros(0))  # of a question 1, spread over its pairs
    individual: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def form_opinion(
    index: Searches,
    catalogue: Teaches,
    looks: Looks,
    *,
    bundle_id: str,
    new_share: float = NEW_SHARE,
    sampling: Sampling = SAMPLING,
    tick: Tick = lambda *_: None,
) -> Opinion:
    """What a second look is worth in this catalogue. `tick` is told of occasions done, and of how many there are."""
    enrolled = catalogue.enrolled()
    occasions = sample(enrolled, sampling)
    why = too_small(occasions, "a second opinion is measured on")
    if why is not None:
        return Opinion(bundle_id, len(enrolled), new_share, 0.0, False, why)
    asked = []
    for done, search in enumerate(run_searches(index, catalogue, enrolled, occasions), start=1):
        seen = _look(search, looks)
        if seen is not None:
            asked.append(Asked(search, seen))
        tick(done, len(occasions))
    if too_small([one.search.occasion for one in asked], "") is not None:
        gone = f"photos that {len(occasions) - len(asked)} of {len(occasions)} questions would be compared with are gone"
        return Opinion(bundle_id, len(enrolled), new_share, 0.0, False, gone)
    known = [one for one in asked if one.search.occasion.repeated]
    pairs = pairs_of(known)
    worth = across(known, pairs)
    share = fitted_share(pairs)
    if not is_earned(worth) or share == 0:
        return Opinion(bundle_id, len(enrolled), new_share, 0.0, False, _reason(worth, False), worth)
    trials = [trial for one in asked for trial in trials_of(one.blended(share))]
    optimistic = all(len(occasion.all) == 1 for occasion in occasions)
    data = "the catalogue's own sightings, with second opinions"
    calibration = fit(trials, new_share=new_share, sightings=len(enrolled), optimistic=optimistic, data=data)
    return Opinion(bundle_id, len(enrolled), new_share, share, True, _reason(worth, True), worth, calibration)


def fitted_share(pairs: Pairs, rows: npt.NDArray[np.bool_] | None = None) -> float:
    """The second look's part, 0 to 1, that best tells right individuals from wrong ones; 0 where nothing can be told."""
    chosen = np.ones(len(pairs.rows), dtype=bool) if rows is None else rows
    difference, weight = pairs.rows[chosen], pairs.weight[chosen]
    if not len(difference):
        return 0.0
    spread = np.sqrt(np.average(difference**2, axis=0, weights=weight))
    spread = np.where(spread > 1e-9, spread, 1.0)
    # Each pair stands there both ways round, so that the line goes through the origin.
    both = np.vstack([difference, -difference]) / spread
    hit = np.repeat([1.0, 0.0], len(difference))
    _, slope = fit_rising(both, hit, np.tile(weight, 2) / 2, RIDGE)
    first, second = (slope / spread).tolist()
    return float(second / (first + second)) if second > 0 else 0.0


def across(known: Sequence[Asked], pairs: Pairs) -> Worth:
    """With and without, each individual asked by a share that its own trials had no part in."""
    of = np.array([one.search.occasion.individual for one in known], dtype=np.int64)
    names, unit = np.unique(of, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[unit] % FOLDS
    without, both, alone = (np.zeros(len(known), dtype=bool) for _ in range(3))
    for number in range(FOLDS):
        out = fold == number
        share = fitted_share(pairs, ~np.isin(pairs.individual, of[out]))
        for row in np.flatnonzero(out).tolist():
            without[row], both[row], alone[row] = (known[row].is_right(part) for part in (0.0, share, 1.0))
    return Worth(
        questions=len(known),
        top1_without=float(without.mean()),
        top1_with=float(both.mean()),
        top1_alone=float(alone.mean()),
        gained=int((both & ~without).sum()),
        lost=int((without & ~both).sum()),
    )


def is_earned(worth: Worth) -> bool:
    """
    >>> is_earned(Worth(100, 0.5, 0.6, 0.4, gained=14, lost=4)), is_earned(Worth(100, 0.5, 0.52, 0.4, gained=6, lost=4))
    (True, False)
    """
    changed = worth.gained + worth.lost
    chance = sum(comb(changed, n) for n in range(worth.gained, changed + 1)) / 2**changed
    return worth.gained > worth.lost and chance <= CHANCE and worth.top1_with - worth.top1_without >= WORTH_IT


def _look(search: Search, looks: Looks) -> dict[tuple[int, int], Agreement] | None:
    """As a question would, for the known and for the new animal; None where a photo is gone, since it would count as unlike."""
    chosen = []
    for found in search.found:
        both = [candidates(found, search.owners(known=known)) for known in (True, False)]
        chosen.append(tuple(dict.fromkeys([sighting for some in both for sighting in some])))
    wanted = {*search.occasion.asked, *(s for some in chosen for s in some)}
    features = looks.of_sightings(sorted(wanted))
    if not features.keys() >= wanted:
        return None
    return compare([features[sighting] for sighting in search.occasion.asked], chosen, features)


def pairs_of(known: Sequence[Asked]) -> Pairs:
    """Each photo's right individual against each wrong one that was looked at."""
    rows: list[tuple[float, float]] = []
    weight: list[float] = []
    individual: list[int] = []
    for one in known:
        right = one.search.occasion.individual
        for photo, found in enumerate(one.search.found):
            cosine: dict[int, float] = {}
            more: dict[int, float] = {}
            for neighbour in found:
                agreement, owner = one.seen.get((photo, neighbour.id)), one.search.owner[neighbour.id]
                if agreement is not None:
                    cosine[owner] = max(cosine.get(owner, -1.0), neighbour.score)
                    more[owner] = max(more.get(owner, 0.0), strength(agreement.inliers))
            wrong = [owner for owner in cosine if owner != right]
            if right in cosine and wrong:
                rows += [(cosine[right] - cosine[owner], more[right] - more[owner]) for owner in wrong]
                weight += [1 / len(wrong)] * len(wrong)
                individual += [right] * len(wrong)
    return Pairs(np.array(rows), np.array(weight), np.array(individual, np.int64)) if rows else Pairs()


def _reason(worth: Worth, earned: bool) -> str:
    said = (
        f"of {worth.questions} questions with the own encounter left out, the right animal came first in "
        f"{worth.top1_with:.1%} with a second opinion and in {worth.top1_without:.1%} without"
    )
    return said if earned else f"{said}: not enough to follow it here"
