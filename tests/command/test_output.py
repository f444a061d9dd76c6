"""What reaches the terminal: the right channels, names that it cannot hold, readers that leave."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from said import ROOT, Run


def test_the_installed_command_speaks_on_the_right_channels(tmp_path: Path, photos: Path) -> None:
    """As a program of its own: the answer alone on stdout, no progress bar where no terminal looks."""
    command = [sys.executable, "-m", "cli", "import", str(photos), "--data-dir", str(tmp_path / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["enrolled"] == 9


def spoken(encoding: str, folder: Path, *words: object) -> subprocess.CompletedProcess[bytes]:
    """As a program whose output must be in this encoding."""
    command = [sys.executable, "-m", "cli", *map(os.fsencode, map(str, words)), "--data-dir", str(folder)]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, timeout=120, check=False, cwd=ROOT, env=environment)


def test_names_that_the_output_cannot_hold_are_spelled_out_and_never_a_failure(photos: Path, tmp_path: Path) -> None:
    photo, data = tmp_path / "IM2\udcff.jpg", tmp_path / "data"
    shutil.copy(photos / "W0" / "0-0.jpg", photo)
    done = spoken("utf-8:strict", data, "enrol", "--name", "Ünï – 鯨🐋", photo)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"IM2\\udcff.jpg: enrolled as sighting 1" in done.stdout
    told = json.loads(spoken("utf-8:strict", data, "enrol", "--name", "Ünï – 鯨🐋", photo, "--json").stdout)
    assert told["photos"][0]["photo"] == "IM2\\udcff.jpg"  # as the catalogue keeps it
    shown = spoken("latin-1", data, "individuals")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "Ünï \\u2013 \\u9be8".encode("latin-1") in shown.stdout
    listed = json.loads(spoken("ascii", data, "individuals", "--json").stdout)
    assert listed["individuals"][0]["name"] == "Ünï – 鯨🐋"


def test_what_a_photo_is_called_does_not_reach_the_terminal_raw(run: Run, photos: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a\nb\x1b[2J\u202e.jpg"
    shutil.copy(photos / "W0" / "0-0.jpg", photo)
    (tmp_path / "c\x1b[2J.jpg").write_bytes(b"nothing")
    told = [run("enrol", "--name", "Kelp", photo, tmp_path / "c\x1b[2J.jpg"), run("show", "Kelp"), run("similar", photo)]
    told += [run("identify", photo), run("identify", tmp_path / "none\x1b[2J.jpg")]
    for said in told:
        assert not {"\x1b", "\u202e"} & set(said.out + said.err)
    assert r"a\nb\x1b[2J\u202e.jpg: enrolled as sighting 1" in told[0].out
    assert r"c\x1b[2J.jpg" in told[0].err
    assert r"a\nb\x1b[2J\u202e.jpg" in told[1].out


@pytest.mark.parametrize("words", [["doctor"], ["individuals", "--json"], ["show", "--json"]])
def test_a_reader_that_leaves_early_is_no_error_and_turns_no_refusal_into_done(tmp_path: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cli", *words, "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert done.returncode in (1, 2, 141)
    assert not {"Traceback", "BrokenPipeError"} & set(re.findall(r"\w+", done.stderr))


def test_a_refusal_that_nobody_reads_is_one_all_the_same(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cli", "individuals", "--json", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "CatalogueMissing")


def test_a_closed_output_is_no_failure(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m cli individuals --json --data-dir {tmp_path / 'none'} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_said_to_be() -> None:
    command = f"exec {sys.executable} -m cli datasets --json > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "could not be written to the output" in done.stderr


def test_a_user_without_a_home_is_served(tmp_path: Path) -> None:
    """As one that a container runs as is."""
    code = "import pathlib, sys; pathlib.Path.home = classmethod(lambda _: (_ for _ in ()).throw(RuntimeError())); "
    code += "from settings import read_settings; print(read_settings(data_dir=sys.argv[1]).data_dir)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.stdout.strip() == str(tmp_path)
