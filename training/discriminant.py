"""A linear discriminant of vectors: where photos of one animal differ counts less, where animals differ counts more.

Fitted in closed form, on the vectors of an encoder that is left as it is. Each kind of photo weighs the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """One table's photos."""

    name: str
    features: Floats  # (n, width), length 1
    animal: Ints
    encounter: Ints

    def part(self, chosen: npt.NDArray[np.bool_]) -> Kind:
        return Kind(self.name, self.features[chosen], self.animal[chosen], self.encounter[chosen])


def discriminant(kinds: Sequence[Kind], dimension: int, ridge: float) -> tuple[Floats, Floats]:
    """The centre (width,) and the matrix (width, dimension), by the whitened within-animal spread and then the whole spread.

    `ridge`, of the within-animal spread's mean, is added to each direction: small trusts the photos, large their cosine.
    Where there are more numbers than photos only the directions count in which photos lie: no others are part of that mean.
    """
    centre = np.mean([kind.features.mean(axis=0) for kind in kinds], axis=0)
    photos = np.concatenate([kind.features - centre for kind in kinds])
    if len(photos) < len(centre) and (basis := _basis(photos)).shape[1] >= dimension:
        narrow = [Kind(kind.name, (kind.features - centre) @ basis, kind.animal, kind.encounter) for kind in kinds]
        return centre, basis @ discriminant(narrow, dimension, ridge)[1]
    whole = np.mean([_spread(kind.features - centre) for kind in kinds], axis=0)
    within = np.mean([_within(kind) for kind in kinds], axis=0)
    within += ridge * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    whitening = vectors / np.sqrt(values)
    _, directions = np.linalg.eigh(whitening.T @ whole @ whitening)
    return centre, whitening @ directions[:, -dimension:]


def _basis(rows: Floats) -> Floats:
    """(width, rank) orthonormal directions in which they lie."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    some = values > values[-1] * 1e-10
    return np.asarray(rows.T @ (vectors[:, some] / np.sqrt(values[some])))


def _spread(rows: Floats) -> Floats:
    return np.asarray(rows.T @ rows / len(rows))


def _within(kind: Kind) -> Floats:
    """Spread about each animal's own mean, of the animals with two photos or more."""
    photos = np.bincount(kind.animal)
    means = np.zeros((len(photos), kind.features.shape[1]))
    np.add.at(means, kind.animal, kind.features)
    means /= np.maximum(photos, 1)[:, None]
    return _spread((kind.features - means[kind.animal])[photos[kind.animal] > 1])
