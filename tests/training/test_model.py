"""Every preset makes an encoder, and what cannot be made says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
timm = pytest.importorskip("timm", reason="needs the extra train")

from encoder.preprocess import InputShape  # noqa: E402
from training.config import PRESETS, Config  # noqa: E402
from training.errors import ConfigRefused  # noqa: E402
from training.model import make_embedder  # noqa: E402

SIDE = InputShape("square", 160, 160)
VIT = Config(backbone="test_vit", weights="none", frozen_stages=0, stages=(), dimension=16, shape=SIDE)

BANDED = Config(backbone="test_efficientnet", weights="none", frozen_stages=0, dimension=24, bands=2)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_makes_an_encoder_that_takes_its_shape(name: str) -> None:
    config = replace(PRESETS[name], weights="none")
    module = make_embedder(config).eval()
    with torch.inference_mode():
        made = module(torch.zeros(1, 3, config.shape.height, config.shape.width))
    assert made.shape == (1, config.dimension)
    frozen = [parameter for parameter in module.backbone.parameters() if not parameter.requires_grad]
    assert bool(frozen) == bool(config.frozen_stages)


def test_network_of_one_size_is_brought_to_the_shape_and_knows_no_smaller_stages() -> None:
    config = replace(VIT, shape=InputShape("rectangle", 96, 64))
    assert make_embedder(config).eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 16)
    for change in ({"stages": ((0.5, 0.5),)}, {"shape": InputShape("budget", 160, 160)}):
        with pytest.raises(ConfigRefused, match="test_vit takes one size only: expected the rule square"):
            make_embedder(replace(VIT, **change))  # type: ignore[arg-type]


def test_network_that_keeps_its_one_size_is_refused_at_another() -> None:
    with pytest.raises(ConfigRefused, match=r"MlpMixer takes 224 x 224 pixels only.* 96 x 64 was asked for"):
        make_embedder(replace(VIT, backbone="resmlp_12_224", shape=InputShape("rectangle", 96, 64)))


def test_bands_are_pooled_from_top_to_bottom_and_have_half_of_the_embedding() -> None:
    config = replace(BANDED, frozen_stages=2)
    module = make_embedder(config).eval()
    for neck in module.bands:
        neck[1].running_mean.normal_()
    pixels = torch.randn(2, 3, 160, 96)
    with torch.inference_mode():
        features = module.backbone.forward_features(pixels)
        whole, *bands = module(pixels).split([12, 6, 6], dim=1)
        assert torch.allclose(whole, module.norm(module.project(module.pool(features))))
        for band, neck, some in zip(bands, module.bands, (features[:, :, :2], features[:, :, 2:]), strict=True):
            assert torch.allclose(band, neck(module.pool(some)))
        trunk = module.trunk()
        assert trunk is not None
        assert torch.allclose(module.pooled_from(trunk(pixels)), module.pooled(pixels), atol=1e-5)


def test_bands_of_what_has_no_rows_or_too_few_are_refused() -> None:
    with pytest.raises(ConfigRefused, match=r"bands is 2, of features 1 high: expected 1 to 1, or larger photos"):
        make_embedder(BANDED).eval()(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ConfigRefused, match=r"bands is 2, but VisionTransformer gives .*: expected a convolutional network"):
        make_embedder(replace(VIT, bands=2)).eval()(torch.zeros(1, 3, 160, 160))


def test_more_frozen_stages_than_there_are_is_refused() -> None:
    config = replace(Config(), backbone="test_efficientnet", weights="none")
    with pytest.raises(ConfigRefused, match=r"frozen_stages is 99, but EfficientNet has \d stages: expected 0 to"):
        make_embedder(replace(config, frozen_stages=99))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_that_are_damaged_are_refused_by_name(name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    config = replace(VIT, weights=str(source))
    with pytest.raises(ConfigRefused, match=f"no file of weights at .*{name}"):
        make_embedder(config)
    source.write_bytes(b"\x20\x00\x00\x00\x00\x00\x00\x00{not json")
    with pytest.raises(ConfigRefused, match=rf"{name} cannot be read as weights .*expected tensors by name"):
        make_embedder(config)
