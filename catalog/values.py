"""The plain values that enter and leave the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Entity = Literal["individual", "sighting"]
Role = Literal["viewer", "editor", "admin"]
JobKind = Literal["identify", "enrol"]
JobState = Literal["waiting", "running", "done", "cancelled", "failed"]
JobRowState = Literal["waiting", "done", "refused", "cancelled"]
Verdict = Literal["confirm", "reject", "new"]
RowState = Literal["waiting", "done", "already", "set_aside", "superseded"]
BoxXYWH = tuple[int, int, int, int]  # pixels of the upright photo
Ids = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float32]  # (dim,) float32, unit norm
Vectors = npt.NDArray[np.float32]  # (n, dim) float32, unit norm
Numbers = npt.NDArray[np.float64]  # (n,)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sighting it is, as the catalogue says now."""

    individual_id: int
    name: str
    species: str | None
    encounter_id: int
    photo: str  # the file name it came with


@dataclass(frozen=True, slots=True)
class PhotoRow:
    sha256: str  # of the bytes as they were given
    kept: str  # "original", "reduced", "reference"
    path: str  # below photos/, or the absolute path of a reference
    name: str  # the file name it came with
    format: str
    bytes: int
    width: int  # upright
    height: int
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Individual:
    """One animal as it stands; not live: deleted, or merged into another."""

    id: int
    name: str
    species: str | None
    live: bool
    merged_into: int | None


@dataclass(frozen=True, slots=True)
class IndividualSummary:
    """A live individual with what it has."""

    id: int
    name: str
    species: str | None
    sightings: int
    encounters: int


@dataclass(frozen=True, slots=True)
class Sighting:
    id: int
    individual_id: int
    individual: str  # its name
    encounter_id: int
    encounter: str  # its label
    photo_sha256: str
    photo: str  # the file name it came with
    box: BoxXYWH | None
    species: str | None
    viewpoint: str | None
    taken_on: date | None
    taken_at: datetime | None
    lat: float | None
    lon: float | None
    brightness: float
    sharpness: float
    live: bool


@dataclass(frozen=True, slots=True)
class Indexable:
    """What the vector index holds of a live sighting."""

    id: int
    vector: Vector
    species: str | None
    viewpoint: str | None
    taken_on: date | None
    lat: float | None
    lon: float | None


@dataclass(frozen=True, slots=True)
class EventRow:
    id: int
    at: datetime
    who: str
    verb: str
    what: str
    undoes: int | None
    undone_by: int | None  # the undo that names it
    undone: bool  # its effect does not stand now (an undo may itself have been undone)


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one row under one event. `before == after`: the event rested on the value."""

    entity: Entity
    entity_id: int
    field: str
    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)


@dataclass(frozen=True, slots=True)
class Identification:
    id: int
    at: datetime
    who: str
    bundle_id: str
    photos: list[dict[str, Any]]
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bundle:
    id: str
    sha256: str
    dimension: int
    first_used: datetime


@dataclass(frozen=True, slots=True)
class Calibration:
    id: int
    bundle_id: str
    at: datetime
    sightings: int  # live ones when it was fitted
    fitted: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Import:
    id: int
    source: str
    images: str | None
    fingerprint: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportRow:
    id: int
    number: int
    given: dict[str, Any]
    state: RowState
    reason: str | None
    sighting_id: int | None


@dataclass(frozen=True, slots=True)
class GivenRow:
    """A row of an import's source. `key` is a hash of its content: a mended row is a new row."""

    key: str
    number: int
    given: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    individuals: int  # live
    sightings: int  # live
    encounters: int
    photos: int
    events: int
    identifications: int
    tombstones: int  # individuals and sightings that are not live
    vectors: dict[str, int]  # by bundle, of live sightings


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong with the rows; all empty when nothing is."""

    damage: list[str]  # what SQLite says of its file
    orphans: list[str]  # rows that point at rows that are not there
    live_of_dead: list[int]  # live sightings of an individual that is not
    without_vector: list[int]  # live sightings without a vector of the bundle in question

    def is_well(self) -> bool:
        return not (self.damage or self.orphans or self.live_of_dead or self.without_vector)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the service, without the key itself: only its hash is kept."""

    id: int
    name: str
    role: Role
    sha256: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    def lives(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked with an Idempotency-Key, as far as it came."""

    token: str
    fingerprint: str
    at: datetime
    made: str | None
    number: int | None
    status: int | None
    answer: Any


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: JobKind
    state: JobState
    who: str
    upload: str
    options: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class JobRow:
    """One encounter to identify, or some photos of one individual to enrol."""

    id: int
    job_id: int
    number: int
    name: str
    photos: list[dict[str, Any]]
    state: JobRowState
    made: int | None
    answer: dict[str, Any] | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Feedback:
    id: int
    identification_id: int
    at: datetime
    who: str
    verdict: Verdict
    individual_id: int | None
    remark: str | None


@dataclass(frozen=True, slots=True)
class KnownPhotos:
    """What was measured of some sightings' photos, a column each."""

    norm: Numbers  # of the vector, before normalisation
    brightness: Numbers
    sharpness: Numbers
    pixels: Numbers  # width · height


@dataclass(frozen=True, slots=True)
class Verdicted:
    """An answer, and the last word on it."""

    decision: str  # "known", "new", "unsure"
    probability: float
    best: int | None  # its first candidate
    verdict: Verdict
    individual_id: int | None  # who it is, where that was said


@dataclass(frozen=True, slots=True)
class KeptDrift:
    at: datetime
    photos: int
    measured: dict[str, Any]
