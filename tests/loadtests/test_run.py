"""A short load test, from the command: right answers, a report, and an exit code that says whether the levels were kept."""

from __future__ import annotations

import json
import math
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
from loadtests.figures import Bare, Run, Served, figures, lines, percentile, read_log
from loadtests.levels import Figure, Level, judge, read_levels
from loadtests.own import child, environment
from loadtests.plan import Mark, Plan, Sample, Seen, Spent, Stage, Turn
from loadtests.run import Wanted, _attack, probe_every_s, stages_of
from loadtests.run import run as run_loadtest
from loadtests.scenarios import SCENARIOS
from loadtests.truth import Offline, difference
from loadtests.watch import OFTEN_S, SCRAPED_EVERY_S, Moment, Probe, Watch
from settings import ROOT, read_settings


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "loadtest", *words], capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.slow
@pytest.mark.timeout(260)
def test_a_short_season_is_answered_rightly_and_an_impossible_level_is_missed(tmp_path: Path) -> None:
    levels = tmp_path / "levels.toml"
    levels.write_text(
        '[wrong_answers]\nmost = 0\nsays = "w"\n[server_errors]\nmost = 0\nsays = "s"\n[cost_small]\nmost = 0.01\nsays = "c"\n'
    )
    said = command("--scenario", "enrolling", "--seconds", "6", "--levels", str(levels), "--out", str(tmp_path / "report"))
    assert said.returncode == 1, said.stderr
    assert "MISSED  cost_small" in said.stdout
    told: dict[str, Any] = json.loads((tmp_path / "report" / "figures.json").read_text("utf-8"))
    asked = {one["action"]: one["requests"] for one in told["stages"] if one["stage"] == "while enrolling"}
    assert asked["identify"] > 0
    assert asked["enrol"] > 0
    assert told["figures"]["wrong_answers"]["value"] == 0, told["wrong"]
    assert told["figures"]["server_errors"]["value"] == 0
    assert {one["name"]: one["met"] for one in told["levels"]} == {
        "wrong_answers": True, "server_errors": True, "cost_small": False,
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


def test_levels_are_kept_up_to_their_bound_and_nothing_measured_keeps_none() -> None:
    level = Level("cost", 1.1, "what it costs")
    assert [one.met for value in (1.1, 1.11, math.nan) for one in judge({"cost": Figure(value)}, {"cost": level})] == [
        True,
        False,
        False,
    ]


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


def test_the_servers_own_clock_counts_where_its_log_is_at_hand() -> None:
    stages = [Stage(name, 10, "small", 0, 1.0, {"identify": 1.0}, role) for name, role in (("one", "alone"), ("ten", "flood"))]
    samples = [Sample(f"a{n}", "one", "identify", "p", n, n + 0.02, 200, body="{}") for n in range(10)]
    samples += [Sample(f"b{n}", "ten", "identify", "p", n, n + 1, 200, body="{}") for n in range(10)]
    samples += [Sample(f"c{n}", "ten", "identify", "p", n, n + 1, 429, retry_after="1") for n in range(100)]
    log = {f"a{n}": Served(200, 10.0, 5) for n in range(10)} | {f"b{n}": Served(200, 30.0, 5) for n in range(10)}
    log |= {f"c{n}": Served(429, float(n), 0) for n in range(100)}
    watch = Watch("http://nowhere", None, None)
    watch.memory_mb += [Moment(-1, 100.0), Moment(5, 120.0)]
    run = Run("overload", stages, samples, {one.name: [Mark(one.name, 0, 10, 11, 0, 10)] for one in stages}, watch, {}, log)
    found = {name: one.value for name, one in figures(run).items()}
    assert found["accepted_p95"] == 3.0
    assert found["refusal_p99_ms"] == 98.0
    assert found["refusal_body"] == found["refused_otherwise"] == found["server_errors"] == 0
    assert found["overload_memory"] == 1.2
    assert found["flood_loss"] == pytest.approx(1 - 1 / 11)  # ten answers in ten seconds, of eleven a second


def seen(stages: list[Stage], samples: list[Sample], *, bare: bool = False) -> Run:
    turns, at = dict[str, list[Mark]](), 0.0
    for one in stages:
        turns[one.name] = [Mark(one.name, at, at + one.seconds, 11, 0, at + one.seconds)]
        at += one.seconds
    watch = Watch("http://nowhere", None, None)
    watch.cpu_s += [Moment(0, 0.0), Moment(at, 1.0)]
    return Run("s", stages, samples, turns, watch, {}, {}, {"small": [Bare(10.0, 10.0, 10.0)]} if bare else {})


def stage(name: str, role: str, seconds: float = 10.0) -> Stage:
    return Stage(name, seconds, "small", 1, 0.0, {"identify": 1.0}, role)


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [Sample(f"a{n}", "one", "identify", "p", n, n, 429, "1", problem="busy") for n in range(10)],
        [Sample(f"a{n}", "one", "identify", "p", n, n, 302) for n in range(10)],
        [Sample(f"a{n}", "one", "identify", "p", n, n, 0, error="gone") for n in range(10)],
    ],
    ids=["nobody asked", "all refused", "all sent elsewhere", "nobody answered"],
)
@pytest.mark.parametrize("role", ["cost", "half", "after", "flood"])
def test_a_run_in_which_nothing_was_answered_keeps_no_level(role: str, samples: list[Sample]) -> None:
    run = seen([stage("one", role), stage("two", "after", 6)], samples, bare=True)
    met = {one.level.name: one.met for one in judge(figures(run), read_levels() | {"cost_small": Level("cost_small", 1.1, "")})}
    assert not met["wrong_answers"]
    measured_by = {"cost": "cost_small", "half": "p95_at_half", "after": "recovery_s", "flood": "accepted_p95"}
    assert not met[measured_by[role]]


