"""A mixture's cosines are the weighted means of its parts' cosines, and its projection keeps them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from training.mixture import Look, Mixture, round_weights, side_by_side  # noqa: E402


def unit(rows: int, width: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_cosines_side_by_side_are_the_weighted_means() -> None:
    one, two = unit(9, 5, 0), unit(9, 7, 1)
    mixed = side_by_side([one, two], [0.6, 0.4])
    assert mixed @ mixed.T == pytest.approx(0.6 * one @ one.T + 0.4 * two @ two.T, abs=1e-6)


def test_module_gives_what_the_vectors_say() -> None:
    first, second = torch.nn.Flatten(), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
    pixels = torch.randn(6, 3, 2, 2)
    with torch.no_grad():
        one, two = (torch.nn.functional.normalize(m(pixels)).numpy() for m in (first, second))
        draw = np.random.default_rng(5)
        centre, matrix = draw.normal(size=16), draw.normal(size=(16, 5))
        made = Mixture([Look(first), Look(second)], [0.3, 0.7], centre, matrix)(pixels).numpy()
    assert made == pytest.approx((side_by_side([one, two], [0.3, 0.7]) - centre) @ matrix, abs=1e-5)


def test_look_at_a_share_of_the_side_is_the_encoder_on_a_smaller_photo() -> None:
    pixels = torch.linspace(0, 1, 8).expand(1, 3, 8, 8)
    seen: list[torch.Tensor] = []

    def encoder(given: torch.Tensor) -> torch.Tensor:
        seen.append(given)
        return given.flatten(1)

    vector = Look(encoder, 0.5)(pixels)  # type: ignore[arg-type]
    assert seen[0].shape == (1, 3, 4, 4)
    assert seen[0][0, 0, 0].tolist() == pytest.approx([(2 * i + 0.5) / 7 for i in range(4)])  # the mean of each two
    assert float(vector.norm()) == pytest.approx(1)


def test_rounded_weights_survive_16_bits() -> None:
    module = round_weights(torch.nn.Linear(8, 8))
    assert torch.equal(module.weight, module.weight.half().float())
