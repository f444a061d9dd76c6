"""Questions with known answers, asked of the user's own catalogue: what a calibration learns from.

Each sampled occasion (the sightings of one individual in one encounter) is asked twice with the same searches. *Known*:
against the gallery without those sightings, where the individual was seen on another occasion too. *New*: against the gallery
without the individual. Its photos are asked one by one and all together, so that both kinds of question are calibrated.

Occasions are drawn by turns, one of each individual before a second of any, because false matches are counted per animal;
half of them, where there are so many, from individuals seen more than once, which alone give known trials. The cost is one
search a photo: at most `occasions` · `photos` of `Sampling`, whatever the catalogue's size, and one sort of its table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from matching.features import SEVERAL, Features, features
from matching.fusion import DEPTH, fuse
from matching.neighbours import gather
from matching.ports import Searches, Teaches
from matching.ranking import rank
from vector_db.port import Neighbour

Table = npt.NDArray[np.int64]  # (n, 3): sighting, individual, encounter


@dataclass(frozen=True, slots=True)
class Sampling:
    occasions: int = 400
    photos: int = SEVERAL  # of an occasion that are asked with
    seed: int = 0


SAMPLING = Sampling()


@dataclass(frozen=True, slots=True)
class Occasion:
    individual: int
    besides: int  # other occasions on which the individual was seen
    asked: tuple[int, ...]  # sightings that are the question
    all: tuple[int, ...]  # sightings that are taken out of the gallery

    @property
    def repeated(self) -> bool:
        return self.besides > 0


@dataclass(frozen=True, slots=True)
class Trial:
    individual: int
    known: bool
    place: int  # of the right individual in the ranking, from 1; 0 where it is not there
    share: float  # of its occasion's weight: half to the fused question, half to the single photos together
    features: Features


def sample(enrolled: Table, sampling: Sampling) -> list[Occasion]:
    """The occasions to ask with: the same for the same rows in any order."""
    rows = enrolled[np.lexsort((enrolled[:, 0], enrolled[:, 2], enrolled[:, 1]))]
    if not len(rows):
        return []
    starts = np.flatnonzero(np.r_[True, np.any(rows[1:, 1:] != rows[:-1, 1:], axis=1)])
    ends = np.r_[starts[1:], len(rows)]
    _, of, count = np.unique(rows[starts, 1], return_inverse=True, return_counts=True)
    random = np.random.default_rng(sampling.seed)
    mixed = random.permutation(len(starts))
    by_individual = mixed[np.argsort(of[mixed], kind="stable")]
    turn = np.empty(len(starts), dtype=np.int64)
    turn[by_individual] = np.arange(len(starts)) - np.repeat(np.cumsum(count) - count, count)
    by_turn = mixed[np.argsort(turn[mixed], kind="stable")]
    repeated = count[of] > 1
    again, once = by_turn[repeated[by_turn]], by_turn[~repeated[by_turn]]
    room = max(sampling.occasions // 2, sampling.occasions - len(once))
    again = again[:room]
    chosen = [*again.tolist(), *once[: sampling.occasions - len(again)].tolist()]
    occasions = []
    for index in chosen:
        sightings = rows[starts[index] : ends[index], 0]
        asked = random.permutation(sightings)[: sampling.photos]
        occasions.append(
            Occasion(int(rows[starts[index], 1]), int(count[of][index]) - 1, tuple(asked.tolist()), tuple(sightings.tolist()))
        )
    return occasions


@dataclass(frozen=True, slots=True)
class Search:
    """What an occasion's photos found in the gallery without that occasion; it serves its known and its new trials."""

    occasion: Occasion
    found: tuple[tuple[Neighbour, ...], ...]  # of each photo asked with
    owner: Mapping[int, int]

    def owners(self, *, known: bool) -> Mapping[int, int]:
        """Whose the neighbours are; a new animal's own sightings are nobody's."""
        return self.owner if known else {s: i for s, i in self.owner.items() if i != self.occasion.individual}


def run_trials(index: Searches, catalogue: Teaches, enrolled: Table, occasions: Sequence[Occasion]) -> Iterator[Trial]:
    """Ask; one gather an occasion serves both its known and its new trials."""
    for search in run_searches(index, catalogue, enrolled, occasions):
        yield from trials_of(search)


def run_searches(index: Searches, catalogue: Teaches, enrolled: Table, occasions: Sequence[Occasion]) -> Iterator[Search]:
    ordered = enrolled[np.argsort(enrolled[:, 0])]

    def owning(sighting_ids: Sequence[int]) -> dict[int, int]:
        ids = np.asarray(sighting_ids, dtype=np.int64)
        at = np.minimum(np.searchsorted(ordered[:, 0], ids), len(ordered) - 1)
        live = ordered[at, 0] == ids
        return dict(zip(ids[live].tolist(), ordered[at[live], 1].tolist(), strict=True))

    vectors = iter(catalogue.vectors([sighting for occasion in occasions for sighting in occasion.asked]))
    for occasion in occasions:
        mine = [next(vectors) for _ in occasion.asked]
        found, owner = gather(index, mine, owning, want=DEPTH + 1, leave_out=occasion.all)
        yield Search(occasion, tuple(map(tuple, found)), owner)


def trials_of(search: Search) -> Iterator[Trial]:
    if search.occasion.repeated:
        yield from _ask(search.occasion, True, search.found, search.owner)
    yield from _ask(search.occasion, False, search.found, search.owners(known=False))


def _ask(occasion: Occasion, known: bool, found: Sequence[Sequence[Neighbour]], owner: Mapping[int, int]) -> Iterator[Trial]:
    rankings = [rank(neighbours, owner, photo) for photo, neighbours in enumerate(found)]
    questions = [[ranking] for ranking in rankings]
    shares = [1.0] if len(rankings) == 1 else [0.5 / len(rankings)] * len(rankings)
    if len(rankings) > 1:
        questions.append(rankings)
        shares.append(0.5)
    for question, share in zip(questions, shares, strict=True):
        fused = fuse(question)
        seen = features(fused, question)
        if seen is not None:
            ids = [ranked.individual_id for ranked in fused]
            place = ids.index(occasion.individual) + 1 if occasion.individual in ids else 0
            yield Trial(occasion.individual, known, place, share, seen)
