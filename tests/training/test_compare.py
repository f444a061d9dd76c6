"""The table of ways of making vectors, of a run that is small enough to finish here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from drawn_photos import TINY, draw_photos

from training import compare
from training.config import Config, changed
from training.table import write_csv
from training.train import train


def test_each_way_of_making_vectors_is_a_row_of_the_split_that_the_run_was_judged_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = draw_photos(tmp_path)
    write_csv(table.rows, tmp_path / "table.csv")
    made = train(
        changed(changed(Config(), TINY), {"shape": {"rule": "square", "width": 96, "height": 96, "turn": "none"}}),
        table,
        tmp_path,
        tmp_path / "run",
    )
    monkeypatch.setattr(compare, "DIMENSIONS", (8,))
    monkeypatch.setattr(sys, "argv", ["compare", "--run", str(tmp_path / "run"), "--data", str(tmp_path / "table.csv")])
    compare.main()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in capsys.readouterr().out.splitlines()}
    assert float(rows["taught"][0]) == pytest.approx(made["closed"]["top1"], abs=6e-4)
    assert float(rows["taught"][1]) == pytest.approx(made["closed"]["cross_encounter"]["top1"], abs=6e-4)
    assert all(len(cells) == 6 for name, cells in rows.items() if not name.startswith("---"))
    assert "taught at both sides, first weights, discriminant to 8" in rows
