"""One load test from beginning to end: a ground, a service, the generator, and then the report.

    photos and catalogue → service + generator, in turns with the bare pipeline → answers checked → report

Of a service that runs elsewhere only questions are asked, and no animal is enrolled; its answers are held against those that
it gave while nobody else asked. What its processes cost is not known.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.station import open_station
from loadtests import figures, own, report
from loadtests.errors import LoadtestRefused, ServiceFailed
from loadtests.figures import Bare, Run, Served
from loadtests.form import FORM, form
from loadtests.ground import make_ground
from loadtests.levels import LEVELS, judge, read_levels
from loadtests.photos import Asked, draw_questions, newcomer
from loadtests.plan import FAILED, Plan, Seen, Stage
from loadtests.report import Report
from loadtests.scenarios import BARE, Scenario, scenario
from loadtests.truth import Offline, Quiet
from loadtests.watch import OFTEN_S, SCRAPED_EVERY_S, Watch
from settings import ROOT, Settings, cores

QUESTIONS = 12  # photos of each size
SIGHTINGS, FEW_SIGHTINGS = 5_000, 1_000  # in the catalogue; few in a run of less than half a minute
GROWS_BY = 0.08  # of the catalogue, at most: from a tenth on it is calibrated anew
BROWSED = range(1, 21)
TURN_S, OPEN_TURN_S = 1.0, 4.0  # where people come by chance the queue begins empty: in a short turn nobody waits
LATE_S = 300  # and twice its time: a generator that takes longer hangs
ENROLLED_A_SECOND = 10  # more than any machine of two cores does
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run. `url` names a service elsewhere; `users` are those of a closed stage, unset: two a core."""

    scenario: str = "mix"
    seconds: float | None = None
    users: int | None = None
    url: str | None = None
    key: str | None = None
    levels: Path = LEVELS
    out: Path = Path("report")
    seed: int = 1


def run(wanted: Wanted, settings: Settings, tell: Tell) -> Report:
    """The report, which is written to `wanted.out` too."""
    chosen, levels = scenario(wanted.scenario), read_levels(wanted.levels)
    if wanted.url is not None:
        _refuse_address(wanted.url)
        _refuse_key(wanted.key)
        if chosen.writes:
            raise LoadtestRefused(
                f"The scenario {chosen.name} enrols, and a catalogue of yours is not the place for drawn animals. "
                "Against a running service choose closed, open, burst or overload."
            )
    wanted.out.mkdir(parents=True, exist_ok=True)
    report.clear(wanted.out)
    with tempfile.TemporaryDirectory(prefix="flukeprint-load-") as scratch:
        folder = Path(scratch)
        tell("drawing photos …")
        photos = draw_questions(folder / "photos", chosen.sizes, QUESTIONS)
        seen = (
            _elsewhere(wanted, chosen, photos, folder, tell)
            if wanted.url
            else _here(wanted, settings, chosen, photos, folder, tell)
        )
    told = figures.figures(seen)
    made = Report(seen, chosen.asks, figures.lines(seen), told, judge(told, levels))
    report.write(made, wanted.out)
    if seen.left:
        raise ServiceFailed(f"{seen.left} What was seen until then is in {wanted.out}.")
    return made


def _here(wanted: Wanted, settings: Settings, chosen: Scenario, photos: Sequence[Asked], folder: Path, tell: Tell) -> Run:
    stages = stages_of(chosen, wanted, cores())
    newcomers = folder / "newcomers"
    newcomers.mkdir()
    sightings = SIGHTINGS if sum(stage.seconds for stage in stages) > 30 else FEW_SIGHTINGS
    if chosen.writes:
        seconds = sum(stage.seconds for stage in stages if "enrol" in stage.traffic)
        for number in range(min(int(seconds * ENROLLED_A_SECOND) + 1, int(sightings * GROWS_BY))):
            (newcomers / f"{number}.jpg").write_bytes(newcomer(number))
    tell(f"making a catalogue of {sightings:,} sightings …")
    settings = settings.model_copy(update={"database_url": None, "qdrant_url": None, "keep_photos": "original"})
    ground = make_ground(folder, settings, sightings=sightings, bare=cores())
    with own.running(ground.live, wanted.out / own.LOG, settings) as service:
        plan = _plan(wanted, stages, photos, folder, service.url, ground.bare)
        with Watch(service.url, None, service.pid, probe_every_s(stages)) as watch:
            seen = _attack(plan, folder, wanted.out, own.environment(settings, os.environ), tell)
        left = service.left()
    tell(f"checking {len(seen.samples):,} answers …")
    with open_station(settings.model_copy(update={"data_dir": ground.offline}), streams=cores()) as station:
        wrong = Offline(station, [photo.path for photo in photos], newcomers).wrong(seen.samples)
    return replace(_run(chosen, stages, seen, watch, wrong, figures.read_log(service.log)), left=left)


