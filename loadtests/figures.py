"""A run's samples as figures: one line of a table for each stage and action, and what the levels are held against."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from loadtests.levels import Figure, figure
from loadtests.plan import Mark, Sample, Spent, Stage, Turn
from loadtests.watch import Probe, Watch

NORMAL = 1.5  # times the p95 before a burst: what counts as back to normal
TOO_OFTEN = "too-often"  # the service's word for a rate that is used up
CROWDED = ("burst", "flood")
LONG_S = 60.0  # memory is judged in a steady stage of this length or more
SEEN = (
    "_seen"  # a figure by the clock of who asked, of a service whose log is not at hand: levels of the server do not judge it
)


@dataclass(frozen=True, slots=True)
class Served:
    """A request in the service's own log."""

    status: int
    ms: float  # from its headers to its answer
    read: int  # bytes of its body


@dataclass(frozen=True, slots=True)
class Line:
    stage: str
    action: str
    requests: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_p95_ms: float
    refused: int
    wrong: int
    failed: int


@dataclass(frozen=True, slots=True)
class Bare:
    """Of one turn: the time for one photo, alone; what each costs when all cores are busy; what each costs alone; and how long
    those waited that came by chance, at half of what these processes can do."""

    one_ms: float
    cpu_ms: float
    cpu_alone_ms: float
    waited_ms: tuple[float, ...] = ()

    @staticmethod
    def of(turns: Iterable[Turn]) -> Mapping[int, list[Bare]]:
        """By part, each turn's."""
        found = dict[int, list[Bare]]()
        for turn in turns:
            one_ms = median(turn.alone.photos_s) * 1000
            waited_ms = tuple(one * 1000 for one in turn.waited_s)
            found.setdefault(turn.part, []).append(Bare(one_ms, _cpu_ms(turn.busy), _cpu_ms(turn.alone), waited_ms))
        return found


def _cpu_ms(spent: Spent) -> float:
    """A photo's."""
    return spent.cpu_s / len(spent.photos_s) * 1000


@dataclass
class Run:
    """Everything that was seen. Of a service elsewhere there is no log and no process, and `bare` is empty. `left` says that
    the service did, before the end.
    """

    scenario: str
    stages: Sequence[Stage]
    samples: Sequence[Sample]
    turns: Mapping[str, Sequence[Mark]]  # by stage
    watch: Watch
    wrong: Mapping[str, str]
    log: Mapping[str, Served] | None = None
    bare: Mapping[int, Sequence[Bare]] = field(default_factory=dict)  # by part, each turn's
    left: str | None = None

    def mark(self, stage: Stage) -> Mark:
        """From its first turn to its last."""
        turns = self.turns[stage.name]
        rate, unsent = mean([one.rate for one in turns]), sum(one.unsent for one in turns)
        return Mark(stage.name, turns[0].begun, turns[-1].ended, rate, unsent, turns[-1].quiet)

    def in_time(self, stage: Stage, samples: Iterable[Sample]) -> float:
        """Of these samples, those a second that ended before the turn did in which they began."""
        turns = self.turns[stage.name]
        counted = sum(any(turn.begun <= one.begun and one.ended <= turn.ended for turn in turns) for one in samples)
        return counted / max(sum(one.ended - one.begun for one in turns), 1e-9)

    def beside(self, stage: Stage) -> list[tuple[Mark, Bare]]:
        """Each turn of the stage with the bare pipeline's of the same few seconds; none, where it had none."""
        bare = self.bare.get(stage.part)
        return list(zip(self.turns[stage.name], bare, strict=True)) if bare else []

    def of(self, *roles: str) -> list[Stage]:
        return [stage for stage in self.stages if stage.role in roles]

    def asked(self, stage: Stage, action: str = "identify", *, status: int = 200) -> list[Sample]:
        return [one for one in self.samples if one.stage == stage.name and one.action == action and one.status == status]

    def server_ms(self, asked: Iterable[Sample | Probe]) -> list[float]:
        """By the service's own clock, in its log; none of a service elsewhere."""
        log = self.log or {}
        return [log[one.id].ms for one in asked if one.id in log]


def read_log(file: Path) -> dict[str, Served]:
    """By request id; lines that are none of requests are passed over."""
    found = {}
    for line in file.read_text("utf-8", errors="replace").splitlines():
        if '"answered"' not in line:
            continue
        with suppress(ValueError, KeyError):  # of a service that died, the last line may be half a one
            told = json.loads(line)
            found[told["request_id"]] = Served(told["status"], told["ms"], told.get("read", 0))
    return found


