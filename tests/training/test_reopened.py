"""A bundle holds the encoder that was taught: it is made again from it, and gone on with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from drawn_photos import draw_photos  # noqa: E402
from small_run import SMALL  # noqa: E402

from encoder.bundle import load_bundle  # noqa: E402
from encoder.golden import golden_photo  # noqa: E402
from encoder.preprocess import InputShape, to_tensor  # noqa: E402
from training.ended import ended  # noqa: E402
from training.errors import CheckpointRefused  # noqa: E402
from training.export import Normalised, fold_batch_norms  # noqa: E402
from training.mixture import Look, Mixture, PlainFeatures, Siblings, common_trunk, round_weights  # noqa: E402
from training.model import first_backbone  # noqa: E402
from training.photos import Photos  # noqa: E402
from training.reopened import reopened  # noqa: E402
from training.rows import Table  # noqa: E402
from training.ship import Making, Source, ship  # noqa: E402
from training.train import train, trained  # noqa: E402

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]
WEIGHTS_OF = "beluga-lite0-judged"

IN_BANDS = dataclasses.replace(SMALL, bands=2, stages=(), shape=InputShape("square", 96, 96))


@pytest.fixture(scope="module")
def in_bands(images: Path, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose encoder was taught in bands too."""
    out = tmp_path_factory.mktemp("bands")
    train(IN_BANDS, table, images, out)
    return out


def given(images: Path, table: Table, name: str = "one") -> dict[str, Any]:
    return {"table": table, "images": images, "name": name, "version": "1", "source": Source("drawn", "CC0-1.0", "none")}


@pytest.mark.parametrize(
    "making",
    [Making(), Making(sides=(1.0, 0.5), dimension=8), Making(taught=0.5, half=True), Making(bands=2, dimension=8, half=True)],
)
def test_bundle_made_of_a_bundle_is_the_same_again(
    finished: Path, images: Path, table: Table, tmp_path: Path, making: Making
) -> None:
    one = ship(finished, tmp_path / "one", making=making, **given(images, table))
    config, encoder = reopened(one)
    assert config == SMALL
    vectors = [Photos(table.rows, images, SMALL).embed(made, range(9)) for made in (trained(finished)[1], encoder)]
    assert np.abs(vectors[0] - vectors[1]).max() < (5e-3 if making.half else 1e-5)
    if making.taught < 1:  # its first weights were drawn, and are in no file
        return
    two = ship(one.folder, tmp_path / "two", making=making, **given(images, table, "two"))
    before, after = (np.array([golden.vector for golden in made.golden]) for made in (one, two))
    turned = before @ before.T, after @ after.T  # a discriminant's directions have no sign of their own
    assert np.abs(turned[0] - turned[1]).max() < (2e-2 if making.half else 1e-3)
    for figure in ("top1", "auroc"):
        assert two.metrics["closed"][figure] == pytest.approx(one.metrics["closed"][figure], abs=1e-6)
    assert two.training["encoder_of"] == one.id
    assert {k: v for k, v in two.training.items() if k != "encoder_of"} == dict(one.training)
    assert one.id in (two.folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("making", [Making(), Making(sides=(1.0, 0.5), dimension=8), Making(taught=0.5, half=True)])
def test_encoder_that_was_taught_in_bands_is_whole_in_its_bundle(
    in_bands: Path, images: Path, table: Table, tmp_path: Path, making: Making
) -> None:
    bundle = ship(in_bands, tmp_path / "bundle", making=making, **given(images, table))
    config, encoder = reopened(bundle)
    assert config == IN_BANDS
    vectors = [Photos(table.rows, images, IN_BANDS).embed(made, range(9)) for made in (trained(in_bands)[1], encoder)]
    assert np.abs(vectors[0] - vectors[1]).max() < (5e-3 if making.half else 1e-5)


def test_encoder_of_the_shipped_mixture_is_whole_and_shares_its_trunk_with_the_first_weights(root: Path) -> None:
    """Put together anew with the projection that is stored, it gives the golden vectors."""
    bundle = load_bundle(root / "bundles" / WEIGHTS_OF)
    config, encoder = reopened(bundle)
    _, other = reopened(bundle, beside=True)
    first = PlainFeatures(first_backbone(config)).eval()
    assert common_trunk([encoder, other, first]) is not None
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(str(bundle.model)).graph.initializer}
    matrix = stored["module.project.weight_16"].astype(np.float32).T
    looks = [Siblings([encoder, other], (0.25, 0.25), 0.9), Look(first, 0.45)]
    mixture = round_weights(fold_batch_norms(Mixture(looks, [1.0, 0.5], np.zeros(len(matrix)), matrix).eval()))
    with torch.inference_mode():
        mixture.project.bias.copy_(torch.from_numpy(stored["module.project.bias"]))  # type: ignore[operator, union-attr]
        for golden in bundle.golden:
            pixels = to_tensor(golden_photo(golden.photo), bundle.shape.fit(320, 240), bundle.mean, bundle.std)
            vector, norm = Normalised(mixture)(torch.from_numpy(pixels))
            assert np.abs(vector.numpy()[0] - np.array(golden.vector)).max() < 1e-4
            assert float(norm) == pytest.approx(golden.norm, rel=1e-4)


