"""The table of choices: each row is one change, and states what its run measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from drawn_photos import TINY, draw_photos

from training import choices
from training.config import Config, changed
from training.table import write_csv


def test_every_choice_differs_from_the_first_in_one_setting() -> None:
    base = changed(Config(), choices.BASE)
    first, *others = (changed(base, change) for change in choices.CHOICES.values())
    assert first == base
    for made in others:
        assert sum(made.as_json()[name] != value for name, value in base.as_json().items()) == 1


def test_table_holds_a_row_a_run_and_a_run_that_has_ended_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(draw_photos(tmp_path).rows, tmp_path / "table.csv")
    monkeypatch.setattr(choices, "BASE", TINY)
    monkeypatch.setattr(choices, "CHOICES", {"as it is": {}, "softmax": {"loss": "softmax"}, "neither": {}})
    asked = ["choices", "--data", str(tmp_path / "table.csv"), "--out", str(tmp_path / "runs"), "--only", "s"]
    monkeypatch.setattr(sys, "argv", asked)
    choices.main()
    table = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| as it is", "| softmax"]
    made = json.loads((tmp_path / "runs" / "01" / "figures.json").read_text())
    assert table[3].startswith(f"| softmax | {made['closed']['top1']:.3f} |")
    changed_at = (tmp_path / "runs" / "01" / "checkpoint.pt").stat().st_mtime_ns
    choices.main()
    assert capsys.readouterr().out.splitlines() == table
    assert (tmp_path / "runs" / "01" / "checkpoint.pt").stat().st_mtime_ns == changed_at
