"""A short load test, from the command: right answers, a report, and an exit code that says whether the levels were kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo import animals
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import open_station
from loadtests.errors import LoadtestRefused, ServiceFailed
from loadtests.levels import read_levels
from loadtests.own import child, environment
from loadtests.plan import Mark, Plan, Sample, Seen, Spent, Turn
from loadtests.run import Wanted, _attack, probe_every_s, stages_of
from loadtests.run import run as run_loadtest
from loadtests.scenarios import SCENARIOS
from loadtests.truth import Offline, difference
from loadtests.watch import OFTEN_S, SCRAPED_EVERY_S, Watch
from settings import ROOT, read_settings


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "loadtest", *words], capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.slow
@pytest.mark.timeout(260)
def test_a_short_season_is_answered_rightly_and_an_impossible_level_is_missed(tmp_path: Path) -> None:
    levels = tmp_path / "levels.toml"
    most = {"wrong_answers": 0, "server_errors": 0, "refused_otherwise": -1}
    levels.write_text("".join(f'[{name}]\nmost = {value}\nsays = "s"\n' for name, value in most.items()))
    said = command("--scenario", "enrolling", "--seconds", "6", "--levels", str(levels), "--out", str(tmp_path / "report"))
    assert said.returncode == 1, said.stderr
    assert "MISSED  refused_otherwise" in said.stdout
    told: dict[str, Any] = json.loads((tmp_path / "report" / "figures.json").read_text("utf-8"))
    asked = {one["action"]: one["requests"] for one in told["stages"] if one["stage"] == "while enrolling"}
    assert asked["identify"] > 0
    assert asked["enrol"] > 0
    assert told["figures"]["wrong_answers"]["value"] == 0, told["wrong"]
    assert told["figures"]["server_errors"]["value"] == 0
    assert {one["name"]: one["met"] for one in told["levels"]} == {
        "wrong_answers": True, "server_errors": True, "refused_otherwise": False,
    }  # fmt: skip
    written = {path.name for path in (tmp_path / "report").iterdir()}
    assert {
        "index.html",
        "table.txt",
        "requests.csv",
        "stages.csv",
        "service.csv",
        "locust.html",
        "locust_stats.csv",
    } <= written
    assert "a level was missed" in (tmp_path / "report" / "index.html").read_text("utf-8")


def test_a_scenario_that_is_none_is_refused(tmp_path: Path) -> None:
    said = command("--scenario", "nonsense", "--out", str(tmp_path))
    assert said.returncode == 1
    assert "choose one of closed, open" in said.stderr


def test_nothing_is_enrolled_into_a_service_elsewhere(tmp_path: Path) -> None:
    said = command("--scenario", "mix", "--url", "http://127.0.0.1:9", "--out", str(tmp_path))
    assert said.returncode == 1
    assert "catalogue of yours" in said.stderr


def test_every_scenario_is_judged_by_levels_that_are_in_the_file() -> None:
    names = set(read_levels())
    assert {"cost_12mp", "cost_1mp", "p95_at_half", "wrong_answers", "accepted_p95", "recovery_s", "memory_growth"} <= names
    assert all(abs(sum(one.traffic.values()) - 1) < 1e-9 for each in SCENARIOS.values() for one in each.phases)


def test_the_offline_pipeline_finds_answers_that_are_wrong_or_of_another_catalogue(tmp_path: Path) -> None:
    """Two enrolments: an answer must know what was acknowledged before its question, and may know what was under way."""
    with open_station(read_settings({}, data_dir=tmp_path / "a")) as service:
        photo, newcomers = tmp_path / "q.jpg", tmp_path / "new"
        photo.write_bytes(animals.photo(1, 5, size=(320, 240)))
        newcomers.mkdir()
        kept: list[Sample] = []
        truth = Offline(service, [photo], newcomers)
        states = [truth.answer("q.jpg")]
        for number in range(2):
            (newcomers / f"{number}.jpg").write_bytes(animals.photo(number, 0, size=(320, 240)))
            source = Source(f"{number}.jpg", Given(), data=(newcomers / f"{number}.jpg").read_bytes())
            done = enrol(service, f"Newcomer-{number}", [source], who="t")
            body = {"individual_id": done.individual_id, "name": done.name, "created": True, "event_id": done.event_id}
            body |= {
                "photos": [
                    {"photo": o.photo, "state": o.state, "sighting_id": o.sighting_id, "reason": None} for o in done.photos
                ]
            }
            kept.append(
                Sample(
                    f"e{number}",
                    "s",
                    "enrol",
                    f"Newcomer-{number}",
                    10.0 * number,
                    10.0 * number + 5,
                    201,
                    None,
                    json.dumps(body),
                )
            )
            states.append(truth.answer("q.jpg"))
    assert difference(states[1], states[2]) is not None
    asked = Sample("q", "s", "identify", "q.jpg", 6.0, 8.0, 200)  # after the first, before the second
    with open_station(read_settings({}, data_dir=tmp_path / "b")) as station:
        answers = [replace(asked, id=f"q{number}", body=json.dumps(state)) for number, state in enumerate(states)]
        during = replace(asked, id="during", begun=12.0, ended=14.0, body=json.dumps(states[1]))
        spoilt = replace(asked, id="spoilt", body=json.dumps(states[1] | {"decision": "known by heart"}))
        wrong = Offline(station, [photo], newcomers).wrong([*kept, *answers, during, spoilt])
    assert set(wrong) == {"q0", "q2", "spoilt"}
    assert "known by heart" in wrong["spoilt"]


def test_a_service_that_is_gone_is_probed_now_and_then_and_said_so() -> None:
    for every_s, rounds in ((OFTEN_S, (2, 3)), (SCRAPED_EVERY_S, (1, 1))):
        with Watch("http://127.0.0.1:9", None, None, every_s) as watch:
            time.sleep(1.2)
        assert rounds[0] <= len(watch.probes) / 2 <= rounds[1]
        assert {one.status for one in watch.probes} == {0}


def test_what_is_held_against_each_other_is_run_in_turns() -> None:
    stages = stages_of(SCENARIOS["open"], Wanted(seconds=200), 2)
    assert [one.role for one in stages] == ["", *["capacity", "bare", "half", "pool"] * 17, "alone"]
    assert [one.part for one in stages] == [0, *[1] * 68, 2]
    assert sum(one.seconds for one in stages if one.role == "half") == pytest.approx(68)
    assert len({one.name for one in stages}) == 6
    close = stages_of(SCENARIOS["closed"], Wanted(seconds=120), 2)
    assert [one.role for one in close] == ["", *["cost", "bare"] * 28, "", *["cost", "bare"] * 28]
    short = stages_of(SCENARIOS["open"], Wanted(seconds=6), 2)
    assert [one.role for one in short] == ["", "capacity", "bare", "half", "pool", "alone"]


def test_nothing_comes_between_what_is_held_against_each_other() -> None:
    """Cost is told by the bare pipeline's turns before and after, so neither may be of some seconds before."""
    for one in SCENARIOS.values():
        for part in one.parts:
            if any(phase.role == "cost" for phase in part):
                assert [phase.role for phase in part] == ["cost", "bare"], one.name