def lines(run: Run) -> list[Line]:
    told = []
    for stage in run.stages:
        for action in stage.traffic:
            all_of = [one for one in run.samples if one.stage == stage.name and one.action == action]
            good = [one for one in all_of if one.status // 100 == 2]
            ms = [one.ms for one in good]
            told.append(
                Line(
                    stage.name,
                    action,
                    len(all_of),
                    run.in_time(stage, good),
                    percentile(ms, 0.5),
                    percentile(ms, 0.95),
                    percentile(ms, 0.99),
                    percentile(run.server_ms(good), 0.95),
                    sum(one.status == 429 for one in all_of),
                    sum(one.id in run.wrong for one in all_of),
                    sum(_failed(one) for one in all_of),
                )
            )
    return told


def figures(run: Run) -> dict[str, Figure]:
    """By the names of the levels; what this scenario does not measure is not there."""
    refused = [one for one in run.samples if one.status // 100 == 4]
    answers = sum(one.body is not None for one in run.samples)
    too_often = sum(one.problem == TOO_OFTEN for one in refused)
    otherwise = sum(not (one.status == 429 and (one.retry_after or "").isdigit()) for one in refused)
    told = f"of {len(refused)} refusals"
    if too_often:  # then it is the rate that was measured, and not the service
        told += f", {too_often} of them by the rate that one key or address may ask at (FLUKEPRINT_REQUESTS_PER_MINUTE, 0: any)"
    found = {
        "wrong_answers": figure(len(run.wrong) if answers else None, f"of {answers} answers"),
        "server_errors": figure(sum(_failed(one) for one in run.samples), f"of {len(run.samples)} requests"),
        "refused_otherwise": figure(otherwise + too_often, told),
    }
    if batches := [one for one in run.samples if one.action == "batch" and one.status == 200]:
        found["late_batches"] = figure(sum(one.late for one in batches), f"of {len(batches)} batches")
    return found | _costs(run) | _waits(run) | _memory(run) | _bursts(run) | _flood(run)


def _failed(sample: Sample) -> bool:
    """Neither an answer nor a refusal."""
    return sample.status // 100 not in (2, 4)


def _costs(run: Run) -> dict[str, Figure]:
    """The median over the turns: one in which the machine changed between the service and the bare pipeline says nothing."""
    found = {}
    for stage in run.of("cost"):
        turns, answered = run.beside(stage), run.asked(stage)
        if turns and run.watch.cpu_s:
            after = [bare.cpu_ms for _, bare in turns]
            beside = [mean(two) for two in pairwise([after[0], *after])]  # a turn lies between two of the bare pipeline's
            ours = [_answer_ms(run, turn, answered) for turn, _ in turns]
            spent = [(ms, bare) for ms, bare in zip(ours, beside, strict=True) if ms is not None]
            if not spent:
                found[f"cost_{stage.size}"] = figure(None, "nothing was answered")
                continue
            told = f"{median(ms for ms, _ in spent):.1f} ms of CPU / {median(bare for _, bare in spent):.1f} ms"
            told += f", {run.in_time(stage, answered):.1f} a second"
            ratios = [ms / bare for ms, bare in spent]
            if len(ratios) > 1:
                told += f", in {len(ratios)} turns, {min(ratios):.2f} to {max(ratios):.2f}"
            found[f"cost_{stage.size}"] = figure(median(ratios), told)
    return found


def _answer_ms(run: Run, turn: Mark, answered: Iterable[Sample]) -> float | None:
    """CPU of all the service's processes for each of this turn's answers."""
    count = sum(_is_of(one, turn) for one in answered)
    return run.watch.cpu_between(turn.begun, turn.quiet) / count * 1000 if count else None


def _is_of(sample: Sample, turn: Mark) -> bool:
    return turn.begun <= sample.begun <= turn.quiet


def _around(turns: Sequence[tuple[Mark, Bare]]) -> list[tuple[Mark, Bare]]:
    """A turn lies between two of the bare pipeline's: its time for one photo, in both."""
    after = [bare.one_ms for _, bare in turns[1:]]
    both = zip(turns, [*after, turns[-1][1].one_ms] if turns else [], strict=True)
    return [(mark, replace(bare, one_ms=(bare.one_ms + next_ms) / 2)) for (mark, bare), next_ms in both]


def _waits(run: Run) -> dict[str, Figure]:
    """How often the bare time of the same seconds each wait was: in others the machine may be half as fast."""
    for stage in run.of("half"):
        answered, turns = run.asked(stage), _around(run.beside(stage))
        alone = percentile([one.ms for other in run.of("alone") for one in run.asked(other)], 0.5)
        times = [one.ms / bare.one_ms for turn, bare in turns for one in answered if _is_of(one, turn)]
        one_ms = median(bare.one_ms for _, bare in turns) if turns else alone
        p95 = percentile([one.ms for one in answered], 0.95)
        mark = run.mark(stage)
        told = f"p95 {p95:.1f} ms, {'bare' if turns else 'its own alone'} {one_ms:.1f} ms, "
        told += f"{len(answered)} requests at {mark.rate:.1f} a second, {mark.unsent} unsent"
        if pool := [ms / bare.one_ms for _, bare in turns for ms in bare.waited_ms]:
            told += f"; {percentile(pool, 0.95):.3g} with nothing around the pipeline"
        refused = len(run.asked(stage, status=429)) + mark.unsent
        asked = len(answered) + refused
        return {
            f"p95_at_half{'' if turns else SEEN}": figure(percentile(times, 0.95) if turns else p95 / alone, told),
            "refused_at_half": figure(
                refused / asked if asked else None, f"{refused} of {asked}, those that were not sent among them"
            ),
        }
    return {}


def _memory(run: Run) -> dict[str, Figure]:
    for stage in run.of("steady"):
        mark = run.mark(stage)
        weights = [one for one in run.watch.memory_mb if mark.begun <= one.at <= mark.ended]
        if mark.ended - mark.begun < LONG_S or len(weights) < 10:
            continue
        fifth = len(weights) // 5
        early = [one.value for one in weights[fifth : 2 * fifth]]
        late = [one.value for one in weights[-fifth:]]
        told = f"{mean(early):.0f} MB, then {mean(late):.0f} MB, in {mark.ended - mark.begun:.0f} s"
        return {"memory_growth": figure(mean(late) / mean(early), told)}
    return {}


def _bursts(run: Run) -> dict[str, Figure]:
    if not run.of("after"):
        return {}
    calm = [one.ms for stage in run.of("calm") for one in run.asked(stage)]
    normal, slowest = percentile(calm, 0.95) * NORMAL, 0.0
    for stage in run.of("after"):
        slowest = max(slowest, _normal_after(run, stage, normal))
    crowded = [run.mark(stage) for stage in run.of(*CROWDED)]  # that it goes on, or another comes, could not be foreseen
    again = [one for one in run.samples if one.again and not any(o.begun <= one.begun <= o.ended for o in crowded)]
    found = {"recovery_s": figure(slowest, f"until p95 of two seconds ≤ {normal:.0f} ms, {NORMAL} × that of before")}
    if crowded:
        refused = any(run.asked(stage, status=429) for stage in run.of(*CROWDED))
        untrue = sum(one.status != 200 for one in again)
        share = untrue / len(again) if again else None if refused else 0.0
        found["retry_after_untrue"] = figure(share, f"{untrue} of {len(again)} who came back")
    return found


def _normal_after(run: Run, stage: Stage, normal: float) -> float:
    """Seconds after the burst, in which the stage begins, from when on two, one after the other, were normal."""
    mark, asked = run.mark(stage), [one for one in run.samples if one.stage == stage.name and one.action == "identify"]
    before = math.inf
    for second in range(int(mark.ended - mark.begun)):
        here = [one for one in asked if mark.begun + second <= one.begun < mark.begun + second + 1]
        fine = bool(here) and all(one.status == 200 for one in here) and percentile([one.ms for one in here], 0.95) <= normal
        if fine and before < math.inf:
            return before
        before = float(second) if fine else math.inf
    return math.inf


def _flood(run: Run) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    crowded = run.of(*CROWDED)
    refused = [one for stage in crowded for one in run.asked(stage, status=429)]
    if crowded and run.log is not None:
        ms, read = run.server_ms(refused), [run.log[one.id].read for one in refused if one.id in run.log]
        told = f"p50 {percentile(ms, 0.5):.1f} ms, the slowest {max(ms, default=math.nan):.0f} ms, of {len(ms)}"
        found["refusal_p99_ms"] = figure(percentile(ms, 0.99) if refused else 0.0, told if refused else "nobody was refused")
        found["refusal_body"] = figure(sum(one > 0 for one in read) if read or not refused else None, f"of {len(read)}")
    for stage in run.of("flood"):
        mark, clock = run.mark(stage), SEEN if run.log is None else ""
        told_ms = _seen_ms if run.log is None else run.server_ms
        alone = told_ms([one for other in run.of("alone") for one in run.asked(other)])
        taken = told_ms(run.asked(stage))
        told = f"{percentile(taken, 0.95):.0f} ms / {percentile(alone, 0.95):.0f} ms, {len(taken)} of {mark.rate:.0f} a second"
        in_time = run.in_time(stage, run.asked(stage))
        capacity = mark.rate / stage.times if stage.times else 0.0
        found["flood_loss"] = figure(
            1 - in_time / capacity if capacity else None, f"{in_time:.1f} answered a second of the {capacity:.1f} of before"
        )
        found[f"accepted_p95{clock}"] = figure(
            percentile(taken, 0.95) / percentile(alone, 0.95), f"{told}, {mark.unsent} unsent"
        )
        probes = [one for one in run.watch.probes if mark.begun <= one.at <= mark.ended]
        fine = [one for one in probes if one.status == 200]
        told = f"{len(probes)} probes; p99 as the watcher saw it {percentile([one.ms for one in fine], 0.99):.0f} ms"
        if missed := len(probes) - len(fine):
            told += f"; {missed} were not answered 200"
        found[f"probe_p99_ms{clock}"] = figure(percentile([*told_ms(fine), *[math.inf] * missed], 0.99), told)
        weights = [one.value for one in run.watch.memory_mb if mark.begun <= one.at <= mark.ended]
        before = [one.value for one in run.watch.memory_mb if one.at < mark.begun]
        if weights and before:
            found["overload_memory"] = figure(max(weights) / before[-1], f"{max(weights):.0f} MB / {before[-1]:.0f} MB")
    return found


def _seen_ms(asked: Iterable[Sample | Probe]) -> list[float]:
    return [one.ms for one in asked]


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of them does not exceed; NaN of none.

    >>> percentile([1, 2, 3, 4], 0.5)
    2
    """
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
