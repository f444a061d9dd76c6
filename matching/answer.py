"""The answer to "which animal is this?", as plain values, and as the JSON that the command and the service give."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

from encoder.values import Box
from matching.decision import Kind, Rates

WHERE_IT_IS = {"absent": True}  # where there is none, the JSON does not name it
NOT_TOLD = {"untold": True}  # for whoever keeps the answer: the JSON does not name it
PLAIN = {str, int, float, bool, type(None)}  # most of an answer's values, which JSON takes as they are


@dataclass(frozen=True, slots=True)
class Matched:
    """What a second look saw of two photos."""

    inliers: int  # points that agree under one pose
    cosine: float  # the global score by itself; the proof's own is of both
    points: tuple[tuple[tuple[float, float], tuple[float, float]], ...]  # x, y in the question's photo and in the sighting's,
    # in pixels of the upright photos as they were given; the likest first


@dataclass(frozen=True, slots=True)
class Proof:
    """A sighting that speaks for a candidate."""

    sighting_id: int
    photo: str  # the file name that the sighting came with
    score: float
    query: int  # which of the answer's photos it resembles, from 0
    agreement: Matched | None = field(default=None, metadata=WHERE_IT_IS)


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
    norm: float | None = field(default=None, metadata=NOT_TOLD)  # of the vector, before it was made one
    copy_of: int | None = field(default=None, metadata=WHERE_IT_IS)  # an earlier one, from 0, that is this picture


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Whom the photos look like among those that the filter left out, where they would be new by those that it let through."""

    individual_id: int
    name: str
    decision: Kind  # without the filter: "known", or "unsure"


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
class SecondGrounds:
    """A second opinion that was asked for, and whether the order follows it."""

    followed: bool
    share: float  # its part in the scores
    compared: int  # pairs of photos
    reason: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds, summed over the photos; `decide` is everything that is none of the others."""

    decode: float
    encode: float
    search: float
    decide: float
    second: float | None = field(default=None, metadata=WHERE_IT_IS)


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
    alike: int = field(default=0, metadata=NOT_TOLD)  # how many of the first candidates are known; two: as if they were one
    second_opinion: SecondGrounds | None = field(default=None, metadata=WHERE_IT_IS)
    beyond: Elsewhere | None = field(default=None, metadata=WHERE_IT_IS)

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = _plain(self)
        return told


def _plain(value: Any) -> Any:
    """As `dataclasses.asdict`, which copies each number by `deepcopy`: a third of its time."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not is_dataclass(value):
        return value
    told: dict[str, Any] = {}
    for name, absent in _names(value.__class__):
        one = getattr(value, name)
        if one is not None or not absent:
            told[name] = one if one.__class__ in PLAIN else _plain(one)
    return told


@cache
def _names(kind: Any) -> tuple[tuple[str, bool], ...]:
    """Its fields, and whether one that is None is left out."""
    told = [field for field in fields(kind) if "untold" not in field.metadata]
    return tuple((field.name, "absent" in field.metadata) for field in told)
