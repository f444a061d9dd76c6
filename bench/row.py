"""One line of a benchmark's table: what was measured, the level it is held to, and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: float
    level: str  # for a person: "≤ 1.05 × bare runtime"
    met: bool
    detail: str = ""