def test_run_goes_on_with_a_bundles_encoder_on_other_photos(finished: Path, images: Path, table: Table, tmp_path: Path) -> None:
    bundle = ship(finished, tmp_path / "bundle", **given(images, table))
    (tmp_path / "others").mkdir()
    others = draw_photos(tmp_path / "others", individuals=4)
    train(
        dataclasses.replace(SMALL, photos=8, lr=1e-9, head_lr=1e-9),
        others,
        tmp_path / "others",
        tmp_path / "more",
        begin=bundle.folder,
    )
    one, two = ended(bundle.folder), ended(tmp_path / "more")
    assert two.history[0] == json.loads(json.dumps({"config": SMALL.as_json(), "everything": False, "bundle": bundle.id}))
    weights = [name for name in one.average if name.endswith("weight")]
    assert all(torch.allclose(one.average[name], two.average[name], atol=1e-3) for name in weights)
    train(dataclasses.replace(SMALL, photos=8), table, images, tmp_path / "same", begin=bundle.folder)
    assert (tmp_path / "same" / "split.json").read_text() == (finished / "split.json").read_text()
    with pytest.raises(CheckpointRefused, match="was taught other photos"):
        ship(bundle.folder, tmp_path / "b", **given(tmp_path / "others", others))


def test_bundle_of_everything_holds_nothing_back(finished: Path, images: Path, table: Table, tmp_path: Path) -> None:
    judged = ship(finished, tmp_path / "judged", **given(images, table))
    train(SMALL, table, images, tmp_path / "all", everything=True)
    bundle = ship(tmp_path / "all", tmp_path / "bundle", sibling=judged.folder, **given(images, table))
    with pytest.raises(CheckpointRefused, match="was taught everything"):
        train(dataclasses.replace(SMALL, photos=8), table, images, tmp_path / "more", begin=bundle.folder)


def test_bundle_of_no_run_has_no_encoder_to_go_on_with(root: Path) -> None:
    with pytest.raises(CheckpointRefused, match="was not made of a run"):
        ended(root / "bundles" / "starter-lite0")


def test_bundle_whose_tensors_have_other_names_is_refused(finished: Path, images: Path, table: Table, tmp_path: Path) -> None:
    bundle = ship(finished, tmp_path / "bundle", **given(images, table))
    model = onnx.load(str(bundle.model))
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("pool.power", "power")
    onnx.save(model, str(bundle.model))
    with pytest.raises(
        CheckpointRefused, match=r"does not hold 1 of its encoder's tensors under their names, first pool\.power"
    ):
        reopened(bundle)