def test_what_is_refused_or_not_sent_at_half_the_capacity_is_no_quick_answer() -> None:
    samples = [Sample(f"a{n}", "one", "identify", "p", n, n + 0.01, 200, body="{}") for n in range(60)]
    samples += [Sample(f"b{n}", "one", "identify", "p", n, n, 429, "1", problem="busy") for n in range(30)]
    run = seen([stage("one", "half")], samples, bare=True)
    run.turns = {"one": [replace(run.turns["one"][0], unsent=10)]}
    found = figures(run)
    assert found["p95_at_half"].value == pytest.approx(1.0)
    assert found["refused_at_half"].value == 0.4
    assert not next(one for one in judge(found, read_levels()) if one.level.name == "refused_at_half").met


def test_refusals_that_nobody_came_back_from_or_that_no_log_has_keep_no_level() -> None:
    refused = [Sample(f"b{n}", "burst", "identify", "p", n, n, 429, "1", problem="busy") for n in range(9)]
    run = seen([stage("burst", "burst"), stage("after", "after")], refused)
    run.log["another"] = Served(200, 1.0, 5)
    found = figures(run)
    assert math.isnan(found["retry_after_untrue"].value)
    assert math.isnan(found["refusal_body"].value)


def test_who_asks_too_often_has_measured_the_rate_and_not_the_service() -> None:
    samples = [Sample("a", "one", "identify", "p", 0, 1, 200, body="{}")]
    samples += [Sample(f"b{n}", "one", "identify", "p", 0, 1, 429, "5", problem="too-often") for n in range(7)]
    found = figures(seen([stage("one", "cost")], samples))["refused_otherwise"]
    assert found.value == 7
    assert "FLUKEPRINT_REQUESTS_PER_MINUTE" in found.detail


def test_a_batch_that_was_not_done_in_time_is_late_and_not_wrong() -> None:
    done = Sample("a", "one", "batch", "p", 0, 9, 200, body="{}")
    late = Sample("b", "one", "batch", "p", 0, 60, 200, late=True)
    found = figures(seen([stage("one", "steady")], [done, late]))
    assert (found["late_batches"].value, found["wrong_answers"].value) == (1, 0)
    assert "late_batches" not in figures(seen([stage("one", "cost")], [Sample("a", "one", "identify", "p", 0, 9, 200)]))


def test_what_a_burst_leaves_behind_is_no_recovery() -> None:
    """Every answer after the burst is a second late at first, and in time from its fifth second on."""
    stages = [stage("calm", "calm"), stage("burst", "burst", 2), stage("after", "after", 10)]
    samples = [Sample(f"c{n}", "calm", "identify", "p", n / 10, n / 10 + 0.02, 200, body="{}") for n in range(100)]
    for n in range(100):
        begun = 12 + n / 10
        samples.append(Sample(f"a{n}", "after", "identify", "p", begun, begun + (1.0 if n < 50 else 0.02), 200, body="{}"))
    found = figures(seen(stages, samples))
    assert found["recovery_s"].value == 5
    assert found["retry_after_untrue"].value == 0, "nobody was refused"
    back = [
        Sample("b", "burst", "identify", "p", at, at + 1, status, again=True)
        for at, status in ((11, 429), (13, 429), (14, 200))
    ]
    assert figures(seen(stages, [*samples, *back]))["retry_after_untrue"].value == 0.5, (
        "who came back into a burst is not counted"
    )


