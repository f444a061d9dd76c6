"""Points to search, and what the answer must be, by brute force in numpy on the definitions alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import asin, cos, radians, sin, sqrt

import numpy as np

from vector_db.conditions import HAIR
from vector_db.port import Facts, Filter, Neighbour, Place, Point, Vector

SPECIES = ("orca", "beluga", "humpback", "Grindwal äöü")
VIEWPOINTS = ("left", "right", "fluke")
EARTH_M = 6_371_008.8  # mean radius, IUGG
SPOTS = [Place(90.0, 12.0), Place(-90.0, 0.0), Place(10.0, 180.0), Place(10.0, -180.0), Place(0.0, 0.0), Place(-16.5, 179.99)]


def unit(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """(count, dimension) float32 of unit norm."""
    drawn = rng.standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def drawn_points(count: int, dimension: int, seed: int = 0) -> list[Point]:
    """Each fact absent in one of five; one vector in ten is another's twin, so that scores tie."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng, count, dimension)
    for twin in range(0, count - 1, 10):
        vectors[twin + 1] = vectors[twin]
    ids = rng.permutation(np.arange(1, count * 3))[:count]
    return [Point(int(id), vector, drawn_facts(rng)) for id, vector in zip(ids, vectors, strict=True)]


def drawn_facts(rng: np.random.Generator) -> Facts:
    def known() -> bool:
        return bool(rng.random() < 0.8)

    lat, lon = float(np.degrees(np.arcsin(rng.uniform(-1, 1)))), float(rng.uniform(-180, 180))
    spot = SPOTS[rng.integers(len(SPOTS))] if rng.random() < 0.2 else Place(lat, lon)
    return Facts(
        species=str(rng.choice(SPECIES)) if known() else None,
        viewpoint=str(rng.choice(VIEWPOINTS)) if known() else None,
        taken=date(2000, 1, 1) + timedelta(days=int(rng.integers(0, 9000))) if known() else None,
        place=spot if known() else None,
    )


def matches(point: Point, where: Filter) -> bool:
    facts = point.facts
    return (
        (where.species is None or facts.species == where.species)
        and (where.viewpoint is None or facts.viewpoint == where.viewpoint)
        and (where.after is None or (facts.taken is not None and facts.taken >= where.after))
        and (where.before is None or (facts.taken is not None and facts.taken <= where.before))
        and (where.near is None or (facts.place is not None and metres(facts.place, where.near.centre) <= where.near.km * 1000))
        and (where.within is None or (facts.place is not None and _inside(facts.place, where)))
        and (where.among is None or point.id in where.among)
        and point.id not in where.exclude
    )


def metres(one: Place, other: Place) -> float:
    """Haversine."""
    a, b = radians(one.lat), radians(other.lat)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other.lon - one.lon) / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))


def _inside(place: Place, where: Filter) -> bool:
    box = where.within
    assert box is not None
    if not box.south <= place.lat <= box.north:
        return False
    if box.west <= box.east:
        return box.west <= place.lon <= box.east
    return place.lon >= box.west or place.lon <= box.east


def near_the_edge(point: Point, where: Filter) -> bool:
    """So near an edge that rounding decides: 2 cm from a circle's, a few hairs from a box's (on it is not near it)."""
    place, near, box = point.facts.place, where.near, where.within
    if place is None:
        return False
    if near is not None and abs(metres(place, near.centre) - near.km * 1000) < 0.02:
        return True
    gaps = [] if box is None else [place.lat - box.south, place.lat - box.north, place.lon - box.west, place.lon - box.east]
    return any(0 < abs(gap) < 3 * HAIR for gap in gaps)


class Truth:
    """What is in an index, as a test put it there."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = points

    def __repr__(self) -> str:
        return f"Truth({len(self.points)} points)"

    def refute(self, found: Sequence[Neighbour], query: Vector, top: int, where: Filter) -> str | None:
        """Why this cannot be the answer; None where it is one, scores within 1e-5 of exact ones."""
        unsure = {point.id for point in self.points if near_the_edge(point, where)}
        inside = {
            point.id: float(point.vector.astype(np.float64) @ query.astype(np.float64))
            for point in self.points
            if matches(point, where)
        }
        ids = [one.id for one in found]
        if len(set(ids)) != len(ids):
            return f"an id twice: {ids}"
        if strangers := set(ids) - inside.keys() - unsure:
            return f"outside the filter: {strangers}"
        if found != sorted(found, key=lambda one: (-one.score, one.id)):
            return f"not in order: {found}"
        return None if unsure else self._refute_scores(found, inside, top)

    @staticmethod
    def _refute_scores(found: Sequence[Neighbour], inside: dict[int, float], top: int) -> str | None:
        best = sorted(inside.values(), reverse=True)[:top]
        if len(found) != len(best):
            return f"{len(found)} neighbours, expected {len(best)}"
        for one, score in zip(found, best, strict=True):
            if abs(one.score - score) > 1e-5 or abs(inside[one.id] - score) > 1e-5:
                return f"{one} where {score} was next; {one.id} scores {inside[one.id]}"
        return None