def test_what_the_generator_saw_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Seen(
        [Sample("a", "one", "identify", "p", 0, 1, 200, body="{}")],
        [Mark("one", 0, 1, 2, 3, 4)],
        [Turn(0, Spent(1.0, [0.5]), Spent(2.0, [0.5, 0.7]), [0.6])],
    )
    kept.write(tmp_path / "seen.jsonl")
    assert Seen.read(tmp_path / "seen.jsonl") == kept
    assert [one.name for one in tmp_path.iterdir()] == ["seen.jsonl"]


def test_probes_come_often_only_where_they_are_judged() -> None:
    often = {name for name, one in SCENARIOS.items() if probe_every_s(stages_of(one, Wanted(), 2)) == OFTEN_S}
    assert often == {"overload"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html>", "no JSON object"),
        ("", "no JSON object"),
        ("{}", "a batch's result is none"),
        ('{"rows": []}', "has the rows"),
        ('{"rows": [{"photos": ["q.jpg"], "state": "failed", "reason": "gone", "answer": null}]}', "is failed: gone"),
        ('{"rows": [{"photos": ["q.jpg"], "state": "done", "reason": null, "answer": {}}]}', "has the rows"),
    ],
)
def test_a_batch_that_is_not_all_that_was_sent_is_wrong(body: str, says: str, tmp_path: Path) -> None:
    photo = tmp_path / "q.jpg"
    photo.write_bytes(animals.photo(1, 5, size=(320, 240)))
    with open_station(read_settings({}, data_dir=tmp_path / "a")) as station:
        sent = Sample("b", "s", "batch", "q.jpg r.jpg", 1, 2, 200, body=body)
        assert says in Offline(station, [photo], tmp_path).wrong([sent])["b"]


def test_the_service_under_test_keeps_nothing_where_this_one_does() -> None:
    environ = {"FLUKEPRINT_DATABASE_URL": "sqlite:////whales.db", "FLUKEPRINT_QDRANT_URL": "http://q:6333", "PATH": "/bin"}
    settings = read_settings(environ | {"FLUKEPRINT_STREAMS": "3", "FLUKEPRINT_BUNDLE": "bundles/starter-lite0"})
    told = environment(settings, environ)
    assert told["PATH"] == "/bin"
    assert told["FLUKEPRINT_STREAMS"] == "3"
    assert Path(told["FLUKEPRINT_BUNDLE"]).is_absolute()
    assert not [name for name in told if "URL" in name or "DIR" in name or "FILE" in name]


