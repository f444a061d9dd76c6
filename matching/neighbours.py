"""The search that widens until enough different animals are seen.

An individual with 500 photos fills the first 64 neighbours by itself, and the second-best animal, which the decision
needs, is not among them. So the search starts narrow, which nearly always does, and asks again four times as wide until
`want` distinct individuals are seen, the index has no more, or `MOST` points were asked for: four searches more at
the worst. Tombstones (ids that nobody owns) are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from matching.ports import Searches
from vector_db.port import NO_FILTER, Filter, Neighbour, Vector

FIRST = 64  # about ten individuals at five photos each
WIDEN = 4
MOST = FIRST * WIDEN**4  # 16,384: an animal with more photos than that may crowd others out


class Owning(Protocol):
    """Sighting to individual for the live ones among those asked; asked once a round for all photos together."""

    def __call__(self, sighting_ids: Sequence[int], /) -> Mapping[int, int]: ...


def gather(
    index: Searches,
    vectors: Sequence[Vector],
    owning: Owning,
    *,
    want: int,
    where: Filter = NO_FILTER,
    leave_out: Collection[int] = (),
) -> tuple[list[list[Neighbour]], dict[int, int]]:
    """Live neighbours of each vector, best first, and whose sightings they are.

    `leave_out` names sightings that are treated as if they were not in the index.
    """
    found: list[list[Neighbour]] = [[] for _ in vectors]
    owner: dict[int, int] = {}
    asked: set[int] = set(leave_out)
    waiting = list(range(len(vectors)))
    top = FIRST + min(len(leave_out), MOST)
    while waiting:
        for photo in waiting:
            found[photo] = index.search(vectors[photo], top, where)
        unseen = {neighbour.id for photo in waiting for neighbour in found[photo]} - asked
        if unseen:
            owner.update(owning(sorted(unseen)))
            asked |= unseen
        waiting = [
            photo
            for photo in waiting
            if len(found[photo]) >= top and len({owner[n.id] for n in found[photo] if n.id in owner}) < want and top < MOST
        ]
        top = min(top * WIDEN, max(MOST, top))
    return [[n for n in each if n.id in owner] for each in found], owner
