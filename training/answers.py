"""Queries against a gallery, a block at a time: of each query the few numbers that every figure is made of.

HappyWhale's 28,000 queries and 51,000 photos are 1.4 thousand million pairs; at once they would want 50 GB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from encoder.values import Box

from .errors import EvaluationRefused
from .metrics import Floats, Ints, Mask, average_precision
from .occasions import encounter_of, occasions
from .rows import NEW, Row

PAIRS = 4_000_000  # of a query and a photo, looked at in one go
WAYS = ("whole", "encounter", "date", "occasion")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Photos with their vectors."""

    rows: Sequence[Row]
    vectors: Floats  # (n, dim) float32, unit norm
    bytes_of: Mapping[str, str] = field(default_factory=dict)  # by path, a hash of its bytes: the same for copies


@dataclass(frozen=True)
class Asked:
    gallery: Labelled
    query: Labelled
    names: tuple[str, ...]  # of the gallery's individuals
    owner: Ints  # of each photo of the gallery, one of them
    truth: Ints  # of each query, one of them or -1

    @cached_property
    def individual(self) -> Ints:
        """Of each query, whoever it is: what the bootstrap draws."""
        return np.unique([row.identity for row in self.query.rows], return_inverse=True)[1]

    @cached_property
    def apart(self) -> Apart:
        return Apart(self.gallery, self.query)


@dataclass(frozen=True, slots=True)
class Answers:
    """What each query is answered by those photos that it is asked of. An individual scores by its best photo."""

    best: Floats  # (n,) the highest score of an individual, -inf where there is none
    winner: Ints  # (n,) that individual
    nearest: Ints  # (n,) that photo
    own: Floats  # (n,) the score of its own individual, -inf where that has no photo
    rank: Ints  # (n,) how many others score as high as that: a tie counts against it
    five: Floats  # (n, 5) the highest scores of individuals
    precision: Floats  # (n,) the average precision of its own individual's photos, NaN where there are none
    rank_among: Ints  # (n, m) as `rank`, in each of the parts of the gallery's individuals that were asked for

    @property
    def known(self) -> Mask:
        return np.isfinite(self.own)

    @property
    def seen(self) -> Mask:
        """Whether it was asked of any photo."""
        return np.isfinite(self.best)

    def hits(self, k: int = 1) -> Mask:
        """Of each known query: whether its individual is among the best k."""
        return self.rank[self.known] < k


def ask(gallery: Labelled, query: Labelled) -> Asked:
    if not gallery.rows or not query.rows:
        raise EvaluationRefused(
            f"{len(gallery.rows)} photos in the gallery, {len(query.rows)} queries: expected one or more of each."
        )
    if unnamed := sum(row.identity == NEW for row in gallery.rows):
        raise EvaluationRefused(f"The gallery has {unnamed} photos of {NEW}: name them, or leave them out.")
    names = tuple(sorted({row.identity for row in gallery.rows}))
    column = {name: index for index, name in enumerate(names)}
    owner = np.array([column[row.identity] for row in gallery.rows])
    return Asked(gallery, query, names, owner, np.array([column.get(row.identity, -1) for row in query.rows]))


def answers(asked: Asked, ways: Sequence[str] = WAYS, among: Sequence[Mask] = ()) -> dict[str, Answers]:
    """Of each way of leaving photos out. `among` are parts of the individuals, to which a query's own is added."""
    order = np.argsort(asked.owner, kind="stable")  # an individual's photos are neighbours
    starts = np.searchsorted(asked.owner[order], np.arange(len(asked.names)))
    made: dict[str, list[Answers]] = {way: [] for way in ways}
    for block in _blocks(len(asked.truth), len(order)):
        similarity = asked.query.vectors[block] @ asked.gallery.vectors[order].T
        allowed = asked.apart.masks(block)
        for way in ways:
            seen = np.where(allowed[way][:, order], similarity, -np.inf)
            made[way].append(_answers(seen, order, starts, asked.truth[block], among))
    return {
        way: Answers(*(np.concatenate([getattr(b, f.name) for b in of]) for f in fields(Answers))) for way, of in made.items()
    }


