"""Drawn vectors like those of a catalogue: five of an individual, cosine .6 to .8 within, individuals all over the sphere.

That is the hard case: behind an individual's own five, the next nearest are 100,000 that hardly differ in distance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]  # (n, dim) float32, unit norm
AN_INDIVIDUAL = 5


def clustered(count: int, dimension: int, seed: int) -> Vectors:
    """`count` vectors, those of an individual next to each other."""
    random = np.random.default_rng(seed)
    centres, within = _individuals(random, count, dimension)
    return _seen(random, np.repeat(centres, AN_INDIVIDUAL, axis=0)[:count], np.repeat(within, AN_INDIVIDUAL)[:count])


def queries(count: int, dimension: int, seed: int, *, asked: int) -> Vectors:
    """`asked` further photos of individuals of `clustered(count, dimension, seed)`: each is a sixth beside their five."""
    centres, within = _individuals(np.random.default_rng(seed), count, dimension)
    random = np.random.default_rng(seed + 1)
    whom = random.choice(len(centres), asked, replace=False)
    return _seen(random, centres[whom], within[whom])


def _individuals(random: np.random.Generator, count: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Centres (n, dim), and the cosine (n,) between any two photos of each."""
    individuals = -(-count // AN_INDIVIDUAL)
    centres = _units(random.standard_normal((individuals, dimension), dtype=np.float32))
    return centres, random.uniform(0.6, 0.8, individuals).astype(np.float32)


def _seen(random: np.random.Generator, centres: Vectors, within: Vectors) -> Vectors:
    """One vector for each centre: the centre at the square root of the cosine within, and a random direction across it."""
    along = np.sqrt(within)[:, None]
    across = random.standard_normal(centres.shape, dtype=np.float32)
    across -= np.einsum("ij,ij->i", across, centres)[:, None] * centres
    return _units(along * centres + np.sqrt(1 - along**2) * _units(across))


def _units(rows: npt.NDArray[np.float32]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
