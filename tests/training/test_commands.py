"""From a table of photos to a bundle that answers, by the commands of the docs alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from drawn_photos import draw_photos

import cli
from encoder.bundle import load_bundle
from training.table import write_csv

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]

CONFIG = """
backbone = "test_efficientnet"
weights = "none"
frozen_stages = 0
dimension = 32
stages = []
photos = 128
batch = 8
threads = 1
shape = {rule = "square", width = 64, height = 64, turn = "none"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "photos").mkdir()
    write_csv(draw_photos(tmp_path / "photos").rows, tmp_path / "table.csv")
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


def test_train_make_evaluate_add_and_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", str(folder / "table.csv"), "--images", str(folder / "photos")]

    def run(*words: object) -> str:
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, err
        told.append(err)
        return out

    told: list[str] = []
    taught = json.loads(run("train", *given, "--out", folder / "run", "--config", folder / "config.toml", "--json"))
    assert {"closed", "stranger"} <= set(taught["figures"])
    assert "epoch 1: loss" in told[0]
    assert (
        json.loads(run("train", *given, "--out", folder / "run", "--config", folder / "config.toml", "--resume", "--json"))
        == taught
    )
    made = json.loads(
        run("bundles", "make", "--run", folder / "run", *given, "--licence", "CC0-1.0", "--out", folder / "b", "--json")
    )
    assert made["id"] == load_bundle(folder / "b").id
    tables = ["--gallery", folder / "table.csv", "--query", folder / "table.csv", "--images", folder / "photos"]
    judged = json.loads(run("evaluate", "--bundle", folder / "b", *tables, "--json"))
    assert judged["bundle"] == made["id"]
    assert judged["n_known"] == 36
    run("bundles", "add", folder / "b")
    run("import", folder / "table.csv", "--images", folder / "photos")
    run("bundles", "use", made["id"])
    assert json.loads(run("identify", folder / "photos" / "0-0-0.png", "--json"))["bundle"] == made["id"]


def test_rows_that_poison_are_refused_before_anything_is_taught(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "0-0-0.png").unlink()
    code = cli.main(
        ["train", "--data", str(folder / "table.csv"), "--images", str(folder / "photos"), "--out", str(folder / "run")]
    )
    assert code == 1
    assert "1 rows must be mended or left out first" in capsys.readouterr().err
    assert not (folder / "run").exists()
