"""A data folder that is mistyped answers nothing, also after what would have begun a catalogue there was refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from said import ROOT, Run


@pytest.mark.parametrize(
    "words",
    [
        ("import", "gone.csv"),
        ("enrol", "--name", "Kelp", "gone.jpg"),
        ("enrol", "--name", "Kelp", "--date", "2019-07-31", __file__),
        ("bundles", "use", "gone"),
    ],
    ids=" ".join,
)
def test_what_is_refused_leaves_no_folder_that_answers(run: Run, photos: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(*words).code == 1
    assert not (tmp_path / "data").exists()
    asked = run("identify", photos / "W0" / "0-0.jpg")
    assert (asked.code, "There is no catalogue" in asked.err) == (1, True)
    assert not (tmp_path / "data").exists()


def test_serving_that_is_refused_leaves_none_either(tmp_path: Path) -> None:
    words = ("serve", "--host", "0.0.0.0", "--data-dir", tmp_path / "data")  # without a key
    command = [sys.executable, "-m", "cli", *map(str, words)]  # of its own: a service sets up its process
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, "there is no key yet" in done.stderr) == (1, True)
    assert not (tmp_path / "data").exists()


def test_a_bundle_that_is_set_and_is_none_leaves_no_folder(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUKEPRINT_BUNDLE", str(tmp_path / "none"))
    assert run("import", photos).code == 1
    assert not (tmp_path / "data").exists()


def test_what_was_there_before_a_refusal_stays(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert run("import", "gone.csv").code == 1
    assert (tmp_path / "data" / "catalogue.db").is_file()  # whoever made the folder meant it
    assert run("keys", "create", "--role", "admin", "--data-dir", tmp_path / "keys").code == 0
    assert run("enrol", "--name", "Kelp", "gone.jpg", "--data-dir", tmp_path / "keys").code == 1
    assert len(run("keys", "list", "--json", "--data-dir", tmp_path / "keys").json["keys"]) == 1
    rows = tmp_path / "rows.csv"
    rows.write_text("path,identity\ngone.jpg,Kelp\n")
    assert run("import", rows, "--data-dir", tmp_path / "aside").code == 1  # which has rows to be mended
    assert (tmp_path / "aside" / "set-aside" / "import-1.csv").is_file()
    assert run("enrol", "--name", "Kelp", photos / "W0" / "0-0.jpg", "gone.jpg", "--data-dir", tmp_path / "half").code == 1
    assert len(run("individuals", "--json", "--data-dir", tmp_path / "half").json["individuals"]) == 1
