"""Laws of the discriminant: what carries no news changes no cosine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from training.discriminant import Kind, discriminant

Floats = npt.NDArray[np.float64]
ANIMALS, EACH, WIDTH = 12, 5, 20


def drawn(seed: int) -> Kind:
    draw = np.random.default_rng(seed)
    animal = np.repeat(np.arange(ANIMALS), EACH)
    features = draw.normal(size=(ANIMALS, WIDTH))[animal] + draw.normal(size=(ANIMALS * EACH, WIDTH)) * np.linspace(
        0.1, 2, WIDTH
    )
    return Kind("drawn", features, animal, np.arange(len(animal)))


def cosines(kind: Kind, dimension: int, ridge: float = 0.1) -> Floats:
    centre, matrix = discriminant([kind], dimension, ridge)
    assert matrix.shape == (kind.features.shape[1], dimension)
    made = (kind.features - centre) @ matrix
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made @ made.T)


@pytest.mark.parametrize("dimension", [3, 20])
def test_photos_in_a_wider_space_are_told_apart_as_before(dimension: int) -> None:
    """Numbers that photos do not differ in are no part of their spread, also where there are more numbers than photos."""
    kind = drawn(1)
    turned, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(90, WIDTH)))
    wide = Kind("wide", kind.features @ turned.T + 3.0, kind.animal, kind.encounter)
    assert cosines(wide, dimension) == pytest.approx(cosines(kind, dimension), abs=1e-6)


def test_direction_in_which_photos_of_one_animal_differ_counts_less() -> None:
    kind = drawn(3)
    same = kind.animal[:, None] == kind.animal[None]
    plain = kind.features - kind.features.mean(axis=0)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    before, after = plain @ plain.T, cosines(kind, 8)
    assert after[same].mean() - after[~same].mean() > before[same].mean() - before[~same].mean() + 0.1


def test_fewer_photos_than_numbers_wanted_give_those_numbers_all_the_same() -> None:
    kind = drawn(4)
    few = Kind("few", np.pad(kind.features[:15], ((0, 0), (0, 10))), kind.animal[:15], kind.encounter[:15])
    assert np.isfinite(cosines(few, 25)).all()