def _elsewhere(wanted: Wanted, chosen: Scenario, photos: Sequence[Asked], folder: Path, tell: Tell) -> Run:
    assert wanted.url is not None
    stages = tuple(stage for stage in stages_of(chosen, wanted, cores()) if stage.role not in BARE)
    tell("asking each photo once, for the answers to compare with …")
    known = {photo.name: _asked_once(wanted.url, wanted.key, photo) for photo in photos}
    plan = _plan(wanted, stages, photos, folder, wanted.url)
    with Watch(wanted.url, wanted.key, None, probe_every_s(stages)) as watch:
        seen = _attack(plan, folder, wanted.out, os.environ, tell)
    return _run(chosen, stages, seen, watch, Quiet(known).wrong(seen.samples), None)


def _run(
    chosen: Scenario,
    stages: Sequence[Stage],
    seen: Seen,
    watch: Watch,
    wrong: Mapping[str, str],
    log: Mapping[str, Served] | None,
) -> Run:
    asked = {stage.name: stage for stage in stages if stage.role not in BARE}  # each once, however many turns it had
    turns = {name: [mark for mark in seen.marks if mark.stage == name] for name in asked}
    return Run(chosen.name, list(asked.values()), seen.samples, turns, watch, wrong, log, Bare.of(seen.turns))


def stages_of(chosen: Scenario, wanted: Wanted, cores: int) -> tuple[Stage, ...]:
    """The phases with their seconds and users, and each of a part with several in as many turns as it takes."""
    whole, stages = wanted.seconds or chosen.seconds, list[Stage]()
    for number, part in enumerate(chosen.parts):
        seconds = [max(phase.share * whole, phase.least_s, 1.0) for phase in part]
        each = [length / (OPEN_TURN_S if phase.times else TURN_S) for phase, length in zip(part, seconds, strict=True)]
        turns = max(1, round(min(each))) if len(part) > 1 else 1
        for phase, length in [*zip(part, seconds, strict=True)] * turns:
            users = 0
            if not phase.times:
                users = 1 if phase.role == "alone" else wanted.users or max(1, round(phase.users * cores))
            stages.append(Stage(phase.name, length / turns, phase.size, users, phase.times, phase.traffic, phase.role, number))
    return tuple(stages)


def probe_every_s(stages: Sequence[Stage]) -> float:
    return OFTEN_S if any(stage.role == "flood" for stage in stages) else SCRAPED_EVERY_S


def _plan(
    wanted: Wanted, stages: tuple[Stage, ...], photos: Sequence[Asked], folder: Path, url: str, bare: Sequence[Path] = ()
) -> Plan:
    by_size: dict[str, list[str]] = {}
    for photo in photos:
        by_size.setdefault(photo.size, []).append(str(photo.path))
    samples, newcomers = str(folder / "samples.jsonl"), str(folder / "newcomers")
    folders = tuple(map(str, bare if any(stage.role == "bare" for stage in stages) else ()))
    return Plan(url.rstrip("/"), wanted.key, stages, by_size, newcomers, tuple(BROWSED), folders, 1.0, wanted.seed, samples)


def _attack(plan: Plan, folder: Path, out: Path, environ: Mapping[str, str], tell: Tell) -> Seen:
    seconds = sum(stage.seconds for stage in plan.stages)
    tell(f"asking for {seconds:.0f} s: {', '.join(dict.fromkeys(stage.name for stage in plan.stages))} …")
    plan.write(folder / "plan.json")
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "attack.py"), "--headless", "-u", "1", "-r", "1"]
    command += ["--host", plan.url, "--plan", str(folder / "plan.json"), "--html", str(out / "locust.html")]
    command += ["--csv", str(out / "locust"), "--only-summary", "--loglevel", "WARNING"]
    command += ["--run-time", f"{2 * seconds + LATE_S:.0f}s"]
    with own.child(command, env=_plain(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as generator:
        said = "".join(generator.communicate())
    (out / "locust.txt").write_text(said, "utf-8")
    if not Path(plan.samples).exists():  # its exit code also tells of refusals, which are no failure of its own
        failed = (folder / "plan.json").with_suffix(FAILED)
        why = failed.read_text("utf-8") if failed.exists() else said
        last = " / ".join(line.strip() for line in why.strip().splitlines()[-3:])
        raise ServiceFailed(f"The load generator left with {generator.returncode} before the end. Its last words: {last}")
    return Seen.read(Path(plan.samples))


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Locust would take settings of its own from the environment."""
    return {key: value for key, value in environ.items() if not key.startswith("LOCUST_")} | {"PYTHONPATH": str(ROOT)}


def _refuse_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and parts.port != 0
        fits = fits and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:
        fits = False
    if not fits:
        raise LoadtestRefused(f"{url!r} is no address of a service: expected http:// or https://, a host, and no path.")


def _refuse_key(key: str | None) -> None:
    if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
        raise LoadtestRefused("--key is no key: expected is what `flukeprint keys create` printed, without anything around it.")


def _asked_once(url: str, key: str | None, photo: Asked) -> dict[str, object]:
    headers = dict(FORM) | ({"Authorization": f"Bearer {key}"} if key else {})
    body = form({}, [("photos", photo.name, photo.path.read_bytes())])
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/identify", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as said:  # nosec B310: http or https, as was looked at
            answer: dict[str, object] = json.load(said)
            return answer
    except urllib.error.HTTPError as error:
        raise LoadtestRefused(f"The service answered {error.code} to a single question: {error.read(500)!r}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise LoadtestRefused(f"The service at {url} does not answer: {error}. Look at the address, and at its log.") from error
