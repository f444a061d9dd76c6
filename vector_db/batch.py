"""What a vector and a point must be before an engine sees them.

The engine takes NaN without a word, and one bad vector leaves the rest of its batch partly stored; so everything is
looked at here first, and a batch is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from vector_db.conditions import Payload, checked_id, payload_of
from vector_db.errors import VectorRefused
from vector_db.port import Point, Vector

NORM_TOLERANCE = 1e-3  # float16 storage moves a norm by up to 5e-4


@dataclass(frozen=True, slots=True)
class Batch:
    """Points that were looked at: ids are distinct, vectors (n, dim) float32 of unit norm."""

    ids: list[int]
    vectors: npt.NDArray[np.float32]
    payloads: list[Payload]

    def parts(self, size: int) -> Iterator[Batch]:
        for start in range(0, len(self.ids), size):
            end = start + size
            yield Batch(self.ids[start:end], self.vectors[start:end], self.payloads[start:end])


def checked(points: Sequence[Point], dimension: int) -> Batch:
    """All of them fit, or the first that does not is refused; of two with one id the later counts."""
    by_id = {checked_id(point.id): point for point in points}
    for point in by_id.values():
        _refuse_shape(point.vector, dimension, f"The vector of sighting {point.id}")
    ids = list(by_id)
    vectors = np.empty((len(ids), dimension), np.float32)
    with np.errstate(all="ignore"):  # what overflows is refused below, in words
        for row, point in enumerate(by_id.values()):
            vectors[row] = point.vector
        norms = np.linalg.norm(vectors, axis=1)
    for bad in np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE)):  # NaN is not within it
        _refuse_norm(vectors[bad], f"The vector of sighting {ids[bad]}")
    return Batch(ids, vectors, [payload_of(point.facts) for point in by_id.values()])


def checked_query(vector: Vector, dimension: int) -> npt.NDArray[np.float32]:
    _refuse_shape(vector, dimension, "The vector to search for")
    with np.errstate(all="ignore"):
        query = np.ascontiguousarray(vector, np.float32)
        norm = sqrt(query @ query)  # what is left of `numpy.linalg.norm` where the shape is known
    if not abs(norm - 1) <= NORM_TOLERANCE:
        _refuse_norm(query, "The vector to search for")
    return query


def _refuse_shape(vector: Vector, dimension: int, what: str) -> None:
    shape = np.shape(vector)
    if shape != (dimension,):
        given = f"{shape[0]} numbers" if len(shape) == 1 else f"the shape {shape}"
        raise VectorRefused(
            f"{what} has {given}, this index takes {dimension}: they come from different bundles. "
            "Encode the photo with the bundle in use."
        )


def _refuse_norm(vector: npt.NDArray[np.float32], what: str) -> None:
    if not np.isfinite(vector).all():
        raise VectorRefused(f"{what} holds numbers that are not finite (NaN or infinity). Encode the photo again.")
    length = float(np.linalg.norm(vector.astype(np.float64)))
    raise VectorRefused(
        f"{what} has the length {length:.6g}, expected 1 within {NORM_TOLERANCE}. "
        "Divide it by its length, or encode the photo again."
    )
