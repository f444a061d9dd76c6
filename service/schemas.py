"""The shapes of answers and of JSON requests, for the API's description. The values are made in the rooms below.

Beside `settings.py` the one place that uses pydantic. Each shape has an example, which a test reads.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.values import JobKind, JobRowState, JobState, Verdict

NUMBER = 2**63 - 1  # the largest id that a database counts to
Id = int
BOX = r"^(-|[0-9]{1,5},[0-9]{1,5},[1-9][0-9]{0,4},[1-9][0-9]{0,4})$"
Boxes = Annotated[list[str], Field(json_schema_extra={"items": {"type": "string", "pattern": BOX}})]


class Shape(BaseModel):
    """Requests with fields that are not known are refused: a typing error must not pass for a default."""

    model_config = ConfigDict(extra="forbid")


class Box(Shape):
    x: int
    y: int
    width: int
    height: int


class Matched(Shape):
    """What a second look saw of two photos."""

    inliers: int
    cosine: float
    points: list[list[list[float]]] = Field(description="Pairs of x, y: in the question's photo and in the sighting's.")


class Proof(Shape):
    sighting_id: Id
    photo: str
    score: float
    query: int = Field(description="Which of the photos it resembles, from 0.")
    agreement: Matched | None = Field(None, description="Where a second look was taken.")


class Candidate(Shape):
    rank: int
    individual_id: Id
    name: str
    species: str | None
    probability: float = Field(ge=0, le=1, description="That this is the animal, measured on this catalogue.")
    score: float
    evidence: list[Proof]


class PhotoCandidate(Shape):
    individual_id: Id
    name: str
    score: float
    sighting_id: Id
    photo: str


class PhotoAnswer(Shape):
    name: str
    sha256: str | None
    box: Box | None
    width: int | None
    height: int | None
    brightness: float | None
    sharpness: float | None
    refused: str | None = Field(description="Why this photo was left out; null where it was used.")
    candidates: list[PhotoCandidate]


class Rates(Shape):
    false_match: float | None
    named: float | None
    misnamed: float | None
    false_new: float | None


class Grounds(Shape):
    source: str
    reason: str
    optimistic: bool
    new_share: float
    max_false_match: float
    expected: Rates


class Timings(Shape):
    decode: float
    encode: float
    search: float
    decide: float
    second: float | None = None


class SecondGrounds(Shape):
    followed: bool
    share: float
    compared: int
    reason: str


class Answer(Shape):
    """As `flukeprint identify --json` gives it; `explanation` only where it was asked for."""

    decision: Literal["known", "new", "unsure"]
    probability: float = Field(ge=0, le=1)
    new_probability: float = Field(ge=0, le=1)
    candidates: list[Candidate]
    photos: list[PhotoAnswer]
    bundle: str
    calibration: Grounds
    timings_ms: Timings
    identification_id: Id | None
    second_opinion: SecondGrounds | None = None
    explanation: list[str] | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "decision": "known",
                "probability": 0.97,
                "new_probability": 0.02,
                "candidates": [
                    {
                        "rank": 1,
                        "individual_id": 7,
                        "name": "Kelp-07",
                        "species": "humpback whale",
                        "probability": 0.97,
                        "score": 0.83,
                        "evidence": [{"sighting_id": 31, "photo": "0031.jpg", "score": 0.83, "query": 0}],
                    }
                ],
                "photos": [],
                "bundle": "starter-lite0-1-0123abcd",
                "calibration": {
                    "source": "catalogue",
                    "reason": "fitted on 30 individuals of this catalogue",
                    "optimistic": False,
                    "new_share": 0.3,
                    "max_false_match": 0.05,
                    "expected": {"false_match": 0.05, "named": 0.8, "misnamed": 0.02, "false_new": 0.1},
                },
                "timings_ms": {"decode": 40.0, "encode": 15.0, "search": 1.0, "decide": 1.0},
                "identification_id": 12,
            }
        },
    )


class FilterAsked(Shape):
    """Compare only with sightings for which all of these hold."""

    species: str | None = Field(None, max_length=200)
    viewpoint: str | None = Field(None, max_length=200)
    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)
    km: float | None = Field(None, gt=0, lt=20_100, description="The radius around lat and lon.")
    after: date | None = Field(None, description="Of this day or later.")
    before: date | None = Field(None, description="Of this day or earlier.")


class IdentifyAsked(FilterAsked):
    top: int = Field(5, ge=1, le=100)
    max_false_match: float = Field(
        0.05, gt=0, lt=1, description="The operating point: so many new animals may be called known."
    )
    box: Boxes = Field([], description="X,Y,WIDTH,HEIGHT in pixels, one a photo in their order, or - for a whole photo.")
    explain: bool = Field(False, description="Add the grounds of the answer in sentences.")


class SimilarAsked(FilterAsked):
    top: int = Field(10, ge=1, le=100)
    box: Boxes = Field([], max_length=1)
    sighting: int | None = Field(None, ge=1, le=NUMBER, description="Compare a sighting of the catalogue instead of a photo.")

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"sighting": 1, "top": 3}})


class SimilarOne(Shape):
    rank: int
    sighting_id: Id
    score: float
    individual_id: Id
    name: str
    species: str | None
    encounter_id: Id
    photo: str


class Similar(Shape):
    similar: list[SimilarOne]

    model_config = ConfigDict(json_schema_extra={"example": {"similar": []}})


class Individual(Shape):
    id: Id
    name: str
    species: str | None
    sightings: int
    encounters: int


class Individuals(Shape):
    individuals: list[Individual]
    total: int
    limit: int
    offset: int

    model_config = ConfigDict(json_schema_extra={"example": {"individuals": [], "total": 0, "limit": 50, "offset": 0}})


class Sighting(Shape):
    id: Id
    individual_id: Id
    individual: str
    encounter_id: Id
    encounter: str
    photo_sha256: str
    photo: str
    box: list[int] | None
    species: str | None
    viewpoint: str | None
    taken_on: date | None
    taken_at: datetime | str | None
    lat: float | None
    lon: float | None
    brightness: float
    sharpness: float
    live: bool

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"id": 31, "individual_id": 7, "individual": "Kelp-07", "photo": "0031.jpg", "live": True}
        }
    )


class IndividualWhole(Shape):
    id: Id
    name: str
    species: str | None
    sightings: list[Sighting]
    encounters: int

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": 7, "name": "Kelp-07", "species": None, "sightings": [], "encounters": 0}}
    )


class EnrolAsked(Shape):
    """What is given with photos of one individual."""

    name: str = Field(max_length=1000)
    species: str | None = Field(None, max_length=1000)
    encounter: str | None = Field(None, max_length=1000)
    date: str | None = Field(None, max_length=100)
    lat: str | None = Field(None, max_length=100)
    lon: str | None = Field(None, max_length=100)
    viewpoint: str | None = Field(None, max_length=1000)
    box: Boxes = []
    force: bool = Field(False, description="Go on though a photo looks like another individual's.")


class FurtherAsked(EnrolAsked):
    name: str = ""  # its own is known


class EnrolledPhoto(Shape):
    photo: str
    state: Literal["enrolled", "already", "refused"]
    sighting_id: Id | None
    reason: str | None


class Enrolment(Shape):
    individual_id: Id | None
    name: str
    created: bool
    event_id: Id | None = Field(description="To take it back; null where nothing was new.")
    photos: list[EnrolledPhoto]

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "individual_id": 7,
                "name": "Kelp-07",
                "created": True,
                "event_id": 41,
                "photos": [{"photo": "a.jpg", "state": "enrolled", "sighting_id": 31, "reason": None}],
            }
        }
    )


class Done(Shape):
    """An edit that stands. `POST /v1/events/{event_id}/undo` takes it back."""

    event_id: Id
    what: str
    individual_id: Id | None

    model_config = ConfigDict(json_schema_extra={"example": {"event_id": 42, "what": "Renamed …", "individual_id": 7}})


class IndividualAmended(Shape):
    name: str | None = Field(None, max_length=1000)
    species: str | None = Field(None, max_length=1000)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Old Notch"}})


class SightingAmended(Shape):
    encounter: str | None = Field(None, max_length=1000)
    viewpoint: str | None = Field(None, max_length=1000)
    taken_on: date | None = None
    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"viewpoint": "left"}})


class MergeAsked(Shape):
    other: int = Field(ge=1, le=NUMBER, description="The individual that goes into this one.")

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"other": 12}})


class SplitAsked(Shape):
    sightings: list[int] = Field(min_length=1, max_length=10_000)
    name: str = Field(max_length=1000)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"sightings": [31, 32], "name": "Kelp-40"}})


class ReassignAsked(Shape):
    sightings: list[int] = Field(min_length=1, max_length=10_000)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"sightings": [31]}})


class Event(Shape):
    id: Id
    at: datetime
    who: str
    verb: str
    what: str
    undoes: Id | None
    undone_by: Id | None
    undone: bool


class Events(Shape):
    events: list[Event]

    model_config = ConfigDict(json_schema_extra={"example": {"events": []}})


class FeedbackAsked(Shape):
    identification_id: int = Field(ge=1, le=NUMBER)
    verdict: Verdict = Field(description="confirm: the first candidate is right; reject: it is wrong; new: a new animal.")
    individual_id: int | None = Field(None, ge=1, le=NUMBER, description="Who it is, where that is known.")
    remark: str | None = Field(None, max_length=2000)

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"identification_id": 1, "verdict": "confirm"}})


class Feedback(Shape):
    id: Id
    identification_id: Id
    at: datetime
    who: str
    verdict: Verdict
    individual_id: Id | None
    remark: str | None

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": 3, "identification_id": 12, "who": "viewer key 2", "verdict": "confirm"}}
    )


class JobRows(Shape):
    total: int
    waiting: int
    done: int
    refused: int
    cancelled: int


class Job(Shape):
    id: Id
    kind: JobKind
    state: JobState
    who: str
    created_at: datetime
    finished_at: datetime | None
    reason: str | None
    rows: JobRows

    model_config = ConfigDict(json_schema_extra={"example": {"id": 1, "kind": "identify", "state": "running"}})


class JobRow(Shape):
    number: int
    name: str
    photos: list[str]
    state: JobRowState
    answer: dict[str, Any] | None = Field(description="An answer of /v1/identify, or an enrolment.")
    reason: str | None


class JobResult(Shape):
    job: Job
    rows: list[JobRow]
    next: int | None = Field(description="Give it as `after` to go on; null at the end.")

    model_config = ConfigDict(json_schema_extra={"example": {"job": {"id": 1}, "rows": [], "next": None}})


class Bundle(Shape):
    id: str
    sha256: str
    dimension: int
    first_used: datetime
    in_use: bool


class Bundles(Shape):
    bundles: list[Bundle]

    model_config = ConfigDict(json_schema_extra={"example": {"bundles": []}})


class Stats(Shape):
    individuals: int
    sightings: int
    encounters: int
    photos: int
    events: int
    identifications: int
    feedback: dict[str, int] = Field(description="The last word on each identification, by verdict.")

    model_config = ConfigDict(json_schema_extra={"example": {"individuals": 30, "sightings": 180}})


class Part(Shape):
    ready: bool
    reason: str | None


class Ready(Shape):
    ready: bool
    encoder: Part
    catalogue: Part
    index: Part

    model_config = ConfigDict(json_schema_extra={"example": {"ready": True}})


class Alive(Shape):
    alive: Literal[True]

    model_config = ConfigDict(json_schema_extra={"example": {"alive": True}})


class DetectionCandidate(Shape):
    id: Id
    name: str
    species: str | None
    probability: float


class Detection(Shape):
    """The predecessor's answer. What was not computed is null."""

    image_ind: str = Field(description="The photo's file name.")
    bbox: list[int] | None = Field(description="[x, y, width, height] of the animal by its mask, else of the whole photo.")
    class_animal: str | None = Field(description="The individual's name; null for a new animal.")
    id_animal: str | None = Field(description="The individual's species.")
    probability: float | None = Field(description="That class_animal is right.")
    mask: str | None = Field(description="On request: a PNG of the animal without its background, in base64.")
    rejected: bool
    rejection_reason: Literal["low_confidence", "new_individual", "not_a_marine_mammal"] | None
    model_version: str
    candidates: list[DetectionCandidate]
    error: str | None = Field(description="Why the photo could not be used; then it is rejected, and all else is null.")

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "image_ind": "fluke.jpg",
                "bbox": [0, 0, 1200, 800],
                "class_animal": "Kelp-07",
                "id_animal": "humpback whale",
                "probability": 0.97,
                "mask": None,
                "rejected": False,
                "rejection_reason": None,
                "model_version": "starter-lite0-1-0123abcd",
                "candidates": [],
                "error": None,
            }
        },
    )


class FieldMatch(Shape):
    rank: int
    id: str
    rating: float = Field(ge=0, le=1, description="The calibrated probability.")
    details: str


class FieldMatches(Shape):
    matches: list[FieldMatch]

    model_config = ConfigDict(
        json_schema_extra={"example": {"matches": [{"rank": 1, "id": "065L (Muddy)", "rating": 0.91, "details": "0034.jpg"}]}}
    )


class Detail(Shape):
    detail: str

    model_config = ConfigDict(json_schema_extra={"example": {"detail": "No photo was sent."}})


class Problem(BaseModel):
    """RFC 9457. `type` is stable: decide by it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None

    model_config = ConfigDict(extra="allow")