def test_a_key_that_is_none_is_said_as_such(tmp_path: Path) -> None:
    for key in ("", " ", "fp_a\n", "schlüssel"):
        with pytest.raises(LoadtestRefused, match="--key is no key"):
            run_loadtest(Wanted("closed", url="http://127.0.0.1:9", key=key, out=tmp_path), read_settings({}), print)


def test_a_listener_that_speaks_no_http_is_told_as_that(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer, args=(listener, b"220 mail.example ESMTP\r\n"), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(LoadtestRefused, match="does not answer"):
            run_loadtest(Wanted("burst", url=url, out=tmp_path), read_settings({}), print)


def _answer(listener: socket.socket, words: bytes) -> None:
    with listener.accept()[0] as client:
        client.recv(1_000)
        client.sendall(words)


@contextmanager
def running(*words: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A load test under way, and the service that it asks."""
    command = [sys.executable, str(ROOT / "cli.py"), "loadtest", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as test:
        try:
            assert test.stderr is not None
            assert next((line for line in test.stderr if line.startswith("asking for")), None)
            children = psutil.Process(test.pid).children()
            yield test, next(one for one in children if "serve" in one.cmdline())
        finally:
            test.terminate()  # which ends what it has started
            try:
                test.wait(90)
            finally:
                test.kill()


@pytest.mark.slow
@pytest.mark.timeout(260)
def test_a_service_that_dies_under_its_load_leaves_its_log_and_a_report_of_what_was_seen(tmp_path: Path) -> None:
    with running("--scenario", "enrolling", "--seconds", "8", "--out", str(tmp_path)) as (test, service):
        time.sleep(6)
        service.kill()
        _, said = test.communicate(timeout=200)
    assert test.returncode == 1
    assert "The service left with -9 before the end" in said
    assert str(tmp_path) in said
    told = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert "left with -9" in told["left"]
    assert told["kept"] is False
    assert told["stages"][0]["requests"] > 0
    assert '"answered"' in (tmp_path / "service.log").read_text("utf-8")
    assert "left with -9" in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(290)
def test_a_load_test_that_is_told_to_end_leaves_nobody_behind(tmp_path: Path) -> None:
    with running("--scenario", "enrolling", "--seconds", "60", "--out", str(tmp_path)) as (test, _):
        family, until = list[psutil.Process](), time.monotonic() + 30
        while not any(of_locust(one) for one in family):
            assert time.monotonic() < until
            time.sleep(0.1)
            family = psutil.Process(test.pid).children(recursive=True)
        test.terminate()
        assert test.wait(120) == 128 + signal.SIGTERM
        assert psutil.wait_procs(family, timeout=20)[1] == []


def of_locust(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # it may have left by now
        return "locust" in process.cmdline()
    return False


def test_a_signal_that_meets_a_process_while_it_is_made_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[subprocess.Popen[bytes]] = []

    class Met(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            made.append(self)
            signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    monkeypatch.setattr(subprocess, "Popen", Met)
    try:
        with pytest.raises(SystemExit), child([sys.executable, "-c", "import time; time.sleep(60)"]):
            pytest.fail("the signal was lost")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert made[0].poll() is not None


@pytest.mark.timeout(120)
def test_a_generator_that_fails_says_why_and_leaves(tmp_path: Path) -> None:
    plan = Plan("http://127.0.0.1:9", None, (), {}, str(tmp_path), (), (), 1.0, 1, str(tmp_path / "none" / "samples.jsonl"))
    with pytest.raises(ServiceFailed, match="FileNotFoundError"):
        _attack(plan, tmp_path, tmp_path, os.environ, print)


def test_an_earlier_report_does_not_pass_for_one_of_a_run_that_failed(tmp_path: Path) -> None:
    for name in ("figures.json", "index.html", "mine.txt"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(LoadtestRefused, match="does not answer"):
        run_loadtest(Wanted("burst", url="http://127.0.0.1:9", out=tmp_path), read_settings({}), print)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("url", ["10.0.0.5", "http://[::1", "ftp://a", "http://", "http://a/prefix"])
def test_an_address_that_is_none_is_said_before_anything_is_drawn(url: str, tmp_path: Path) -> None:
    with pytest.raises(LoadtestRefused, match="is no address of a service"):
        run_loadtest(Wanted("closed", url=url, out=tmp_path), read_settings({}), print)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no level stands in it"), ('[cost_1mpp]\nmost = 1\nsays = "c"', "no figure 'cost_1mpp'"), ("[cost_1mp]", "most")],
)
def test_levels_that_hold_nothing_are_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "levels.toml"
    file.write_text(text)
    with pytest.raises(LoadtestRefused, match=says):
        read_levels(file)
