"""Which photos of an animal are of one occasion: those that a date or an encounter joins, one by one.

A table's days end at midnight of some clock, and an evening's encounter may have two of them (20 of 1,451 of Beluga ID): by
date alone, photos that were taken seconds apart would be strangers to each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from .metrics import Mask
from .rows import Row

Said = tuple[str, date | str]  # of an animal: a date, or an encounter's name


@dataclass(frozen=True, slots=True)
class Occasion:
    identity: str
    last: date | None  # of its dates
    encounter: str  # its first by name, or none

    @property
    def order(self) -> tuple[date, str]:
        return self.last or date.min, self.encounter


def occasions(rows: Sequence[Row]) -> list[Occasion | None]:
    """Of each row; None where it says neither date nor encounter. All rows of an animal belong in: one left out may join two.

    >>> evening = Row("a", "w", encounter="e", date=date(2020, 1, 1)), Row("b", "w", encounter="e", date=date(2020, 1, 2))
    >>> {occasion.last for occasion in occasions(evening)}
    {datetime.date(2020, 1, 2)}
    """
    above: dict[Said, Said] = {}  # of what an animal's row says, something that it is joined with, or itself

    def top(said: Said) -> Said:
        while above.setdefault(said, said) != said:
            above[said] = said = above[above[said]]
        return said

    of = [[(row.identity, said) for said in (row.date, row.encounter) if said] for row in rows]
    for said in of:
        for one in said[1:]:
            above[top(one)] = top(said[0])
    groups: dict[Said, list[Row]] = defaultdict(list)
    for row, said in zip(rows, of, strict=True):
        if said:
            groups[top(said[0])].append(row)
    made = {joined: _occasion(some) for joined, some in groups.items()}
    return [made[top(said[0])] if said else None for said in of]


def _occasion(rows: Sequence[Row]) -> Occasion:
    return Occasion(
        rows[0].identity,
        max((row.date for row in rows if row.date), default=None),
        min((row.encounter for row in rows if row.encounter), default=""),
    )


@dataclass(frozen=True, slots=True)
class Apart:
    """What may be asked of a gallery, (n_query, n_gallery) each. Where the animal's own photo does not say when it is of, it is
    left out; where the query does not say, all are, and the query is not counted. Neither is ever counted in favour."""

    encounter: Mask  # without the photos of the query's own encounter
    date: Mask  # without all photos of its date, and its own animal's of that occasion
    occasion: Mask  # without its own animal's photos of that occasion; others' of that day stay


def apart(gallery: Sequence[Row], query: Sequence[Row]) -> Apart:
    when = occasions([*gallery, *query])
    dated = [None if one is None or one.last is None else f"{one.identity} {one.last}" for one in when]
    others = np.array([row.identity for row in query])[:, None] != np.array([row.identity for row in gallery])[None]

    def different(theirs: Sequence[str | None], ours: Sequence[str | None]) -> Mask:
        asked, found = np.array([one or "" for one in ours]), np.array([one or "" for one in theirs])
        return np.asarray((asked != "")[:, None] & (asked[:, None] != found[None]) & (others | (found != "")[None]))

    occasion = different(dated[: len(gallery)], dated[len(gallery) :])
    return Apart(
        # The encounters of two animals may share a name: what counts is that it is not this animal's.
        different([encounter_of(row) for row in gallery], [encounter_of(row) for row in query]),
        occasion & different([_day(row) for row in gallery], [_day(row) for row in query]),
        occasion,
    )


def encounter_of(row: Row) -> str | None:
    return row.encounter and f"{row.identity} {row.encounter}"


def _day(row: Row) -> str | None:
    return str(row.date) if row.date else None
