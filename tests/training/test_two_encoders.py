"""Two runs of one split make one bundle, and what they began with alike is run once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")

from small_run import SMALL  # noqa: E402

from encoder.bundle import load_bundle  # noqa: E402
from encoder.encode import open_encoder  # noqa: E402
from encoder.photo import read_photo  # noqa: E402
from encoder.preprocess import InputShape  # noqa: E402
from training.answers import Labelled  # noqa: E402
from training.card import card  # noqa: E402
from training.errors import CheckpointRefused, ExportRefused  # noqa: E402
from training.evaluate import figures  # noqa: E402
from training.photos import Photos  # noqa: E402
from training.reopened import reopened  # noqa: E402
from training.rows import Table  # noqa: E402
from training.ship import Making, Source, ship  # noqa: E402
from training.sibling import refuse_other_making  # noqa: E402
from training.splits import Split  # noqa: E402
from training.train import train, trained  # noqa: E402

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]
ONE = dataclasses.replace(SMALL, frozen_stages=2, stages=(), shape=InputShape("square", 96, 96))
TWO = dataclasses.replace(ONE, bands=2, dimension=40, photos=48)
MAKING = Making(0.5, (1.0,), first_side=0.4, bands=3, dimension=12, half=True)


def given(images: Path, table: Table) -> dict[str, Any]:
    return {"table": table, "images": images, "name": "both", "version": "1", "source": Source("drawn", "CC0-1.0", "none")}


@pytest.fixture(scope="module")
def runs(images: Path, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(ONE, table, images, out / "one")
    train(TWO, table, images, out / "two")
    return out


@pytest.fixture(scope="module")
def both(runs: Path, images: Path, table: Table) -> Path:
    ship(runs / "one", runs / "both", making=MAKING, beside=runs / "two", **given(images, table))
    return runs / "both"


def test_two_runs_are_measured_as_they_ship(runs: Path, both: Path, images: Path, table: Table) -> None:
    bundle = load_bundle(both)
    encoder = open_encoder(both)
    split = Split.load(runs / "one" / "split.json", table, bundle.training["data_sha256"])
    gallery, asked = (
        Labelled(rows, np.stack([encoder.encode(read_photo(images / row.path)).vector for row in rows]))
        for rows in (split.rows(table, "train"), split.rows(table, "closed", "stranger"))
    )
    encoder.close()
    assert bundle.dimension == 12
    assert figures(gallery, asked)["top1"] == bundle.metrics["closed"]["top1"]


def test_stages_that_both_have_from_the_first_weights_are_there_once(both: Path) -> None:
    names = [one.name for one in onnx.load(str(both / "model.onnx")).graph.initializer]
    assert len([name for name in names if "conv_stem.weight" in name]) == 2  # theirs, and the first weights' at their own size
    assert len([name for name in names if "conv_head.weight" in name]) == 3


def test_bundle_of_two_runs_holds_both_encoders(runs: Path, both: Path, images: Path, table: Table, tmp_path: Path) -> None:
    one = load_bundle(both)
    (config, first), (its_config, second) = reopened(one), reopened(one, beside=True)
    assert (config, its_config) == (ONE, dataclasses.replace(TWO, bands=1, dimension=20))
    for there, here in ((trained(runs / "one")[1], first), (trained(runs / "two")[1].whole(), second)):
        vectors = [Photos(table.rows, images, ONE).embed(encoder, range(9)) for encoder in (there, here)]
        assert np.abs(vectors[0] - vectors[1]).max() < 5e-3
    two = ship(
        both,
        tmp_path / "again",
        making=dataclasses.replace(MAKING, taught=1.0, first_side=None),
        beside=both,
        **given(images, table),
    )
    assert two.training["beside"]["config"] == one.training["beside"]["config"]
    assert two.training["discriminant_ridge"] == one.training["discriminant_ridge"]
    assert two.training["beside"]["encoder_of"] == two.training["encoder_of"] == one.id


def test_run_goes_on_with_the_second_of_two_of_the_whole_photo_alone(
    runs: Path, both: Path, images: Path, table: Table, tmp_path: Path
) -> None:
    """From the bundle, and from the run that it was made of, which is how the card says to repeat it."""
    hardly = dataclasses.replace(TWO, bands=1, dimension=20, photos=8, lr=1e-9, head_lr=1e-9)
    taught = trained(runs / "two")[1].whole()
    for name, begin, second in (("bundle", both, True), ("run", runs / "two", False)):
        train(hardly, table, images, tmp_path / name, begin=begin, second=second)
        before, after = (Photos(table.rows, images, ONE).embed(one, range(9)) for one in (taught, trained(tmp_path / name)[1]))
        assert (before * after).sum(axis=1).min() > 0.95  # the neck's norm has seen a batch
    with pytest.raises(CheckpointRefused, match="no bundle of two encoders"):
        train(hardly, table, images, tmp_path / "other", begin=runs / "two", second=True)


def test_card_repeats_both_and_a_sibling_is_made_of_both_too(both: Path) -> None:
    bundle = load_bundle(both)
    text = card(bundle)
    assert "flukeprint train --data TABLE --images DIR --out BESIDE-1 --config beside-1.json" in text
    assert "--run RUN-1 --data TABLE --images DIR --beside BESIDE-1 --taught 0.5 --first-side 0.4 --bands 3" in text
    assert "`beside-1.json` is `training.beside.config`" in text
    refuse_other_making(bundle, bundle.training)
    other = {**bundle.training["beside"], "config": bundle.training["beside"]["config"] | {"bands": 1}}
    for training, said in (
        (
            {name: of for name, of in bundle.training.items() if name != "beside"},
            "another run beside it is True there and False",
        ),
        (dict(bundle.training) | {"beside": other}, r"beside\.bands is 2 there and 1 here"),
        (dict(bundle.training) | {"first_side": 0.5}, r"first_side is 0\.4 there and 0\.5 here"),
    ):
        with pytest.raises(CheckpointRefused, match=said):
            refuse_other_making(bundle, training)


@pytest.mark.parametrize(
    ("change", "everything", "said"),
    [
        ({"seed": 4}, False, "another split than"),
        ({"shape": InputShape("square", 64, 64)}, False, "another shape than"),
        ({}, True, "another everything than"),
    ],
)
def test_runs_that_were_taught_or_are_shown_otherwise_make_no_bundle_together(
    runs: Path, images: Path, table: Table, tmp_path: Path, change: dict[str, Any], everything: bool, said: str
) -> None:
    train(dataclasses.replace(ONE, photos=8, **change), table, images, tmp_path / "other", everything=everything)
    with pytest.raises(CheckpointRefused, match=said):
        ship(runs / "one", tmp_path / "both", beside=tmp_path / "other", **given(images, table))
    assert not (tmp_path / "both").exists()


def test_side_of_first_weights_that_are_not_mixed_in_is_refused(runs: Path, images: Path, table: Table, tmp_path: Path) -> None:
    for beside in (None, runs / "two"):
        with pytest.raises(ExportRefused, match=r"--first-side 0\.5 is where the first weights look, .* say --taught"):
            ship(runs / "one", tmp_path / "b", making=Making(first_side=0.5), beside=beside, **given(images, table))
