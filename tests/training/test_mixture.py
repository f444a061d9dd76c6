"""A mixture's cosines are the weighted means of its parts' cosines, and its projection keeps them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from encoder.preprocess import InputShape  # noqa: E402
from training.config import Config  # noqa: E402
from training.errors import ExportRefused  # noqa: E402
from training.export import fold_batch_norms  # noqa: E402
from training.mixture import (  # noqa: E402
    Banded,
    Look,
    Mixture,
    PlainFeatures,
    Siblings,
    common_trunk,
    round_weights,
    scaled,
    side_by_side,
    step_of,
)
from training.model import first_backbone, make_embedder  # noqa: E402


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


def test_bands_are_the_encoders_own_features_pooled_from_top_to_bottom() -> None:
    config = Config(backbone="test_efficientnet", weights="none", dimension=8, shape=InputShape("square", 96, 96))
    taught = make_embedder(config).eval()
    pixels = torch.randn(5, 3, 160, 96)
    with torch.inference_mode():
        features = taught.backbone.forward_features(pixels)
        assert features.shape[2] == 5
        vectors = Banded(taught, 2, 0.6)(pixels).numpy()
        whole = torch.nn.functional.normalize(taught(pixels)).numpy()
        above, below = (
            torch.nn.functional.normalize(taught.pool(some)).numpy() for some in (features[:, :, :2], features[:, :, 2:])
        )
    expected = 0.4 * whole @ whole.T + 0.3 * above @ above.T + 0.3 * below @ below.T
    assert vectors @ vectors.T == pytest.approx(expected, abs=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("side", "seen"), [(0.5, (64, 96)), (0.75, (96, 160)), (0.1, (32, 32)), (1.0, (96, 192))])
def test_look_at_a_photo_of_any_shape_has_sides_in_multiples_of_32(side: float, seen: tuple[int, int]) -> None:
    budget, square = step_of(InputShape("budget", 192, 192)), step_of(InputShape("square", 192, 192))
    assert scaled(torch.zeros(1, 3, 96, 192), side, budget).shape[2:] == seen
    assert scaled(torch.zeros(1, 3, 192, 192), 0.45, square).shape[2:] == (86, 86)


def test_siblings_give_what_two_looks_give_and_fold_without_harm() -> None:
    config = replace(Config(), backbone="test_efficientnet", weights="none", frozen_stages=2, dimension=16)
    torch.manual_seed(3)
    first = PlainFeatures(first_backbone(config))
    taught = make_embedder(config)
    taught.backbone.load_state_dict(first.backbone.state_dict())
    with torch.no_grad():
        for module in (*taught.backbone.blocks[2:].parameters(), *taught.project.parameters()):
            module.mul_(1.01).add_(0.01)
    draw, width = np.random.default_rng(5), 2 * 16 + int(first.backbone.num_features)  # type: ignore[arg-type]
    centre, matrix = draw.normal(size=width), draw.normal(size=(width, 8))
    together = Mixture([Look(taught), Siblings([taught, first], (0.3, 0.2), 0.5)], [0.5, 1.0], centre, matrix).eval()
    apart = Mixture([Look(taught), Look(taught, 0.5), Look(first, 0.5)], [0.5, 0.3, 0.2], centre, matrix).eval()
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = apart(pixels)
        assert torch.allclose(together(pixels), expected, atol=1e-5)
        assert torch.allclose(fold_batch_norms(copy.deepcopy(together))(pixels), expected, atol=1e-4)


def test_encoder_whose_first_stages_are_not_the_first_weights_has_no_sibling() -> None:
    config = replace(Config(), backbone="test_efficientnet", weights="none", frozen_stages=2, dimension=16)
    first, free = PlainFeatures(first_backbone(config)), make_embedder(replace(config, frozen_stages=0))
    begun = make_embedder(config)  # as one that goes on from a run that froze fewer stages
    begun.backbone.load_state_dict(first.backbone.state_dict())
    assert common_trunk([begun, first]) is not None
    with torch.no_grad():
        next(begun.backbone.blocks[1].parameters()).add_(0.001)
    for encoder in (free, begun):
        assert common_trunk([encoder, first]) is None
        with pytest.raises(ValueError, match="no frozen stages in common"):
            Siblings([encoder, first], (0.5, 0.5))


def test_rounded_weights_survive_16_bits() -> None:
    module = round_weights(torch.nn.Linear(8, 8))
    assert torch.equal(module.weight, module.weight.half().float())


def test_first_weights_of_a_transformer_are_not_mixed() -> None:
    vit = replace(Config(), backbone="test_vit", weights="none", shape=InputShape("square", 160, 160), stages=())
    with pytest.raises(ExportRefused, match=r"VisionTransformer gives features of shape \(1, 101, 64\).*Say --taught 1"):
        PlainFeatures(first_backbone(vit))(torch.zeros(1, 3, 160, 160))
