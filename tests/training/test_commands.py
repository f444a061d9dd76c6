"""From a table of photos to a bundle that answers, by the commands of the docs alone."""

from __future__ import annotations

import csv
import json
import shlex
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
    said = capsys.readouterr().err
    assert "1 rows must be mended or left out first" in said
    assert f"All stand in {folder / 'run' / 'findings.csv'}" in said
    assert [path.name for path in (folder / "run").iterdir()] == ["findings.csv"]


def test_every_finding_can_be_seen_and_none_reaches_the_screen_raw(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"absent{n}.png,w{n % 2},2020-01-01" for n in range(30)] + ["x\x1b[2J.png,w1,2999-01-01"]
    (folder / "table.csv").write_text("path,identity,date\n" + "\n".join(rows) + "\n")
    assert cli.main(["train", "--data", str(folder / "table.csv"), "--out", str(folder / "run")]) == 1
    said = capsys.readouterr().err
    assert f"and 22 more findings; all stand in {folder / 'run' / 'findings.csv'}" in said
    assert "\x1b" not in said
    assert "\\n" not in said
    with (folder / "run" / "findings.csv").open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [one["kind"] for one in kept].count("photo-missing") == 31
    assert [one["message"] for one in kept if one["kind"] == "future"] == ["the date 2999-01-01 has not come yet"]


def test_a_run_goes_on_with_its_own_settings_and_says_how_a_bundle_is_made_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder an individual, in a folder whose name needs quotes, to a bundle by the command that was printed."""
    photos, out = folder / "my whales", folder / "my run"
    for photo in (folder / "photos").iterdir():
        (photos / photo.name[0]).mkdir(parents=True, exist_ok=True)
        photo.rename(photos / photo.name[0] / photo.name)
    (photos / "loose.png").touch()
    given = ["train", "--data", str(photos), "--out", str(out)]
    assert cli.main([*given, "--config", str(folder / "config.toml"), "--json"]) == 0
    taught, err = capsys.readouterr()
    assert [one["kind"] for one in json.loads(taught)["findings"]] == ["loose"]
    assert sum(line.startswith("epoch ") for line in err.splitlines()) >= 4  # 128 shown of at most 29 taught
    kept = (out / "findings.csv").read_text()
    (photos / "loose.png").unlink()
    assert cli.main(given) == 1
    assert "holds a run already. Go on with it by --resume" in capsys.readouterr().err
    assert (out / "findings.csv").read_text() == kept
    (photos / "loose.png").touch()
    assert cli.main([*given, "--resume"]) == 0
    said = capsys.readouterr().out
    words = shlex.split(said.partition("for LICENCE: flukeprint ")[2])
    assert cli.main(words) == 0, capsys.readouterr().err
    assert load_bundle(out / "bundle").name == "my-run"
    assert "left out" in capsys.readouterr().err


def test_a_run_that_held_nothing_back_is_resumed_as_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train", "--data", str(folder / "table.csv"), "--images", str(folder / "photos"), "--out", str(folder / "run")]
    assert cli.main([*given, "--config", str(folder / "config.toml"), "--everything"]) == 0
    assert "--sibling BUNDLE_OF_THE_JUDGED_RUN" in capsys.readouterr().out
    assert cli.main([*given, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"] == {}
    assert cli.main([*given, "--resume", "--preset", "lite2"]) == 1
    refused = capsys.readouterr().err
    assert "holds another run: " in refused
    assert "backbone was test_efficientnet and is tf_efficientnet_lite2" in refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--data", "TABLE", "--out", "o", "--begin", "none"], "--begin none holds no run: expected a folder"),
        (
            ["train", "--data", "TABLE", "--out", "none", "--resume"],
            "There is no checkpoint at none: expected the folder of a run",
        ),
        (["bundles", "make", "--run", "none", "--data", "TABLE", "--licence", "x", "--out", "o"], "--run none holds no run"),
        (["bundles", "make", "--timm", "t", "--licence", "x", "--out", "photos"], "--out photos is there already"),
        (["bundles", "make", "--timm", "t", "--licence", "x", "--out", "table.csv"], "--out table.csv is there already"),
        (["bundles", "make", "--run", "r", "--name", "a b", "--licence", "x", "--out", "o"], "--name 'a b' cannot be"),
        (["bundles", "make", "--timm", "t", "--version", "1/2", "--licence", "x", "--out", "o"], "--version '1/2' cannot be"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(folder)
    assert cli.main([str(folder / "table.csv") if word == "TABLE" else word for word in words]) == 1
    assert said in capsys.readouterr().err
    assert not (folder / "o").exists()
