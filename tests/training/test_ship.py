"""A run becomes a bundle that serving opens, with words made from the run's own files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from drawn_photos import draw_photos  # noqa: E402

from encoder.bundle import load_bundle  # noqa: E402
from encoder.encode import open_encoder  # noqa: E402
from encoder.photo import read_photo  # noqa: E402
from encoder.preprocess import InputShape  # noqa: E402
from training.answers import Labelled  # noqa: E402
from training.card import CARD, YAML, card  # noqa: E402
from training.config import Config  # noqa: E402
from training.errors import CheckpointRefused, ExportRefused  # noqa: E402
from training.evaluate import figures  # noqa: E402
from training.export import export_bundle, fold_batch_norms  # noqa: E402
from training.half import halve  # noqa: E402
from training.mixture import round_weights  # noqa: E402
from training.photos import MANY, Photos  # noqa: E402
from training.rows import NEW  # noqa: E402
from training.ship import HELD, Making, Source, ship, with_calibration  # noqa: E402
from training.splits import Split  # noqa: E402
from training.train import train, trained  # noqa: E402

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
    held = bundle.metrics["runtimes"]
    assert held["photos"] == len(range(0, len(parts), -(-len(parts) // HELD)))
    assert all(0 < difference <= 1e-4 for difference in held["largest_difference"].values())


def test_card_and_contract_are_written_from_the_bundle(shipped: Path) -> None:
    bundle = load_bundle(shipped)
    words = (shipped / CARD).read_text()
    assert f"{bundle.metrics['closed']['top1']:.3f}" in words
    assert "drawn patterns, CC0-1.0" in words
    assert words == card(bundle)
    lines = dict(line.split(": ", 1) for line in (shipped / YAML).read_text().splitlines())
    given = {name: json.loads(value) for name, value in lines.items()}
    assert given["model_sha256"] == bundle.model_sha256
    assert given["input"]["normalisation"]["mean"] == [0.5, 0.5, 0.5]
    assert given["examples"][0]["vector_begins"] == pytest.approx(bundle.golden[0].vector[:8])


def test_figures_of_a_sibling_are_labelled_so(shipped: Path, run: Path, images: Path, tmp_path: Path) -> None:
    table = draw_photos(images)
    named = len(table.rows) - 4
    table = dataclasses.replace(
        table, rows=(*table.rows[:named], *(dataclasses.replace(row, identity=NEW) for row in table.rows[named:]))
    )
    train(SMALL, table, images, tmp_path / "all", everything=True)
    given = {"table": table, "images": images, "name": "drawn", "version": "2", "source": SOURCE}
    with pytest.raises(CheckpointRefused, match="nothing is left to measure: name its sibling"):
        ship(tmp_path / "all", tmp_path / "bundle", **given)
    with pytest.raises(CheckpointRefused, match=r"made otherwise.*taught_share is 1.0 there and 0.5 here"):
        ship(tmp_path / "all", tmp_path / "bundle", sibling=shipped, making=Making(taught=0.5), **given)
    bundle = ship(tmp_path / "all", tmp_path / "bundle", sibling=shipped, **given)
    judged = load_bundle(shipped)
    assert f"{judged.id}, a sibling that was taught on the split" in str(bundle.metrics["of"])
    assert bundle.training["photos"] == named  # what nobody knows is no animal to learn
    with pytest.raises(CheckpointRefused, match="leave the sibling out"):
        ship(run, tmp_path / "other", sibling=shipped, **given)
    assert bundle.metrics["closed"] == judged.metrics["closed"]


def test_making_that_ends_before_its_last_word_leaves_what_was_there(
    run: Path, shipped: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise KeyboardInterrupt

    there = Path(shutil.copytree(shipped, tmp_path / "there"))
    before = {file.name: file.read_bytes() for file in there.iterdir()}
    monkeypatch.setattr("training.ship.write_words", killed)
    given = {"table": draw_photos(images), "images": images, "name": "drawn", "version": "2", "source": SOURCE}
    for folder in (tmp_path / "new", there):
        with pytest.raises(KeyboardInterrupt):
            ship(run, folder, **given)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert {file.name: file.read_bytes() for file in there.iterdir()} == before


@pytest.mark.parametrize(
    ("making", "said"),
    [
        (Making(taught=0.5, half=True), ["--taught", "0.5"]),
        (Making(taught=0.5, sides=(1.0, 0.5), half=True), ["--taught", "0.5", "--sides", "1", "0.5"]),
        (Making(bands=2, dimension=6, half=True), ["--bands", "2", "--dimension", "6"]),
        (
            Making(0.5, (1.0, 0.5), bands=2, dimension=5, half=True),
            ["--taught", "0.5", "--sides", "1", "0.5", "--bands", "2", "--dimension", "5"],
        ),
    ],
)
def test_mixture_is_measured_as_it_ships(run: Path, images: Path, tmp_path: Path, making: Making, said: list[str]) -> None:
    table = draw_photos(images)
    given = {"table": table, "images": images, "name": "m", "version": "1", "source": SOURCE}
    bundle = ship(run, tmp_path / "b", making=making, **given)
    encoder = open_encoder(bundle.folder)
    split = Split.load(run / "split.json", table, bundle.training["data_sha256"])
    rows = {name: split.rows(table, *name.split()) for name in ("train", "closed stranger")}
    labelled = {
        name: Labelled(of, np.stack([encoder.encode(read_photo(images / row.path)).vector for row in of]))
        for name, of in rows.items()
    }
    encoder.close()
    assert figures(labelled["train"], labelled["closed stranger"])["top1"] == bundle.metrics["closed"]["top1"]
    assert bundle.training["taught_share"] == making.taught
    assert making.dimension in (None, bundle.dimension)
    assert " ".join(["--images", "DIR", *said, "--half", "--data-name"]) in card(bundle)


@pytest.mark.parametrize(
    ("making", "said"),
    [
        (Making(bands=4), "4 bands were asked for of features 3 high: expected --bands 1 to 3"),
        (Making(dimension=5), "--dimension 5 is of a mixture"),
    ],
)
def test_making_that_cannot_be_says_what_can(run: Path, images: Path, tmp_path: Path, making: Making, said: str) -> None:
    given = {"table": draw_photos(images), "images": images, "name": "m", "version": "1", "source": SOURCE}
    with pytest.raises(ExportRefused, match=said):
        ship(run, tmp_path / "b", making=making, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "b").exists()


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


def test_run_that_was_taught_on_a_gpu_becomes_a_bundle_on_any_machine(run: Path, images: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    state["config"] = json.dumps(json.loads(state["config"]) | {"device": "cuda"})
    torch.save(state, folder / "checkpoint.pt")
    given = {"images": images, "name": "g", "version": "1", "source": SOURCE}
    bundle = ship(folder, tmp_path / "b", table=draw_photos(images), making=Making(taught=0.5), **given)
    assert bundle.training["config"]["device"] == "cuda"


def test_transformer_ships_and_is_not_mixed(images: Path, tmp_path: Path) -> None:
    """Attention takes one size, and its features are no map."""
    config = dataclasses.replace(SMALL, backbone="test_vit", shape=InputShape("square", 64, 64), photos=16)
    table = draw_photos(images)
    train(config, table, images, tmp_path / "run")
    given = {"table": table, "images": images, "name": "v", "version": "1", "source": SOURCE}
    refused = (
        (Making(taught=0.5), r"VisionTransformer gives features of .* --taught 1"),
        (Making(sides=(1.0, 0.5)), "--sides 1"),
        (Making(bands=3), r"cannot be pooled in bands: .* --bands 1"),
    )
    for making, said in refused:
        with pytest.raises(ExportRefused, match=said):
            ship(tmp_path / "run", tmp_path / "b", making=making, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "b").exists()
    bundle = ship(tmp_path / "run", tmp_path / "b", **given)  # type: ignore[arg-type]
    module = trained(tmp_path / "run")[1]
    rows = table.rows[:3]
    expected = Photos(rows, images, config).embed(module, range(3))
    many = Photos(rows, images, config).embed(module, [index % 3 for index in range(MANY)])  # by OpenVINO
    assert np.abs(many[:3] - expected).max() <= 1e-4
    encoder = open_encoder(bundle.folder)
    got = np.stack([encoder.encode(read_photo(images / row.path)).vector for row in rows])
    encoder.close()
    assert np.abs(got - expected).max() <= 1e-4
