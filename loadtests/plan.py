"""What the load generator is told and what it writes down: two plain files, since it runs in a process of its own.

Locust patches the standard library as it is imported, which nothing else here should have to live with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase with its numbers: closed with `users`, open with `times` the capacity."""

    name: str
    seconds: float
    size: str
    users: int
    times: float
    traffic: Mapping[str, float]
    role: str


@dataclass(frozen=True, slots=True)
class Plan:
    url: str
    key: str | None
    stages: tuple[Stage, ...]
    photos: Mapping[str, list[str]]  # paths by size
    newcomers: str  # a folder of photos to enrol
    browse: tuple[int, ...]  # individuals to look at
    capacity: float  # per second, where no stage measures it
    seed: int
    samples: str  # where the generator writes, one JSON a line

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), "utf-8")

    @staticmethod
    def read(file: Path) -> Plan:
        given = json.loads(file.read_text("utf-8"))
        stages = tuple(Stage(**one) for one in given.pop("stages"))
        return Plan(stages=stages, browse=tuple(given.pop("browse")), **given)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, as the generator saw it. Moments are seconds of the wall clock."""

    id: str
    stage: str
    action: str
    what: str  # the photo's, individual's or newcomer's name
    begun: float
    ended: float
    status: int  # 0: no answer came
    retry_after: str | None = None
    body: str | None = None  # of what was answered 2xx
    error: str | None = None
    again: bool = False  # come back after the Retry-After
    problem: str | None = None  # the last word of its type, where one was answered
    late: bool = False  # a batch that was not done when its time was up

    @property
    def ms(self) -> float:
        return (self.ended - self.begun) * 1000


@dataclass(frozen=True, slots=True)
class Mark:
    """When a stage was really run."""

    stage: str
    begun: float
    ended: float
    rate: float  # what an open stage was to send per second
    unsent: int  # of those: too many were waiting for an answer already


def read_samples(file: Path) -> tuple[list[Sample], list[Mark]]:
    samples, marks = [], []
    for line in _lines(file):
        if "mark" in line:
            marks.append(Mark(**line["mark"]))
        else:
            samples.append(Sample(**line))
    return samples, marks


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