def test_levels_of_the_server_are_not_judged_by_a_clock_elsewhere() -> None:
    stages = [stage("one", "alone"), stage("ten", "flood")]
    samples = [Sample(f"a{n}", "one", "identify", "p", n, n + 0.5, 200, body="{}") for n in range(10)]
    samples += [Sample(f"b{n}", "ten", "identify", "p", 10 + n, 15 + n, 200, body="{}") for n in range(10)]
    run = replace(seen(stages, samples), log=None)
    run.watch.probes += [Probe(str(n), "/healthz", 200, 10 + n, 99.0) for n in range(9)]
    found = figures(run)
    assert (found["accepted_p95_seen"].value, found["probe_p99_ms_seen"].value) == (10.0, 99.0)
    assert not {"accepted_p95", "probe_p99_ms", "refusal_p99_ms"} & {one.level.name for one in judge(found, read_levels())}
    assert all(math.isnan(one.server_p95_ms) for one in lines(run))


def test_probes_that_fail_are_no_quick_ones() -> None:
    run = seen([stage("ten", "flood")], [])
    run.watch.probes += [Probe(str(n), "/healthz", 200, n, 9.0) for n in range(9)]
    run = replace(run, log={str(n): Served(200, 1.0, 0) for n in range(9)})
    assert figures(run)["probe_p99_ms"].value == 1.0
    run.watch.probes.append(Probe("x", "/metrics", 503, 9, 1.0))
    found = figures(run)["probe_p99_ms"]
    assert math.isinf(found.value)
    assert "1 were not answered 200" in found.detail


def test_a_service_that_is_gone_is_probed_now_and_then_and_said_so() -> None:
    for every_s, rounds in ((OFTEN_S, (2, 3)), (SCRAPED_EVERY_S, (1, 1))):
        with Watch("http://127.0.0.1:9", None, None, every_s) as watch:
            time.sleep(1.2)
        assert rounds[0] <= len(watch.probes) / 2 <= rounds[1]
        assert {one.status for one in watch.probes} == {0}


def test_what_is_held_against_each_other_is_run_in_turns() -> None:
    stages = stages_of(SCENARIOS["open"], Wanted(seconds=140), 2)
    assert [one.role for one in stages] == ["", *["capacity", "bare", "half", "pool"] * 10, "alone"]
    assert sum(one.seconds for one in stages if one.role == "half") == pytest.approx(42)
    assert len({one.name for one in stages}) == 6
    short = stages_of(SCENARIOS["open"], Wanted(seconds=6), 2)
    assert [one.role for one in short] == ["", "capacity", "bare", "half", "pool", "alone"]


def test_a_turn_is_held_against_the_bare_pipeline_of_its_own_seconds() -> None:
    """Three turns of a second, 20 answers each, the first of which came late, for .24, .3 and .24 s of CPU. In the second the
    machine was slow for both, in the third for the service alone.
    """
    begun = [0.0] * 20 + [5.0] * 20 + [10.0] * 20
    samples = [Sample(f"a{n}", "one", "identify", "p", b, b + 0.09 + n % 20 / 20, 200, body="{}") for n, b in enumerate(begun)]
    samples[0] = replace(samples[0], ended=1.01)
    watch = Watch("http://nowhere", None, None)
    looks = ((-0.1, 0.0), (1.05, 0.24), (4.95, 0.24), (6.05, 0.44), (6.15, 0.54), (9.95, 0.54), (11.05, 0.78))
    watch.cpu_s += [Moment(at, spent) for at, spent in looks]
    spent = [(Spent(0.05, [0.005] * 9), 0.2, 20), (Spent(0.07, [0.01]), 0.3, 20), (Spent(0.07, [0.01]), 0.1, 20)]
    bare = Bare.of([Turn("small", alone, Spent(busy, [0.01] * count)) for alone, busy, count in spent])
    assert bare["small"][1] == Bare(10.0, pytest.approx(15.0), pytest.approx(70.0))
    turns = [Mark("one", 0, 1, 0, 0, 1.04), Mark("one", 5, 6, 0, 0, 6.1), Mark("one", 10, 11, 0, 0, 11.04)]
    found = figures(Run("s", [stage("one", "cost")], samples, {"one": turns}, watch, {}, {}, bare))["cost_small"]
    assert found.value == pytest.approx(1.2)
    assert found.detail == "12.0 ms of CPU / 10.0 ms, 18.7 a second, in 3 turns, 1.00 to 2.40"


