"""A run that begins with another one's encoder: what it takes over, and from which it does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from small_run import SMALL, states  # noqa: E402

from encoder.preprocess import InputShape  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.config import Augment  # noqa: E402
from training.errors import CheckpointRefused, RunDiverged  # noqa: E402
from training.photos import Photos  # noqa: E402
from training.rows import Table  # noqa: E402
from training.train import train, trained  # noqa: E402


def test_run_goes_on_with_another_at_another_size(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    larger = replace(SMALL, shape=InputShape("square", 96, 96), photos=8, lr=1e-9, head_lr=1e-9, seed=4)
    train(larger, table, images, tmp_path / "more", begin=finished)
    (_, one, heads), (_, two, others) = states(finished), states(tmp_path / "more")
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one if name.endswith("weight"))
    assert all(torch.allclose(heads[name], others[name], atol=1e-6) for name in heads)
    assert json.loads((tmp_path / "more" / "before.json").read_text())[0]["config"] == json.loads(json.dumps(SMALL.as_json()))
    split = [(folder / "split.json").read_text() for folder in (finished, tmp_path / "more")]
    assert split[0] == split[1]  # though its own seed would draw another


def test_only_a_run_that_has_ended_is_gone_on_with(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "before")
    (tmp_path / "before" / "figures.json").unlink()
    with pytest.raises(CheckpointRefused, match="has not ended"):
        train(SMALL, table, images, tmp_path / "run", begin=tmp_path / "before")


def test_what_a_killed_run_said_of_those_before_it_is_not_said_of_the_next(
    images: Path, table: Table, finished: Path, tmp_path: Path
) -> None:
    short = replace(SMALL, photos=8)
    train(short, table, images, tmp_path, begin=finished)
    (tmp_path / "checkpoint.pt").unlink()  # as where it was killed before its first
    train(short, table, images, tmp_path)
    assert not (tmp_path / "before.json").exists()


@pytest.mark.parametrize(("loss", "mirror"), [("arcface", "never"), ("subcenter", "other"), ("softmax", "other")])
def test_individuals_that_the_run_before_was_not_taught_begin_at_the_mean_of_their_photos(
    images: Path, table: Table, finished: Path, tmp_path: Path, loss: str, mirror: str
) -> None:
    config = replace(SMALL, loss=loss, augment=Augment(mirror=mirror), photos=8, lr=1e-9, head_lr=1e-9, stages=())
    train(config, table, images, tmp_path, everything=True, begin=finished)
    _, encoder = trained(tmp_path)
    vectors = torch.from_numpy(Photos(table.rows, images, config).embed(encoder, range(len(table.rows))))
    own = torch.tensor([sorted({row.identity for row in table.rows}).index(row.identity) for row in table.rows])
    centers = torch.nn.functional.normalize(states(tmp_path)[2]["W"], dim=0)
    for center in range(2 if loss == "subcenter" else 1):
        names = centers[:, center :: 2 if loss == "subcenter" else 1][:, : len(own.unique())]
        means = torch.stack([torch.nn.functional.normalize(vectors[own == one].mean(0), dim=0) for one in own.unique()], 1)
        assert ((names * means).sum(0) > 0.9).all()


def test_run_that_begins_with_what_does_not_fit_is_refused(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefused, match="another encoder"):
        train(replace(SMALL, dimension=16), table, images, tmp_path / "one", begin=finished)
    train(SMALL, table, images, tmp_path / "all", everything=True)
    with pytest.raises(CheckpointRefused, match="was taught everything"):
        train(SMALL, table, images, tmp_path / "two", begin=tmp_path / "all")


def test_run_that_did_not_begin_with_another_does_not_go_on_with_it(
    images: Path, table: Table, finished: Path, tmp_path: Path
) -> None:
    train(SMALL, table, images, tmp_path)
    with pytest.raises(CheckpointRefused, match="did not begin with another"):
        train(SMALL, table, images, tmp_path, resume=True, begin=finished)


def test_run_whose_loss_is_no_number_ends_and_keeps_what_was_saved(images: Path, table: Table, tmp_path: Path) -> None:
    with pytest.raises(RunDiverged, match="lower rates: lr is 1e"):
        train(replace(SMALL, lr=1e30, head_lr=1e30, save_every_s=1e-9), table, images, tmp_path)
    kept = load_checkpoint(tmp_path)
    assert kept is None or all(one.isfinite().all() for one in kept["model"].values())
