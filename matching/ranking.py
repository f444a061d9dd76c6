"""Neighbours to ranked individuals: the best cosine speaks for an animal, all of its sightings found are kept as evidence.

Equal scores are ordered by id, so that the order in which neighbours arrive changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vector_db.port import Neighbour


@dataclass(frozen=True, slots=True)
class Evidence:
    photo: int  # which of the query's photos, from 0
    sighting_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """One individual and what speaks for it, the strongest first."""

    individual_id: int
    score: float
    evidence: tuple[Evidence, ...]


def rank(neighbours: Iterable[Neighbour], individual_of: Mapping[int, int], photo: int = 0) -> tuple[Ranked, ...]:
    """Individuals by their best cosine; a neighbour that nobody owns is left out.

    >>> rank([Neighbour(7, 0.5), Neighbour(8, 0.9)], {7: 1, 8: 1})[0].score
    0.9
    """
    evidence: dict[int, list[Evidence]] = {}
    for neighbour in sorted(neighbours, key=lambda n: (-n.score, n.id)):
        individual = individual_of.get(neighbour.id)
        if individual is not None:
            evidence.setdefault(individual, []).append(Evidence(photo, neighbour.id, neighbour.score))
    ranked = (Ranked(individual, found[0].score, tuple(found)) for individual, found in evidence.items())
    return tuple(sorted(ranked, key=lambda r: (-r.score, r.individual_id)))
