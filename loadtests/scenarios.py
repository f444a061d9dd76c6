"""The scenarios, each of which answers one question, as parts one after the other.

A phase is closed (so many users, each asking again as soon as it is answered) or open (requests arrive by chance at a rate,
whether or not earlier ones were answered). Rates are stated in the capacity that the phase marked `capacity` has measured last.

The phases of one part are run in turns of a few seconds. A machine that others use too is a fifth slower in one second than in
the next; what is held against each other has to meet the same seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loadtests.errors import LoadtestRefused
from loadtests.photos import Size

Role = Literal["", "bare", "pool", "capacity", "cost", "alone", "half", "calm", "burst", "after", "flood", "steady"]
BARE: tuple[Role, ...] = ("bare", "pool")  # the service rests, and the bare pipeline has the machine
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
    parts: tuple[tuple[Phase, ...], ...]

    @property
    def phases(self) -> list[Phase]:
        return [phase for part in self.parts for phase in part]

    @property
    def writes(self) -> bool:
        return any(set(phase.traffic) & {"enrol"} for phase in self.phases)

    @property
    def sizes(self) -> list[Size]:
        return sorted({phase.size for phase in self.phases})


def _warm(size: Size) -> tuple[Phase]:
    return (Phase(f"warm-{size}", 0.03, size, users=1),)


def _saturated(size: Size, share: float) -> Phase:
    return Phase(f"saturated-{size}", share, size, users=2, role="cost")


def _capacity(size: Size, share: float) -> Phase:
    """Saturated for the capacity alone, in which the rates of what follows are stated."""
    return Phase(f"capacity-{size}", share, size, users=2, role="capacity")


def _bare(size: Size, share: float) -> Phase:
    return Phase(f"bare-{size}", share, size, users=0, role="bare")


def _alone(size: Size, share: float) -> tuple[Phase]:
    return (Phase("one at a time", share, size, users=0, role="alone"),)


SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            "closed",
            "What does an identification cost when all cores are busy?",
            200,
            (
                _warm("12mp"),
                (_saturated("12mp", 0.23), _bare("12mp", 0.24)),
                _warm("1mp"),
                (_saturated("1mp", 0.23), _bare("1mp", 0.24)),
            ),
        ),
        Scenario(
            "open",
            "How long does one wait at half the capacity?",
            400,  # p95 of half as many requests is ± .13 of a bare time by chance alone
            (
                _warm("1mp"),
                (
                    _capacity("1mp", 0.09),
                    _bare("1mp", 0.14),
                    Phase("half the capacity", 0.34, times=0.5, role="half"),
                    Phase("the bare pipeline at half its own", 0.34, times=0.5, role="pool"),
                ),
                _alone("1mp", 0.05),
            ),
        ),
        Scenario(
            "enrolling",
            "Are answers right, and in time, while others enrol?",
            75,
            (
                _warm("small"),
                (_capacity("small", 0.2),),
                (Phase("while enrolling", 0.62, "small", times=0.4, traffic=ENROLLING, role="steady"),),
            ),
        ),
        Scenario(
            "burst",
            "How soon is it as before, after a burst of ten times the capacity?",
            60,
            (
                _warm("small"),
                (_capacity("small", 0.15),),
                (Phase("before", 0.2, "small", times=0.4, role="calm"),),
                (Phase("burst", 0.05, "small", times=10, role="burst", least_s=2),),
                (Phase("after the burst", 0.2, "small", times=0.4, role="after", least_s=6),),
                (Phase("second burst", 0.05, "small", times=10, role="burst", least_s=2),),
                (Phase("after the second", 0.2, "small", times=0.4, role="after", least_s=6),),
            ),
        ),
        Scenario(
            "overload",
            "What becomes of others at ten times the capacity for a minute?",
            110,
            (
                _warm("small"),
                (_capacity("small", 0.12),),
                _alone("small", 0.1),
                (Phase("calm", 0.1, "small", times=0.4, role="calm"),),
                (Phase("ten times the capacity", 0.55, "small", times=10, role="flood"),),
                (Phase("afterwards", 0.1, "small", times=0.4, role="after", least_s=6),),
            ),
        ),
        Scenario(
            "mix",
            "Does it carry a field season: 80 % identify, 10 % enrol, 5 % browse, 5 % batch?",
            160,  # of which the service is asked for two minutes
            (
                _warm("12mp"),
                (_saturated("12mp", 0.1), _bare("12mp", 0.1)),
                _warm("1mp"),
                (_saturated("1mp", 0.1), _bare("1mp", 0.1)),
                (
                    _capacity("1mp", 0.05),
                    _bare("1mp", 0.05),
                    Phase("half the capacity", 0.15, times=0.5, role="half"),
                ),
                (Phase("field season", 0.3, times=0.5, traffic=SEASON, role="steady"),),
            ),
        ),
        Scenario(
            "soak",
            "Is its memory flat, and are its answers right, over a long time?",
            180,
            (
                _warm("1mp"),
                (_capacity("1mp", 0.03),),
                (Phase("field season", 0.93, times=0.5, traffic=SEASON, role="steady"),),
            ),
        ),
    )
}


def scenario(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise LoadtestRefused(f"There is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}.")
    return SCENARIOS[name]
