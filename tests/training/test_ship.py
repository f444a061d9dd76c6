"""A run becomes a bundle that serving opens, with words made from the run's own files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from drawn_photos import draw_photos

from encoder.bundle import load_bundle
from encoder.encode import open_encoder
from encoder.photo import read_photo
from encoder.preprocess import InputShape
from training.config import Config
from training.errors import CheckpointRefused
from training.evaluate import Labelled, figures
from training.export import export_bundle, fold_batch_norms
from training.half import halve
from training.mixture import round_weights
from training.photos import Photos
from training.ship import CARD, YAML, Source, ship, with_calibration
from training.splits import Split
from training.train import train, trained

# The exporter of torch warns of torch's own other parts.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]

SMALL = Config(
    backbone="test_efficientnet",
    weights="none",
    frozen_stages=0,
    dimension=32,
    shape=InputShape("rectangle", 64, 96, "portrait"),
    stages=(),
    photos=64,
    batch=8,
    threads=1,
)
SOURCE = Source("drawn patterns", "CC0-1.0", "none")


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train(SMALL, draw_photos(images), images, out)
    return out


@pytest.fixture(scope="module")
def shipped(run: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "drawn"
    ship(run, folder, table=draw_photos(images), images=images, name="drawn", version="1", source=SOURCE)
    return folder


def test_serving_gives_the_vectors_of_the_trained_module(run: Path, shipped: Path, images: Path) -> None:
    config, module = trained(run)
    rows = draw_photos(images).rows[:6]
    expected = Photos(rows, images, config).embed(module, range(len(rows)))
    for runtime in ("onnxruntime", "openvino"):
        encoder = open_encoder(shipped, runtime=runtime)
        got = np.stack([encoder.encode(read_photo(images / row.path)).vector for row in rows])
        encoder.close()
        assert np.abs(got - expected).max() <= 1e-4


def test_bundle_says_what_it_learned_from_and_how_it_was_judged(run: Path, shipped: Path) -> None:
    bundle = load_bundle(shipped)
    manifest, figures = (json.loads((run / name).read_text()) for name in ("manifest.json", "figures.json"))
    assert bundle.training["data_sha256"] == manifest["whole"]
    assert Config.from_json(bundle.training["config"]) == SMALL
    assert bundle.metrics["of"] == "this run"
    parts = list(json.loads((run / "split.json").read_text())["parts"].values())
    assert 0 < bundle.training["photos"] == parts.count("train") < len(parts)
    assert bundle.metrics["closed"]["top1"] == figures["closed"]["top1"]
    assert bundle.shape == SMALL.shape


def test_card_and_contract_are_written_from_the_bundle(shipped: Path) -> None:
    bundle = load_bundle(shipped)
    card = (shipped / CARD).read_text()
    assert f"{bundle.metrics['closed']['top1']:.3f}" in card
    assert "drawn patterns, CC0-1.0" in card
    lines = dict(line.split(": ", 1) for line in (shipped / YAML).read_text().splitlines())
    given = {name: json.loads(value) for name, value in lines.items()}
    assert given["model_sha256"] == bundle.model_sha256
    assert given["input"]["normalisation"]["mean"] == [0.5, 0.5, 0.5]
    assert given["examples"][0]["vector_begins"] == pytest.approx(bundle.golden[0].vector[:8])


def test_figures_of_a_sibling_are_labelled_so(shipped: Path, images: Path, tmp_path: Path) -> None:
    table = draw_photos(images)
    train(SMALL, table, images, tmp_path / "all", everything=True)
    given = {"table": table, "images": images, "name": "drawn", "version": "2", "source": SOURCE}
    with pytest.raises(CheckpointRefused, match="nothing is left to measure: name its sibling"):
        ship(tmp_path / "all", tmp_path / "bundle", **given)
    bundle = ship(tmp_path / "all", tmp_path / "bundle", sibling=shipped, **given)
    judged = load_bundle(shipped)
    assert f"{judged.id}, a sibling that was taught on the split" in str(bundle.metrics["of"])
    assert bundle.training["photos"] == len(table.rows)
    assert bundle.metrics["closed"] == judged.metrics["closed"]


@pytest.mark.parametrize("sides", [(1.0,), (1.0, 0.5)])
def test_mixture_is_measured_as_it_ships(run: Path, images: Path, tmp_path: Path, sides: tuple[float, ...]) -> None:
    table = draw_photos(images)
    given = {"table": table, "images": images, "name": "m", "version": "1", "source": SOURCE}
    bundle = ship(run, tmp_path / "b", taught=0.5, sides=sides, half=True, **given)
    encoder = open_encoder(bundle.folder)
    split = Split.load(run / "split.json", table, bundle.training["data_sha256"])
    rows = {name: split.rows(table, *name.split()) for name in ("train", "closed stranger")}
    labelled = {
        name: Labelled(of, np.stack([encoder.encode(read_photo(images / row.path)).vector for row in of]))
        for name, of in rows.items()
    }
    encoder.close()
    assert figures(labelled["train"], labelled["closed stranger"])["top1"] == bundle.metrics["closed"]["top1"]
    assert bundle.training["taught_share"] == 0.5


def test_calibration_is_added_and_the_vectors_stay_the_same_bundle(shipped: Path) -> None:
    before = load_bundle(shipped)
    after = with_calibration(before, {"format": 1})
    assert load_bundle(shipped).calibration == {"format": 1} == after.calibration
    assert after.id == before.id


def test_weights_rounded_before_are_stored_in_half_and_give_the_same_vectors(run: Path, tmp_path: Path) -> None:
    config, module = trained(run)
    settings = {"shape": config.shape, "mean": config.mean, "std": config.std, "training": {}, "metrics": {}, "version": "1"}
    rounded = round_weights(fold_batch_norms(module))
    whole = export_bundle(rounded, tmp_path / "rounded", name="r", **settings)
    size, vectors = whole.model.stat().st_size, whole.golden
    half = halve(whole)
    assert half.model.stat().st_size < 0.65 * size
    assert half.golden == vectors


def test_run_that_has_not_ended_is_not_shipped(run: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("checkpoint.pt", "manifest.json", "split.json"):
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    table = draw_photos(images)
    with pytest.raises(CheckpointRefused, match="has not ended"):
        ship(tmp_path / "run", tmp_path / "bundle", table=table, images=images, name="x", version="1", source=SOURCE)
    assert not (tmp_path / "bundle").exists()
