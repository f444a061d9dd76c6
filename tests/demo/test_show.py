import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from demo import show
from demo.animals import photo
from demo.folder import path_of
from settings import read_settings


def test_the_demonstration_tells_its_story_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With six animals and two strangers instead of thirty and eight: the same story in a few seconds."""
    for name, few in (("KNOWN", 6), ("STRANGERS", 2), ("EVERY", 2)):
        monkeypatch.setattr(show, name, few)
    monkeypatch.setenv("FLUKEPRINT_DATABASE_URL", "sqlite:////nowhere/real-catalogue.db")
    show.show(tmp_path / "demo")
    first = capsys.readouterr().out
    drawn = path_of(tmp_path / "demo" / "photos", 0, 0).stat().st_mtime_ns
    show.show(tmp_path / "demo")
    assert without_times(capsys.readouterr().out) == without_times(first)
    assert path_of(tmp_path / "demo" / "photos", 0, 0).stat().st_mtime_ns == drawn

    lines = first.splitlines()
    story, commands = lines[: lines.index("Go on with it:")], lines[lines.index("Go on with it:") + 2 :]
    assert max(len(line) for line in story) <= 80
    rows = [line for line in story if re.match(r"[A-Z][a-z]+-\d\d-\d\d", line)]
    assert [line.split()[0] for line in rows[:4]] == ["Kelp-00-08", "Drift-02-08", "Spray-04-08", "Reef-06-08"]
    assert ["*" in line for line in rows[:8]] == [False, False, False, True] * 2
    assert all(line.endswith(("right", "wrong", "unsure")) for line in rows)
    assert "\x1b" not in first
    counts = {line[:32].strip(): [int(n) for n in line[32:].split()] for line in story if re.match(r"\d+ (known|strang)", line)}
    assert [sum(found[:3]) for found in counts.values()] == [6, 6, 2, 2]
    assert counts["6 known animals, three photos"][3] >= 5
    accepted = [cli.build_parser().parse_args(shlex.split(line)[1:]) for line in commands[1:]]
    assert [each.verb for each in accepted] == ["identify", "show", "history"]
    assert Path(accepted[0].photos[0]).exists()
    assert f"FLUKEPRINT_DATA_DIR={tmp_path / 'demo' / 'catalogue'}" in commands[0]


def test_the_demonstration_meets_a_new_animal_and_finds_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show.show(tmp_path / "demo")
    story = capsys.readouterr().out
    found = re.search(r"(\w+-\d\d) is the first stranger that was called new\.(.*)Probabilities", story, re.DOTALL)
    assert found is not None, story
    name, met = found.groups()
    rows = [line.split() for line in met.splitlines() if line.startswith(name)]
    assert [(row[0], row[-1]) for row in rows] == [(f"{name}-08", "right"), (f"{name}-09", "right")]
    assert rows[0][1:3] == ["*", "new"]
    assert rows[1][1] == "known"


def without_times(printed: str) -> str:
    return re.sub(r" +[\d.]+\s(ms|s\b)|, \d+\sa\ssecond", "", printed)


def test_pictures_of_another_version_are_drawn_anew_and_ours_are_kept(tmp_path: Path) -> None:
    first, later = path_of(tmp_path / "photos", 0, 0), path_of(tmp_path / "later", 1, 8)
    for path in (first, later):
        path.parent.mkdir(parents=True)
        path.write_bytes(photo(0, 0))
    (tmp_path / show.MARK).touch()
    show._made_ready(tmp_path)
    assert first.exists()
    assert later.exists()
    first.write_bytes(b"of another version")
    show._made_ready(tmp_path)
    assert not first.exists()
    assert not later.exists()


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