def test_a_wait_is_held_against_the_bare_time_of_its_own_turn() -> None:
    """Waits of twice the bare time in each of two turns, the second on a machine that is three times as slow meanwhile."""
    samples = [Sample(f"a{n}", "one", "identify", "p", n / 20, n / 20 + 0.02, 200, body="{}") for n in range(19)]
    samples += [Sample(f"b{n}", "one", "identify", "p", 5 + n / 20, 5 + n / 20 + 0.06, 200, body="{}") for n in range(19)]
    bare = Bare.of([Turn("small", Spent(1.0, [each_s] * 9), Spent(1.0, [each_s] * 9)) for each_s in (0.01, 0.03)])
    turns = [Mark("one", 0, 1, 19, 0, 1), Mark("one", 5, 6, 19, 0, 6)]
    run = Run("s", [stage("one", "half")], samples, {"one": turns}, Watch("http://nowhere", None, None), {}, {}, bare)
    found = figures(run)["p95_at_half"]
    assert found.value == pytest.approx(2.0)
    assert found.detail == "p95 60.0 ms, bare 20.0 ms, 38 requests at 19.0 a second, 0 unsent"
    run.bare = {
        "small": [
            replace(one, waited_ms=(one.one_ms,) * 18 + (one.one_ms * times,) * 2)
            for one, times in zip(bare["small"], (1.5, 1.9), strict=True)
        ]
    }
    assert figures(run)["p95_at_half"].detail == f"{found.detail}; 1.5 with nothing around the pipeline"


def test_what_the_generator_saw_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Seen(
        [Sample("a", "one", "identify", "p", 0, 1, 200, body="{}")],
        [Mark("one", 0, 1, 2, 3, 4)],
        [Turn("small", Spent(1.0, [0.5]), Spent(2.0, [0.5, 0.7]), [0.6])],
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


def test_a_line_that_was_cut_off_loses_no_other(tmp_path: Path) -> None:
    whole = '{"message": "answered", "request_id": "a", "status": 200, "ms": 5.0, "read": 3}'
    (tmp_path / "log").write_text(f'{whole}\n{{"message": "answered", "request_id": "b", "sta')
    assert read_log(tmp_path / "log") == {"a": Served(200, 5.0, 3)}


def test_where_nobody_is_refused_nobody_is_refused_late() -> None:
    taken = [Sample(f"b{n}", "burst", "identify", "p", n, n, 200, body="{}") for n in range(9)]
    met = {one.level.name: one.met for one in judge(figures(seen([stage("burst", "burst")], taken)), read_levels())}
    assert met["refusal_p99_ms"]
    assert met["refusal_body"]


def test_who_comes_back_after_a_flood_was_told_the_truth_or_was_not() -> None:
    refused = [Sample(f"b{n}", "ten", "identify", "p", n, n, 429, "1", problem="busy") for n in range(9)]
    back = [
        Sample(f"c{at}", "ten", "identify", "p", at, at, status, "1", again=True)
        for at, status in ((5, 429), (12, 429), (13, 200))
    ]
    found = figures(seen([stage("ten", "flood"), stage("after", "after")], [*refused, *back]))["retry_after_untrue"]
    assert (found.value, found.detail) == (0.5, "1 of 2 who came back")


def test_of_a_service_elsewhere_the_wait_is_held_against_its_own_time() -> None:
    stages = [stage("one", "alone"), stage("half", "half")]
    samples = [Sample(f"a{n}", "one", "identify", "p", n, n + 0.2, 200, body="{}") for n in range(9)]
    samples += [Sample(f"b{n}", "half", "identify", "p", 10 + n, 10 + n + 0.4, 200, body="{}") for n in range(9)]
    found = figures(replace(seen(stages, samples), log=None))
    assert found["p95_at_half_seen"].value == pytest.approx(2.0)
    assert "its own alone 200.0 ms" in found["p95_at_half_seen"].detail
    assert "p95_at_half" not in found


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


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0
    assert math.isnan(percentile([], 0.5))
