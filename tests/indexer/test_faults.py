"""Processes killed at any moment, engines killed under way, damaged files: nothing acknowledged is lost, nothing doubled.

`make faults` runs a hundred kills, `make test` ten.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from demo import animals
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.doctor import examine, is_well
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from matching.identify import QueryPhoto
from settings import Settings

KILLS = int(os.environ.get("FLUKEPRINT_TEST_KILLS", "10"))
HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.faults


def level(station: Station) -> None:
    """Index and catalogue hold the same ids."""
    assert station.index.ids().tolist() == station.catalogue.live_ids(station.bundle_id).tolist()


def start(*words: object) -> subprocess.Popen[str]:
    root = HERE.parent.parent
    return subprocess.Popen(
        [sys.executable, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
    )


def kill(process: subprocess.Popen[str]) -> str:
    """SIGKILL, and all that it had said until then."""
    process.kill()
    said, _ = process.communicate(timeout=30)
    return said


def test_no_acknowledged_enrolment_is_lost_however_often_the_process_is_killed(settings: Settings, whales: Path) -> None:
    chance = random.Random(1)
    acknowledged: set[int] = set()
    for _ in range((KILLS + 1) // 2):
        process = start(HERE / "enrolling.py", settings.data_dir, whales)
        assert process.stdout is not None
        first = process.stdout.readline()  # it has begun
        time.sleep(chance.uniform(0, 0.6))
        said = first + kill(process)
        acknowledged |= {int(line.split()[1]) for line in said.splitlines(keepends=True) if line.endswith("\n")}
    with open_station(settings) as station:
        live = set(station.catalogue.live_ids(station.bundle_id).tolist())
        assert acknowledged
        assert acknowledged <= live
        level(station)
    assert is_well(examine(settings, deep=True))


def test_an_import_that_is_killed_goes_on_where_it_was_and_doubles_nothing(
    settings: Settings, tmp_path: Path, whales: Path
) -> None:
    folder = tmp_path / "many"
    drawn = sorted(whales.rglob("*.jpg"))
    for number in range(400):
        path = folder / f"W{number % 13}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn[number % len(drawn)].read_bytes() + number.to_bytes(8, "big"))
    chance = random.Random(2)
    for _ in range(KILLS // 2):
        process = start("-m", "cli", "import", folder, "--data-dir", settings.data_dir, "--json")
        time.sleep(chance.uniform(0.3, 3.0))
        kill(process)
    with open_station(settings) as station:
        level(station)
        done = import_rows(station, folder, who="me")
        assert (done.rows, done.enrolled + done.already, done.set_aside) == (400, 400, 0)
        assert station.catalogue.counts().sightings == 400
        level(station)
    assert is_well(examine(settings))


def test_a_killed_engine_is_back_with_right_answers_within_five_seconds(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="me")
    photo = QueryPhoto("a.jpg", (whales / "W3" / "1.jpg").read_bytes())
    before = identify_and_keep(station, [photo], who="me")
    [worker] = [child for child in psutil.Process().children() if "edge_worker" in " ".join(child.cmdline())]
    worker.send_signal(signal.SIGKILL)
    began = time.monotonic()
    after = identify_and_keep(station, [photo], who="me")
    assert time.monotonic() - began < 5
    assert after.candidates == before.candidates
    level(station)


def test_two_identify_while_one_enrols_without_an_error_or_a_wrong_answer(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="me")
    until = time.monotonic() + float(os.environ.get("FLUKEPRINT_TEST_TOGETHER_S", "6"))
    wrong: list[str] = []
    asked = 0

    def ask(offset: int) -> None:
        nonlocal asked
        number = offset
        while time.monotonic() < until:
            individual, number = number % 6, number + 1
            photo = QueryPhoto("q.jpg", (whales / f"W{individual}" / f"{number % 4}.jpg").read_bytes())
            try:
                answer = identify_and_keep(station, [photo], who="me")
            except Exception as error:  # an error in a thread is what this test looks for
                wrong.append(repr(error))
                return
            asked += 1
            if answer.candidates[0].name != f"W{individual}":
                wrong.append(f"W{individual} was called {answer.candidates[0].name}")

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in (0, 3)]
    for thread in threads:
        thread.start()
    number = 100
    while time.monotonic() < until:
        source = Source("n.jpg", Given(), data=animals.photo(number, 0, size=(320, 240)))
        assert enrol(station, f"N{number}", [source], who="me").event_id is not None
        number += 1
    for thread in threads:
        thread.join()
    assert wrong == []
    assert asked > 10
    level(station)


def test_a_lost_index_is_made_again_and_answers_as_before(settings: Settings, whales: Path) -> None:
    photo = QueryPhoto("a.jpg", (whales / "W3" / "1.jpg").read_bytes())
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
        before = identify_and_keep(station, [photo], who="me")
    shutil.rmtree(settings.data_dir / "index")
    with open_station(settings) as station:
        assert identify_and_keep(station, [photo], who="me").candidates == before.candidates
        level(station)


def test_what_sql_only_verbs_change_beside_an_open_index_is_followed(settings: Settings, whales: Path) -> None:
    """Another process deletes, undoes and gives a species while this one holds the index."""
    photo = QueryPhoto("a.jpg", (whales / "W3" / "1.jpg").read_bytes())

    def beside(*words: object) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *map(str, words), "--data-dir", str(settings.data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    with open_station(settings) as station:
        import_rows(station, whales, who="me")
        assert identify_and_keep(station, [photo], who="me").candidates[0].name == "W3"
        beside("delete", "W3")
        deletion = station.catalogue.last_event_id()
        assert identify_and_keep(station, [photo], who="me").candidates[0].name != "W3"
        beside("undo", deletion)
        beside("rename", "W3", "Kelp")
        beside("species", "Kelp", "orca")
        answer = identify_and_keep(station, [photo], who="me")
        assert (answer.candidates[0].name, answer.candidates[0].species) == ("Kelp", "orca")
        kept = [point.facts.species for point in station.index.points(station.index.ids().tolist())]
        assert sorted(map(str, kept)) == ["None"] * 20 + ["orca"] * 4


def test_a_second_process_on_the_folder_is_told_who_holds_it(settings: Settings, station: Station, whales: Path) -> None:
    enrol(station, "Kelp", [Source("a.jpg", Given(), path=whales / "W0" / "0.jpg")], who="me")
    second = subprocess.run(
        [sys.executable, "-m", "cli", "identify", str(whales / "W0" / "0.jpg"), "--data-dir", str(settings.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 1
    assert str(os.getpid()) in second.stderr
