"""The port: what a caller may ask of a vector index, in plain values.

A point is a sighting's vector with the facts that searches filter by. It carries no individual and no name: which
animal a sighting belongs to is joined from the catalogue after the search, so that a merge touches no vector.
Scores are cosines, highest first; equal scores are ordered by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]  # (dim,) float32, unit norm


@dataclass(frozen=True, slots=True)
class Place:
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What a search may filter by; absent is None and never matches a filter that asks for it."""

    species: str | None = None
    viewpoint: str | None = None
    taken: date | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Point:
    id: int
    vector: Vector
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Neighbour:
    id: int
    score: float


@dataclass(frozen=True, slots=True)
class Radius:
    centre: Place
    km: float


@dataclass(frozen=True, slots=True)
class GeoBox:
    """South-west to north-east; west may exceed east across the antimeridian."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions hold together. `after` and `before` include the day they name."""

    species: str | None = None
    viewpoint: str | None = None
    after: date | None = None
    before: date | None = None
    near: Radius | None = None
    within: GeoBox | None = None
    among: frozenset[int] | None = None  # none but these
    exclude: frozenset[int] = field(default_factory=frozenset)

    def is_empty(self) -> bool:
        return self == NO_FILTER


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What `doctor` says about an index."""

    engine: str
    points: int
    layout: str  # "flat", "codes", "graph", or what the server calls its state
    built: int  # points when the layout was last built; those that came since are compared one by one
    wants_optimising: bool
    rebuilt: str | None  # why the engine began from nothing when it last started, None where it did not


class VectorIndex(Protocol):
    """One collection of one bundle's vectors. Safe to call from several threads."""

    @property
    def dimension(self) -> int: ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Take all points or, where one is refused, none. On return a search finds them."""

    def delete(self, ids: Iterable[int]) -> None: ...

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]: ...

    def count(self) -> int: ...

    def ids(self) -> npt.NDArray[np.int64]:
        """Every point's id, ascending."""

    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        """The points among `ids` that exist (for `doctor`): vectors within rounding, places within 1e-9 degrees."""

    def clear(self) -> None:
        """Drop every point; the collection stays."""

    def flush(self) -> None:
        """Everything taken so far is on disk when this returns."""

    def optimise(self) -> None:
        """Build the search graph now where the size asks for one; searches go on meanwhile."""

    def info(self) -> IndexInfo: ...

    def close(self) -> None: ...
