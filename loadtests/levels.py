"""The service levels, from their one file, and whether a run's figures keep them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import LoadtestRefused

LEVELS = Path(__file__).resolve().parent / "levels.toml"
MORE = ("cost_small", "p95_at_half_seen", "accepted_p95_seen", "probe_p99_ms_seen")  # measured too, and of no level of ours


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    most: float
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    level: Level
    value: float
    detail: str

    @property
    def met(self) -> bool:
        return self.value <= self.level.most  # which NaN, a figure that nothing was there for, does not


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    detail: str = ""


def read_levels(file: Path = LEVELS) -> dict[str, Level]:
    """By name. A level that does not say what it is, or how much it allows, or of what nothing measures, is refused."""
    try:
        given = tomllib.loads(file.read_text("utf-8"))
        levels = {name: Level(name, float(one["most"]), str(one["says"])) for name, one in given.items()}
        if not levels:
            raise ValueError("no level stands in it")
        known = levels if file == LEVELS else [*read_levels(), *MORE]
        if strange := [name for name in levels if name not in known]:
            raise ValueError(f"there is no figure {strange[0]!r}, only {', '.join(known)}")
        return levels
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise LoadtestRefused(
            f"{file.name} cannot be read as service levels: {error}. Expected are tables [NAME] with `most` and `says`."
        ) from error


def judge(figures: Mapping[str, Figure], levels: Mapping[str, Level]) -> list[Verdict]:
    """Of each figure that has a level, in the order of the levels.

    >>> [one.met for one in judge({"cost": Figure(1.2)}, {"cost": Level("cost", 1.1, "what it costs")})]
    [False]
    """
    return [Verdict(level, figures[name].value, figures[name].detail) for name, level in levels.items() if name in figures]


def figure(value: float | None, detail: str = "") -> Figure:
    """None, where there was nothing to measure, misses every level."""
    return Figure(math.nan if value is None else value, detail)
