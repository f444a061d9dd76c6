"""The answer to "which animal is this?", as plain values, and as the JSON that the command and the service give."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from encoder.values import Box
from matching.decision import Kind, Rates


@dataclass(frozen=True, slots=True)
class Proof:
    """A sighting that speaks for a candidate."""

    sighting_id: int
    photo: str  # the file name that the sighting came with
    score: float
    query: int  # which of the answer's photos it resembles, from 0


@dataclass(frozen=True, slots=True)
class Candidate:
    rank: int  # from 1
    individual_id: int
    name: str
    species: str | None
    probability: float  # that this is the animal; with `new_probability` they sum to at most 1
    score: float
    evidence: tuple[Proof, ...]  # best first


@dataclass(frozen=True, slots=True)
class PhotoCandidate:
    """What one photo says by itself."""

    individual_id: int
    name: str
    score: float
    sighting_id: int
    photo: str


@dataclass(frozen=True, slots=True)
class PhotoAnswer:
    """One photo of the question; where it was refused the measures are None and `refused` says why."""

    name: str
    sha256: str | None
    box: Box | None
    width: int | None
    height: int | None
    brightness: float | None
    sharpness: float | None
    refused: str | None
    candidates: tuple[PhotoCandidate, ...]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the probabilities rest on, and what to expect of decisions at this operating point."""

    source: str  # "catalogue", "bundle", "none"
    reason: str
    optimistic: bool
    new_share: float
    max_false_match: float
    expected: Rates


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds, summed over the photos; `decide` is everything that is none of the others."""

    decode: float
    encode: float
    search: float
    decide: float


@dataclass(frozen=True, slots=True)
class Answer:
    decision: Kind
    probability: float  # P(the stated decision is right); for "unsure", which states nothing, P(the top candidate is right)
    new_probability: float
    candidates: tuple[Candidate, ...]
    photos: tuple[PhotoAnswer, ...]
    bundle: str
    calibration: Grounds
    timings_ms: Timings
    identification_id: int | None = None  # given when the catalogue has kept the answer

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in _names(Answer)}


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, which copies each number by `deepcopy`: a third of its time."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if names := _names(value.__class__):
        return {name: _plain(getattr(value, name)) for name in names}
    return value


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
