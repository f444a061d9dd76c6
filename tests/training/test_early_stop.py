"""A run that gets no better stops, and keeps the best that was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from small_run import SMALL  # noqa: E402

from training.checkpoint import load_checkpoint  # noqa: E402
from training.evaluate import headline  # noqa: E402
from training.manifest import make_manifest  # noqa: E402
from training.photos import Photos  # noqa: E402
from training.rows import Table  # noqa: E402
from training.splits import Split  # noqa: E402
from training.train import Report, judged, train, trained  # noqa: E402


def test_run_that_gets_no_better_stops_early_and_says_its_figures(images: Path, table: Table, tmp_path: Path) -> None:
    config = replace(SMALL, photos=8 * 60, lr=1e-12, head_lr=1e-12, ema=0.0, evaluate_every=16, patience=2, stages=())
    said: list[int] = []
    train(config, table, images, tmp_path, report=Report(evaluated=lambda step, _: said.append(step)))
    assert 3 <= len(said) < config.steps // 2
    assert said[:3] == [2, 4, 6]
    assert load_checkpoint(tmp_path)["step"] == said[-1] < config.steps


def test_run_that_stops_early_keeps_the_best_that_was_measured(images: Path, table: Table, tmp_path: Path) -> None:
    config = replace(SMALL, photos=8 * 40, lr=0.05, head_lr=0.5, ema=0.0, evaluate_every=16, patience=3, stages=())
    said: list[float] = []
    made = train(config, table, images, tmp_path, report=Report(evaluated=lambda _, figures: said.append(headline(figures))))
    *during, final = said
    assert len(during) > 3
    assert during[-1] < max(during)  # such steps spoil what they had
    assert final == headline(made) == max(during)
    _, encoder = trained(tmp_path)
    rows = Photos(table.rows, images, config).embed(encoder, range(len(table.rows)))
    manifest = make_manifest(table, images)
    split = Split.load(tmp_path / "split.json", table, manifest.whole)
    assert headline(judged(rows, table, split, manifest)) == pytest.approx(final)


def test_run_that_has_stopped_early_is_done_also_when_it_is_resumed(images: Path, table: Table, tmp_path: Path) -> None:
    config = replace(SMALL, photos=8 * 60, lr=1e-12, head_lr=1e-12, ema=0.0, evaluate_every=16, patience=1, stages=())
    figures = train(config, table, images, tmp_path)
    before = load_checkpoint(tmp_path)["step"]
    assert train(config, table, images, tmp_path, resume=True) == figures
    assert load_checkpoint(tmp_path)["step"] == before < config.steps
