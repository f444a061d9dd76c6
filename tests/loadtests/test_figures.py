"""What a run's samples come to as figures, and what those are judged by; nothing is asked here."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.figures import Bare, Run, Served, figures, lines, percentile, read_log
from loadtests.levels import Figure, Level, judge, read_levels
from loadtests.plan import Mark, Sample, Spent, Stage, Turn
from loadtests.watch import Moment, Probe, Watch


def test_levels_are_kept_up_to_their_bound_and_nothing_measured_keeps_none() -> None:
    level = Level("cost", 1.1, "what it costs")
    assert [one.met for value in (1.1, 1.11, math.nan) for one in judge({"cost": Figure(value)}, {"cost": level})] == [
        True,
        False,
        False,
    ]


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
    return Run("s", stages, samples, turns, watch, {}, {}, {0: [Bare(10.0, 10.0, 10.0)]} if bare else {})


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


def test_a_turn_is_held_against_the_bare_pipelines_before_and_after_it() -> None:
    """Three turns of a second, 20 answers each, the first of which came late, for .24, .3 and .24 s of CPU, and the bare
    pipeline's after each of them, in which a photo took 10, 15 and 5 ms.
    """
    begun = [0.0] * 20 + [5.0] * 20 + [10.0] * 20
    samples = [Sample(f"a{n}", "one", "identify", "p", b, b + 0.09 + n % 20 / 20, 200, body="{}") for n, b in enumerate(begun)]
    samples[0] = replace(samples[0], ended=1.01)
    watch = Watch("http://nowhere", None, None)
    looks = ((-0.1, 0.0), (1.05, 0.24), (4.95, 0.24), (6.05, 0.44), (6.15, 0.54), (9.95, 0.54), (11.05, 0.78))
    watch.cpu_s += [Moment(at, spent) for at, spent in looks]
    spent = [(Spent(0.05, [0.005] * 9), 0.2, 20), (Spent(0.07, [0.01]), 0.3, 20), (Spent(0.07, [0.01]), 0.1, 20)]
    bare = Bare.of([Turn(0, alone, Spent(busy, [0.01] * count)) for alone, busy, count in spent])
    assert bare[0][1] == Bare(10.0, pytest.approx(15.0), pytest.approx(70.0))
    turns = [Mark("one", 0, 1, 0, 0, 1.04), Mark("one", 5, 6, 0, 0, 6.1), Mark("one", 10, 11, 0, 0, 11.04)]
    found = figures(Run("s", [stage("one", "cost")], samples, {"one": turns}, watch, {}, {}, bare))["cost_small"]
    assert found.value == pytest.approx(1.2)
    assert found.detail == "12.0 ms of CPU / 10.0 ms, 18.7 a second, in 3 turns, 1.20 to 1.20"


def test_a_wait_is_held_against_the_bare_time_around_its_own_turn() -> None:
    """Waits of twice the bare time in each of two turns; the machine became three times as slow in the first."""
    samples = [Sample(f"a{n}", "one", "identify", "p", n / 20, n / 20 + 0.04, 200, body="{}") for n in range(19)]
    samples += [Sample(f"b{n}", "one", "identify", "p", 5 + n / 20, 5 + n / 20 + 0.06, 200, body="{}") for n in range(19)]
    bare = Bare.of([Turn(0, Spent(1.0, [each_s] * 9), Spent(1.0, [each_s] * 9)) for each_s in (0.01, 0.03)])
    turns = [Mark("one", 0, 1, 19, 0, 1), Mark("one", 5, 6, 19, 0, 6)]
    run = Run("s", [stage("one", "half")], samples, {"one": turns}, Watch("http://nowhere", None, None), {}, {}, bare)
    found = figures(run)["p95_at_half"]
    assert found.value == pytest.approx(2.0)
    assert found.detail == "p95 60.0 ms, bare 25.0 ms, 38 requests at 19.0 a second, 0 unsent"
    run.bare = {
        0: [
            replace(one, waited_ms=(around_ms,) * 18 + (around_ms * times,) * 2)
            for one, around_ms, times in zip(bare[0], (20.0, 30.0), (1.5, 1.9), strict=True)
        ]
    }
    assert figures(run)["p95_at_half"].detail == f"{found.detail}; 1.5 with nothing around the pipeline"


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


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0
    assert math.isnan(percentile([], 0.5))
