"""Drawn vectors like those of a catalogue: five of an individual, cosine .6 to .8 within, individuals all over the sphere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]  # (n, dim) float32, unit norm
AN_INDIVIDUAL = 5


def clustered(count: int, dimension: int, seed: int) -> Vectors:
    """`count` vectors, those of an individual next to each other.

    Each is its individual's centre at the square root of the cosine wanted within, and a random direction across it.
    """
    random = np.random.default_rng(seed)
    individuals = -(-count // AN_INDIVIDUAL)
    centres = _units(random.standard_normal((individuals, dimension), dtype=np.float32))
    within = random.uniform(0.6, 0.8, individuals).astype(np.float32)
    centre = np.repeat(centres, AN_INDIVIDUAL, axis=0)[:count]
    along = np.sqrt(np.repeat(within, AN_INDIVIDUAL)[:count])[:, None]
    across = random.standard_normal((count, dimension), dtype=np.float32)
    across -= np.einsum("ij,ij->i", across, centre)[:, None] * centre
    return _units(along * centre + np.sqrt(1 - along**2) * _units(across))


def queries(matrix: Vectors, count: int, seed: int) -> Vectors:
    """Further photos of individuals that are there: near one of their vectors, as a burst's next photo is not."""
    random = np.random.default_rng(seed)
    chosen = matrix[random.integers(0, len(matrix), count)]
    across = _units(random.standard_normal(chosen.shape).astype(np.float32))
    return _units(np.sqrt(np.float32(0.7)) * chosen + np.sqrt(np.float32(0.3)) * across)


def _units(rows: npt.NDArray[np.float32]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
