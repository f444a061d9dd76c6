"""Which photos of an animal are of one occasion: those that a date or an encounter joins, one by one.

A table's days end at midnight of some clock, and an evening's encounter may have two of them (20 of 1,451 of Beluga ID): by
date alone, photos that were taken seconds apart would be strangers to each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

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


def encounter_of(row: Row) -> str | None:
    """A name for it that no other animal's encounter has."""
    return f"{row.identity} {row.encounter}" if row.encounter else None
