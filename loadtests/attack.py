"""The load generator: a Locust file. `locust -f loadtests/attack.py --headless --plan FILE` runs a plan, stage by stage.

One Locust user drives all: it starts a closed stage's askers, or an open stage's arrivals, as greenlets of its own, so that
arrivals wait for nobody. It judges nothing: every answer is written down, and checked when the run is over.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import random
import time
import traceback
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task

from loadtests.form import FORM, form
from loadtests.plan import FAILED, Mark, Plan, Sample, Seen, Stage, Turn
from loadtests.turns import Lately, Pipelines, arrivals

MOST_WAITING = 500  # requests under way; the service shows the thousandth connection out
LAST_ANSWERS_S = 60
LAST_BATCHES_S = LAST_ANSWERS_S + 15  # one that was sent at a stage's very end is told late before its asker is stopped
LONGEST_PAUSE_S = 30.0  # of one who is told to come back
REST_S = 0.2  # after a stage, whose CPU is counted from look to look, ten times a second: the next one's is not its own
PHOTOS_A_BATCH = 6
COMES_BACK = {"burst": 20, "flood": 100}  # of the refused every such one comes back when it was told to
GOES_ON = tuple(COMES_BACK)  # stages whose end is not waited for: what they leave behind is what the next one shows


def _with_plan(parser: Any, **_: Any) -> None:
    parser.add_argument("--plan", required=True)


_parser: Any = events.init_command_line_parser  # untyped
_parser.add_listener(_with_plan)


class Season(FastHttpUser):
    concurrency = MOST_WAITING
    network_timeout = connection_timeout = 60.0
    max_retries = 0

    def prepare(self) -> None:
        self.plan = plan = Plan.read(Path(self.environment.parsed_options.plan))
        self.chance = random.Random(plan.seed)
        self.numbers, self.enrolled = itertools.count(), 0
        self.run_id = uuid4().hex[:8]
        self.capacity, self.lately = plan.capacity, Lately()
        self.under_way = list[Group]()
        self.enrolling = 0, 0.0, 1.0  # newcomers who may be enrolled in this stage, its beginning, its seconds
        self.forms = {
            size: [(Path(one).name, form({}, [("photos", Path(one).name, Path(one).read_bytes())])) for one in paths]
            for size, paths in plan.photos.items()
        }

    @task
    def whole_plan(self) -> None:
        try:
            self.prepare()
            self.run_plan()
        except Exception:  # Locust would begin the plan anew, again and again
            Path(self.environment.parsed_options.plan).with_suffix(FAILED).write_text(traceback.format_exc(), "utf-8")
        runner: Any = self.environment.runner
        runner.quit()

    def run_plan(self) -> None:
        marks, samples, turns = list[Mark](), list[list[Sample]](), list[Turn]()
        with Pipelines(Path(self.environment.parsed_options.plan)) as pipelines:
            for stage in self.plan.stages:
                if stage.role == "bare":
                    turns.append(pipelines.turn(stage.size, stage.seconds, stage.part))
                    continue
                if stage.role == "pool":
                    due = arrivals(self.chance, time.time(), stage.seconds, stage.times * pipelines.capacity)
                    turns[-1] = replace(turns[-1], waited_s=pipelines.waited_s(stage.size, due))
                    continue
                answered = list[Sample]()
                marks.append(self.run_stage(stage, answered))
                samples.append(answered)
        for group in self.under_way:
            group.join(timeout=LAST_BATCHES_S)
            group.kill()
        Seen(list(itertools.chain(*samples)), marks, turns).write(Path(self.plan.samples))

    def run_stage(self, stage: Stage, answered: list[Sample]) -> Mark:
        group = Group()
        begun, unsent, rate = time.time(), 0, stage.times * self.capacity
        self.enrolling = len(list(Path(self.plan.newcomers).glob("*.jpg"))), begun, stage.seconds
        if stage.times:
            for due in arrivals(self.chance, begun, stage.seconds, rate):
                gevent.sleep(max(0.0, due - time.time()))
                if len(group) >= MOST_WAITING:
                    unsent += 1
                else:
                    group.spawn(self.act, stage, answered)
            ended = time.time()
        else:
            ended = begun + stage.seconds
            for _ in range(stage.users):
                group.spawn(self.keep_asking, stage, ended, answered)
        if stage.role in GOES_ON:
            self.under_way.append(group)
        else:
            group.join(timeout=LAST_BATCHES_S)
            group.kill()
        if stage.role in ("capacity", "cost"):
            in_time = [one.ended for one in answered if one.status == 200 and one.ended <= ended]
            if in_time:  # until the last of them: what is under way at the end is no answer yet, and no second without one
                self.capacity = self.lately.after(stage.size, len(in_time) / (max(in_time) - begun))
        mark = Mark(stage.name, begun, ended, rate, unsent, time.time())
        if stage.role not in GOES_ON:
            gevent.sleep(REST_S)
        return mark

    def keep_asking(self, stage: Stage, until: float, answered: list[Sample]) -> None:
        while time.time() < until:
            done = self.act(stage, answered)
            if done.status == 429:
                gevent.sleep(min(_told(done), max(0.0, until - time.time())))
            elif done.status // 100 != 2:
                gevent.sleep(0.2)

    def act(self, stage: Stage, answered: list[Sample]) -> Sample:
        action, begun = self.chance.choices(list(stage.traffic), list(stage.traffic.values()))[0], time.time()
        try:
            done: Sample = getattr(self, action)(stage)
        except (ValueError, KeyError, TypeError) as error:  # an answer that is not what was agreed
            done = Sample(self.number(), stage.name, action, "", begun, time.time(), 0, error=f"no such answer: {error}"[:200])
        answered.append(done)
        if done.status == 429 and len(answered) % COMES_BACK.get(stage.role, math.inf) == 0:
            gevent.sleep(_told(done))
            answered.append(self.identify(stage, again=True))
        return done

    def identify(self, stage: Stage, again: bool = False) -> Sample:
        name, body = self.chance.choice(self.forms[stage.size])
        return self.ask(stage, "identify", name, "POST", "/v1/identify", body, again=again)

    def enrol(self, stage: Stage) -> Sample:
        most, begun, seconds = self.enrolling
        if self.enrolled >= most * min(1.0, (time.time() - begun) / seconds):
            return self.identify(stage)  # the catalogue shall not outgrow its calibration, and grow to the end of the stage
        number, self.enrolled = self.enrolled, self.enrolled + 1
        photo = Path(self.plan.newcomers) / f"{number}.jpg"
        name = f"Newcomer-{number}"
        body = form({"name": name, "force": "true"}, [("photos", photo.name, photo.read_bytes())])
        return self.ask(stage, "enrol", name, "POST", "/v1/individuals", body)

    def browse(self, stage: Stage) -> Sample:
        individual = self.chance.choice(self.plan.browse)
        return self.ask(stage, "browse", str(individual), "GET", f"/v1/individuals/{individual}")

    def batch(self, stage: Stage) -> Sample:
        """A ZIP of photos, each an encounter; its answer is the whole result, when the job has ended."""
        chosen = self.chance.sample(self.plan.photos[stage.size], min(PHOTOS_A_BATCH, len(self.plan.photos[stage.size])))
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
            for path in chosen:
                archive.write(path, Path(path).name)
        body = form({"kind": "identify"}, [("archive", "photos.zip", held.getvalue())])
        what = " ".join(sorted(Path(path).name for path in chosen))
        sent = self.ask(stage, "batch", what, "POST", "/v1/batches", body)
        if sent.status != 202:
            return sent
        job = json.loads(sent.body or "{}")["id"]
        until = time.time() + LAST_ANSWERS_S
        while time.time() < until:
            told = self.ask(stage, "batch", what, "GET", f"/v1/jobs/{job}")
            if told.status != 200:
                return told
            if json.loads(told.body or "{}")["state"] in ("done", "failed", "cancelled"):
                break
            gevent.sleep(0.5)
        else:
            return replace(told, begun=sent.begun, body=None, late=True)  # what is not done is not wrong
        result = self.ask(stage, "batch", what, "GET", f"/v1/jobs/{job}/result?limit=1000")
        return replace(result, begun=sent.begun)

    def number(self) -> str:
        return f"{self.run_id}-{next(self.numbers)}"

    def ask(
        self, stage: Stage, action: str, what: str, method: str, path: str, body: bytes | None = None, again: bool = False
    ) -> Sample:
        number = self.number()
        headers = {"X-Request-Id": number} | (FORM if body is not None else {})
        if self.plan.key:
            headers["Authorization"] = f"Bearer {self.plan.key}"
        begun = time.time()
        client: Any = self.client  # typed for text alone
        said = client.request(method, path, data=body, headers=headers, name=f"{stage.name}: {action}")
        ended = time.time()
        status = said.status_code or 0
        text = said.text if 200 <= status < 300 else None
        error = None if status else str(said.error)[:200]
        retry = said.headers.get("Retry-After") if status else None
        problem = _problem(said.text) if status >= 400 else None
        return Sample(number, stage.name, action, what, begun, ended, status, retry, text, error, again, problem)


def _told(refused: Sample) -> float:
    """Seconds after which one may come back."""
    said = refused.retry_after or ""
    return min(float(said), LONGEST_PAUSE_S) if said.isdigit() else 1.0


def _problem(text: str | None) -> str | None:
    with suppress(ValueError, AttributeError):
        return str(json.loads(text or "").get("type", "")).rpartition(":")[2] or None
    return None
