"""The scenarios, each of which answers one question, as phases one after the other.

A phase is closed (so many users, each asking again as soon as it is answered) or open (requests arrive by chance at a rate,
whether or not earlier ones were answered). Rates are stated in the capacity that the phase marked `capacity` has measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loadtests.errors import LoadtestRefused
from loadtests.photos import Size

Role = Literal["", "capacity", "cost", "alone", "half", "calm", "burst", "after", "flood", "steady"]
Traffic = Mapping[str, float]
IDENTIFY: Traffic = {"identify": 1.0}
SEASON: Traffic = {"identify": 0.80, "enrol": 0.10, "browse": 0.05, "batch": 0.05}
ENROLLING: Traffic = {"identify": 0.70, "enrol": 0.30}


@dataclass(frozen=True, slots=True)
class Phase:
    """`share` of the scenario's time. `users` a core (closed), or `times` the capacity (open)."""

    name: str
    share: float
    size: Size = "1mp"
    users: float = 0.0
    times: float = 0.0
    traffic: Traffic = field(default_factory=lambda: IDENTIFY)
    role: Role = ""
    least_s: float = 0.0  # however short the scenario is made


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    asks: str
    seconds: float
    phases: tuple[Phase, ...]

    @property
    def writes(self) -> bool:
        return any(set(phase.traffic) & {"enrol"} for phase in self.phases)

    @property
    def sizes(self) -> list[Size]:
        return sorted({phase.size for phase in self.phases})


def _warm(size: Size) -> Phase:
    return Phase(f"warm-{size}", 0.03, size, users=1)


def _saturated(size: Size, share: float, role: Role = "cost") -> Phase:
    return Phase(f"saturated-{size}", share, size, users=2, role=role)


def _alone(size: Size, share: float) -> Phase:
    return Phase("one at a time", share, size, users=0, role="alone")


SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            "closed",
            "What does an identification cost when all cores are busy?",
            60,
            (_warm("12mp"), _saturated("12mp", 0.47), _warm("1mp"), _saturated("1mp", 0.47)),
        ),
        Scenario(
            "open",
            "How long does one wait at half the capacity?",
            60,
            (
                _warm("1mp"),
                _saturated("1mp", 0.25, "capacity"),
                _alone("1mp", 0.12),
                Phase("half the capacity", 0.6, times=0.5, role="half"),
            ),
        ),
        Scenario(
            "enrolling",
            "Are answers right, and in time, while others enrol?",
            60,
            (
                _warm("small"),
                _saturated("small", 0.2, "capacity"),
                Phase("while enrolling", 0.77, "small", times=0.4, traffic=ENROLLING, role="steady"),
            ),
        ),
        Scenario(
            "burst",
            "How soon is it as before, after a burst of ten times the capacity?",
            60,
            (
                _warm("small"),
                _saturated("small", 0.15, "capacity"),
                Phase("before", 0.2, "small", times=0.4, role="calm"),
                Phase("burst", 0.05, "small", times=10, role="burst", least_s=2),
                Phase("after the burst", 0.2, "small", times=0.4, role="after", least_s=6),
                Phase("second burst", 0.05, "small", times=10, role="burst", least_s=2),
                Phase("after the second", 0.2, "small", times=0.4, role="after", least_s=6),
            ),
        ),
        Scenario(
            "overload",
            "What becomes of others at ten times the capacity for a minute?",
            110,
            (
                _warm("small"),
                _saturated("small", 0.12, "capacity"),
                _alone("small", 0.1),
                Phase("calm", 0.1, "small", times=0.4, role="calm"),
                Phase("ten times the capacity", 0.55, "small", times=10, role="flood"),
                Phase("afterwards", 0.1, "small", times=0.4, role="after", least_s=6),
            ),
        ),
        Scenario(
            "mix",
            "Does it carry a field season: 80 % identify, 10 % enrol, 5 % browse, 5 % batch?",
            120,
            (
                _warm("12mp"),
                _saturated("12mp", 0.18),
                _warm("1mp"),
                _saturated("1mp", 0.18, "capacity"),
                Phase("half the capacity", 0.18, times=0.5, role="half"),
                Phase("field season", 0.4, times=0.5, traffic=SEASON, role="steady"),
            ),
        ),
        Scenario(
            "soak",
            "Is its memory flat, and are its answers right, over a long time?",
            180,
            (
                _warm("1mp"),
                Phase("saturated-1mp", 0.0, users=2, role="capacity", least_s=8),
                Phase("field season", 0.97, times=0.5, traffic=SEASON, role="steady"),
            ),
        ),
    )
}


def scenario(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise LoadtestRefused(f"There is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}.")
    return SCENARIOS[name]
