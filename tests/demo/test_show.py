import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from demo import show
from demo.folder import path_of
from settings import read_settings


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight animals and three strangers instead of thirty and eight: the same story in a few seconds."""
    monkeypatch.setattr(show, "KNOWN", 8)
    monkeypatch.setattr(show, "STRANGERS", 3)
    monkeypatch.setattr(show, "EVERY", 2)


@pytest.mark.usefixtures("few")
def test_the_demonstration_tells_its_story_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUKEPRINT_DATABASE_URL", "sqlite:////nowhere/real-catalogue.db")
    show.show(tmp_path / "demo")
    first = capsys.readouterr().out
    old = path_of(tmp_path / "demo" / "photos", 0, 0).stat().st_mtime_ns
    show.show(tmp_path / "demo")
    again = capsys.readouterr().out
    assert without_times(again) == without_times(first)
    assert path_of(tmp_path / "demo" / "photos", 0, 0).stat().st_mtime_ns == old

    lines = first.splitlines()
    story, commands = lines[: lines.index("Go on with it:")], lines[lines.index("Go on with it:") + 2 :]
    assert max(len(line) for line in story) <= 80
    rows = [line for line in story if re.match(r"[A-Z][a-z]+-\d\d-\d\d", line)]
    assert [line.split()[0] for line in rows[:6]] == [
        "Kelp-00-08", "Drift-02-08", "Spray-04-08", "Reef-06-08", "Gale-08-08", "Brine-10-08",
    ]  # fmt: skip
    assert all(("*" in line) == (line.split()[0][-5:-3] in ("08", "09", "10")) for line in rows[:12])
    assert all(line.endswith(("right", "wrong", "unsure")) for line in rows)
    assert "\x1b" not in first
    counts = {line[:32].strip(): [int(n) for n in line[32:].split()] for line in story if re.match(r"\d+ (known|strang)", line)}
    assert [sum(found[:3]) for found in counts.values()] == [8, 8, 3, 3]
    assert counts["8 known animals, three photos"][3] >= 6
    accepted = [cli.build_parser().parse_args(shlex.split(line)[1:]) for line in commands[1:]]
    assert [each.verb for each in accepted] == ["identify", "show", "history"]
    assert Path(accepted[0].photos[0]).exists()
    assert f"FLUKEPRINT_DATA_DIR={tmp_path / 'demo' / 'catalogue'}" in commands[0]


def without_times(printed: str) -> str:
    return re.sub(r" +[\d.]+ (ms|s\b)|, \d+ a second", "", printed)


@pytest.mark.usefixtures("few")
def test_pictures_of_another_version_are_drawn_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = path_of(tmp_path / "photos", 0, 0)
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of another version")
    (tmp_path / show.MARK).touch()
    monkey = tmp_path / "later" / "left over.jpg"
    monkey.parent.mkdir()
    monkey.write_bytes(b"")
    show.show(tmp_path)
    assert stale.read_bytes() != b"of another version"
    assert not monkey.exists()
    assert "Go on with it" in capsys.readouterr().out


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, root: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"somebody's")
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--data-dir", str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "holds something else than a demo; give --data-dir an empty folder" in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.db"]


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Row:
        def row(self) -> tuple[str, ...]:
            return "Kelp-00-08", "known 99%", "Kelp-00 99%", "30 ms", "right"

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    show._put_rows([Row()])
    assert "\x1b[32mright\x1b[0m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    show._put_rows([Row()])
    assert "\x1b" not in capsys.readouterr().out


def test_the_demo_never_reads_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLUKEPRINT_DATABASE_URL", "postgresql://real")
    assert read_settings({}, data_dir=tmp_path).database_url is None
