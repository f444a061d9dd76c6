"""Galleries drawn from a seed, with an exact index and a catalogue over them: what this room's tests ask questions of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from catalog.values import Owner
from encoder.errors import NotAPhoto
from encoder.values import Box, Encoded, Taken
from vector_db.port import NO_FILTER, Filter, Neighbour, Point, Vector

Floats = npt.NDArray[np.float32]


def unit(rows: npt.ArrayLike) -> Floats:
    matrix = np.asarray(rows, dtype=np.float64)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=-1, keepdims=True), dtype=np.float32)


@dataclass
class Gallery:
    """Searched by brute force; `rows` are (sighting, individual, encounter); sightings in `dead` are tombstones."""

    rows: npt.NDArray[np.int64]
    matrix: Floats
    dead: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)  # how many neighbours each search asked for

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:  # noqa: ARG002
        self.asked.append(top)
        scores = self.matrix @ vector
        order = np.lexsort((self.rows[:, 0], -scores))
        ids = [(int(self.rows[i, 0]), float(scores[i])) for i in order]
        among = {i for i, _ in ids} if where.among is None else where.among
        return [Neighbour(i, score) for i, score in ids if i in among - where.exclude and where.species is None][:top]

    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        return (Point(int(row[0]), vector) for row, vector in zip(self.rows, self.matrix, strict=True) if row[0] in ids)

    def owners(self, sighting_ids: Sequence[int]) -> dict[int, Owner]:
        by_id = {int(s): (int(i), int(e)) for s, i, e in self.rows}
        live = [s for s in sighting_ids if s in by_id and s not in self.dead]
        return {s: Owner(by_id[s][0], f"animal {by_id[s][0]}", "beluga", by_id[s][1], f"{s}.jpg") for s in live}

    def enrolled(self) -> npt.NDArray[np.int64]:
        return self.rows[~np.isin(self.rows[:, 0], list(self.dead))]

    def vectors(self, sighting_ids: Sequence[int]) -> Floats:
        at = {int(s): n for n, s in enumerate(self.rows[:, 0])}
        return self.matrix[[at[s] for s in sighting_ids]]

    def only(self, rows: npt.NDArray[np.bool_]) -> Gallery:
        return Gallery(self.rows[rows], self.matrix[rows])


def drawn(individuals: int, seed: int, *, apart: float = 1.0, photos: int = 3, occasions: int = 3, dim: int = 64) -> Gallery:
    """Each individual a direction, moved by each occasion (`apart` is how far) and a little more by each photo."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, int, int]] = []
    vectors: list[npt.NDArray[np.float64]] = []
    encounter = 0
    for individual in range(individuals):
        centre = unit(random.normal(size=dim))
        for _ in range(int(random.integers(1, occasions + 1))):
            there = centre + random.normal(size=dim) / np.sqrt(dim) * apart
            for _ in range(int(random.integers(1, photos + 1))):
                rows.append((len(rows) + 1, individual, encounter))
                vectors.append(there + random.normal(size=dim) / np.sqrt(dim) * 0.7)
            encounter += 1
    return Gallery(np.array(rows, dtype=np.int64), unit(vectors))


@dataclass
class Reads:
    """An encoder whose photos are the vectors themselves, as bytes; anything else is not a photo."""

    bundle_id: str = "drawn-1"

    def encode(self, data: bytes, box: Box | None = None) -> Encoded:
        if len(data) % 4 or not data:
            raise NotAPhoto("these bytes are no photo; give a JPEG")
        vector = unit(np.frombuffer(data, dtype=np.float32))
        return Encoded(vector, 1.0, 0.5, 0.25, 640, 480, box, "ab" * 32, "jpeg", Taken(), 1.0, 2.0)