def _blocks(queries: int, photos: int) -> Iterator[slice]:
    step = max(1, PAIRS // photos)
    yield from (slice(start, start + step) for start in range(0, queries, step))


def _answers(seen: Floats, order: Ints, starts: Ints, truth: Ints, among: Sequence[Mask]) -> Answers:
    scores = np.maximum.reduceat(seen, starts, axis=1)
    rows = np.arange(len(seen))
    own = np.where(truth >= 0, scores[rows, truth], -np.inf)
    others = scores.copy()
    others[rows[truth >= 0], truth[truth >= 0]] = -np.inf
    ahead = (others >= own[:, None]) & np.isfinite(others)
    ends = np.append(starts[1:], seen.shape[1])
    precision = np.full(len(seen), np.nan)
    for row in np.flatnonzero(np.isfinite(own)):
        start, end = starts[truth[row]], ends[truth[row]]
        mine = seen[row, start:end]
        precision[row] = average_precision(mine[np.isfinite(mine)], np.concatenate([seen[row, :start], seen[row, end:]]))
    five = np.full((len(seen), 5), -np.inf, scores.dtype)
    top = np.sort(scores, axis=1)[:, :-6:-1]
    five[:, : top.shape[1]] = top
    return Answers(
        scores.max(axis=1),
        scores.argmax(axis=1),
        order[seen.argmax(axis=1)],
        own,
        ahead.sum(axis=1),
        five,
        precision,
        np.array([ahead[:, part].sum(axis=1) for part in among], np.int64).reshape(len(among), len(seen)).T,
    )


class Apart:
    """What a query is asked of, each way: never of itself nor of a copy. A photo of its own animal that does not say when it is
    of is left out; where the query does not say, all are, and it is not counted. Neither is ever counted in favour."""

    def __init__(self, gallery: Labelled, query: Labelled) -> None:
        rows = [*gallery.rows, *query.rows]
        when = occasions(rows)
        said: dict[str, Sequence[str | None]] = {
            "identity": [row.identity for row in rows],
            # The encounters of two animals may share a name: what counts is that it is not this animal's.
            "encounter": [encounter_of(row) for row in rows],
            "date": [str(row.date) if row.date else None for row in rows],
            "occasion": [None if one is None or one.last is None else f"{one.identity} {one.last}" for one in when],
        }
        self._codes = {name: _numbered(words) for name, words in said.items()}
        self._gallery, self._query = gallery, query
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(gallery.rows):
            self._places[gallery.bytes_of.get(row.path, row.path)].append(place)

    def masks(self, block: slice = slice(None)) -> dict[str, Mask]:
        """(n, n_gallery) each: without nothing; without the query's own encounter; without all photos of its date, and its own
        animal's of that occasion; without those of its own animal alone, while others' of that day stay."""
        other = ~self._itself(block)
        encounter, date, occasion = (other & self._differ(name, block) for name in ("encounter", "date", "occasion"))
        return {"whole": other, "encounter": encounter, "date": date & occasion, "occasion": occasion}

    def _differ(self, name: str, block: slice) -> Mask:
        count = len(self._gallery.rows)
        (found, asked), (theirs, ours) = (
            (codes[:count], codes[count:][block]) for codes in (self._codes[name], self._codes["identity"])
        )
        others = ours[:, None] != theirs[None]
        return np.asarray((asked >= 0)[:, None] & (asked[:, None] != found[None]) & (others | (found >= 0)[None]))

    def _itself(self, block: slice) -> Mask:
        """The same photo or a copy of it, with the same animal in it. Two boxes around it differ a little."""
        rows = self._query.rows[block]
        same = np.zeros((len(rows), len(self._gallery.rows)), dtype=bool)
        for number, row in enumerate(rows):
            for place in self._places.get(self._query.bytes_of.get(row.path, row.path), ()):
                same[number, place] = overlap(row.box, self._gallery.rows[place].box) > 0.5
        return same


def _numbered(words: Sequence[str | None]) -> Ints:
    """Of each word a number, the same for the same; -1 of none."""
    numbers: dict[str, int] = {}
    return np.array([-1 if word is None else numbers.setdefault(word, len(numbers)) for word in words], np.int64)


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
