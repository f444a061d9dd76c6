"""What the load generator is told and what it writes down: two plain files, since it runs in a process of its own.

Locust patches the standard library as it is imported, which nothing else here should have to live with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

FAILED = ".failed"  # in the place of the plan's ending: why the generator could not come to its end
MOMENT, NO_MORE = "<d", 0.0  # a photo that comes to the bare pipelines, on their pipe, and the last word of each


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
    part: int = 0  # of the scenario: what is in one is run in turns, and held against each other


@dataclass(frozen=True, slots=True)
class Plan:
    url: str
    key: str | None
    stages: tuple[Stage, ...]
    photos: Mapping[str, list[str]]  # paths by size
    newcomers: str  # a folder of photos to enrol
    browse: tuple[int, ...]  # individuals to look at
    bare: tuple[str, ...]  # data folders of the bare pipeline, one a core; none where the service runs elsewhere
    capacity: float  # per second, where no stage measures it
    seed: int
    samples: str  # where the generator writes, one JSON a line

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), "utf-8")

    @staticmethod
    def read(file: Path) -> Plan:
        given = json.loads(file.read_text("utf-8"))
        stages = tuple(Stage(**one) for one in given.pop("stages"))
        return Plan(stages=stages, browse=tuple(given.pop("browse")), bare=tuple(given.pop("bare")), **given)


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
    """When a stage was really run; one that is run in turns has several."""

    stage: str
    begun: float
    ended: float
    rate: float  # what an open stage was to send per second
    unsent: int  # of those: too many were waiting for an answer already
    quiet: float  # when the last of its requests was answered


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU-seconds, and each photo's wall seconds."""

    cpu_s: float
    photos_s: list[float]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the bare pipeline took, by one process alone and by as many as there are cores; and how long photos waited for
    these, from when they came until they were done, where they came by chance."""

    part: int
    alone: Spent
    busy: Spent
    waited_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the generator wrote down."""

    samples: list[Sample]
    marks: list[Mark]
    turns: list[Turn]

    def write(self, file: Path) -> None:
        """The file is there when it is whole."""
        part = file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as out:
            for kind in fields(self):
                for one in getattr(self, kind.name):
                    out.write(json.dumps({kind.name: asdict(one)}) + "\n")
        part.replace(file)

    @staticmethod
    def read(file: Path) -> Seen:
        seen = Seen([], [], [])
        for line in _lines(file):
            for kind, one in line.items():
                if kind == "samples":
                    seen.samples.append(Sample(**one))
                elif kind == "marks":
                    seen.marks.append(Mark(**one))
                else:
                    seen.turns.append(Turn(one["part"], Spent(**one["alone"]), Spent(**one["busy"]), one["waited_s"]))
        return seen


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
