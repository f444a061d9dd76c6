"""One labelled photo as a row, and what is wrong with one: the plain values of the data modules.

A row never guesses: what the table does not say is None. `NEW` is HappyWhale's name for an animal that the gallery lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from encoder.values import Box

NEW = "new_individual"
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Row:
    path: str  # below the folder of photos, with forward slashes
    identity: str
    species: str | None = None
    encounter: str | None = None
    viewpoint: str | None = None
    date: date | None = None
    box: Box | None = None
    line: int = 0  # in the table that it came from, the header being line 1


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, by row. An error keeps the row out of training; a warning is for a person to judge."""

    severity: Severity
    kind: str
    line: int  # 0: of a file that no line names
    path: str
    message: str

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line else ""
        return f"{line}{self.path or '(no photo named)'}: {self.message}"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows that can be read, and findings about those that cannot."""

    source: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
