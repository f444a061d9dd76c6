"""The nearest sightings themselves, without a word on which animal it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.values import Owner
from matching.neighbours import gather
from matching.ports import Knows, Searches
from vector_db.port import NO_FILTER, Filter, Vector


@dataclass(frozen=True, slots=True)
class Similar:
    sighting_id: int
    score: float
    individual_id: int
    name: str
    species: str | None
    encounter_id: int
    photo: str  # the file name that the sighting came with


def similar(
    vector: Vector, *, index: Searches, catalogue: Knows, top: int = 10, where: Filter = NO_FILTER
) -> tuple[Similar, ...]:
    """The `top` live sightings nearest to the vector, best first; name a sighting in `where.exclude` to leave it out."""
    owners: dict[int, Owner] = {}

    def living(sighting_ids: Sequence[int]) -> dict[int, int]:
        owners.update(catalogue.owners(sighting_ids))
        return {sighting: sighting for sighting in sighting_ids if sighting in owners}  # each counts for itself

    (found,), _ = gather(index, [vector], living, want=top, where=where)
    return tuple(
        Similar(n.id, n.score, o.individual_id, o.name, o.species, o.encounter_id, o.photo)
        for n, o in ((neighbour, owners[neighbour.id]) for neighbour in found[:top])
    )
