"""A catalogue's part for tests: points that are the truth, and the reconcile that an index is opened with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from point_sets import unit

from vector_db.open import open_edge
from vector_db.port import Point, VectorIndex

DIMENSION = 32


def plain_points(first: int, count: int) -> list[Point]:
    """Points without facts, ids counted from `first`; the same each time."""
    vectors = unit(np.random.default_rng(first), count, DIMENSION)
    return [Point(first + row, vector) for row, vector in enumerate(vectors)]


class Books:
    """What an index must hold. `reconcile` compares ids, as the indexer does, and counts its runs and what it mended."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self.points = {point.id: point for point in points}
        self.runs = 0
        self.added = 0
        self.removed = 0

    def reconcile(self, index: VectorIndex) -> None:
        self.runs += 1
        held, wanted = index.ids(), np.array(sorted(self.points), np.int64)
        missing, strange = np.setdiff1d(wanted, held), np.setdiff1d(held, wanted)
        index.delete(strange.tolist())
        index.upsert([self.points[int(id)] for id in missing])
        self.added += len(missing)
        self.removed += len(strange)

    def add(self, index: VectorIndex, points: Iterable[Point]) -> None:
        """The catalogue first, the index second."""
        added = list(points)
        self.points.update({point.id: point for point in added})
        index.upsert(added)

    def open(self, folder: Path, *, dimension: int = DIMENSION, **options: int) -> VectorIndex:
        return open_edge(folder, collection="flukeprint-test", dimension=dimension, on_open=self.reconcile, **options)

    def refute(self, index: VectorIndex) -> str | None:
        """Why the index does not equal the books, down to each vector; None where it does."""
        held = {point.id: point for point in index.points(sorted(self.points))}
        if index.ids().tolist() != sorted(self.points) or held.keys() != self.points.keys():
            return f"{index.count()} points, {len(held)} of them ours, expected {len(self.points)}"
        for id, point in self.points.items():
            if not np.allclose(held[id].vector, point.vector, atol=1e-6) or held[id].facts.species != point.facts.species:
                return f"point {id} is not what was put in"
        probe = next(iter(self.points.values()))
        found = index.search(probe.vector, 1, exact=True)
        if not found or abs(found[0].score - 1) > 1e-5:
            return f"point {probe.id} does not find itself: {found}"
        return None


class Keeps(Books):
    """A catalogue that says nothing, so that what is found is the index's own merit."""

    def reconcile(self, index: VectorIndex) -> None:
        """Nothing is compared."""
