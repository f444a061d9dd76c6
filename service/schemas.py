"""The shapes of what is kept and told: individuals, sightings, events, jobs, feedback, and the service itself."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.values import JobKind, JobRowState, JobState, Verdict
from service.shape import LABEL, NUMBER, Boxes, Day, Id, Shape, shown

Known = Annotated[int, Field(ge=1, le=NUMBER)]  # the number of something in the catalogue
# For the examples.
AT = "2026-08-05T09:14:00+00:00"
INDIVIDUAL: dict[str, Any] = {"id": 7, "name": "Kelp-07", "species": "humpback whale", "sightings": 6, "encounters": 2}
SIGHTING: dict[str, Any] = {
    "id": 31, "individual_id": 7, "individual": "Kelp-07", "encounter_id": 9, "encounter": "Kelp-07 on 2026-08-05",
    "photo_sha256": "5f0c" * 16, "photo": "0031.jpg", "box": None, "species": "humpback whale", "viewpoint": "underside",
    "taken_on": "2026-08-05", "taken_at": "2026-08-05T09:14:00", "lat": 64.1, "lon": -21.9, "brightness": 0.5,
    "sharpness": 0.01, "live": True,
}  # fmt: skip
EVENT: dict[str, Any] = {
    "id": 42, "at": AT, "who": "the boat", "verb": "amend", "what": 'Amended "Kelp-07" (id 7): name "Old Notch".',
    "undoes": None, "undone_by": None, "undone": False,
}  # fmt: skip
JOB: dict[str, Any] = {
    "id": 1, "kind": "identify", "state": "done", "who": "the boat", "created_at": AT, "finished_at": AT, "reason": None,
    "rows": {"total": 1, "waiting": 0, "done": 0, "refused": 1, "cancelled": 0},
}  # fmt: skip
ROW: dict[str, Any] = {
    "number": 1, "name": "day 1", "photos": ["a.jpg"], "state": "refused", "answer": None, "reason": "The photo is damaged.",
}  # fmt: skip
WELL: dict[str, Any] = {"ready": True, "reason": None}


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

    model_config = shown(individuals=[INDIVIDUAL], total=1, limit=50, offset=0)


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

    model_config = shown(**SIGHTING)


class IndividualWhole(Shape):
    id: Id
    name: str
    species: str | None
    sightings: list[Sighting]
    encounters: int

    model_config = shown(**INDIVIDUAL | {"sightings": [SIGHTING]})


class EnrolAsked(Shape):
    """What is given with photos of one individual."""

    name: str = Field(max_length=LABEL)
    species: str | None = Field(None, max_length=LABEL)
    encounter: str | None = Field(None, max_length=LABEL)
    date: str | None = Field(None, max_length=100, description="The day, like 2019-08-05, or as cameras and tables write it.")
    lat: float | None = Field(None, ge=-90, le=90, description="Degrees north; lon goes with it.")
    lon: float | None = Field(None, ge=-180, le=180)
    viewpoint: str | None = Field(None, max_length=LABEL)
    box: Boxes = Field([])
    force: bool = Field(False, description="Go on though a photo looks like another individual's.")


class FurtherAsked(EnrolAsked):
    name: str = ""  # its own is known


class EnrolledPhoto(Shape):
    photo: str
    state: Literal["enrolled", "already", "refused"]
    sighting_id: Id | None
    reason: str | None = Field(
        description="Why it is refused; of one that is enrolled already, what was given otherwise and not taken."
    )


class Enrolment(Shape):
    individual_id: Id | None
    name: str
    created: bool
    event_id: Id | None = Field(description="To take it back; null where nothing was new.")
    photos: list[EnrolledPhoto]

    model_config = shown(
        individual_id=7,
        name="Kelp-07",
        created=True,
        event_id=41,
        photos=[{"photo": "a.jpg", "state": "enrolled", "sighting_id": 31, "reason": None}],
    )


class Done(Shape):
    """An edit that stands. `POST /v1/events/{event_id}/undo` takes it back."""

    event_id: Id
    what: str
    individual_id: Id | None

    model_config = shown(event_id=42, what=EVENT["what"], individual_id=7)


class IndividualAmended(Shape):
    name: str | None = Field(None, max_length=LABEL)
    species: str | None = Field(None, max_length=LABEL)

    model_config = shown(name="Old Notch")


class SightingAmended(Shape):
    encounter: str | None = Field(None, max_length=LABEL)
    viewpoint: str | None = Field(None, max_length=LABEL)
    taken_on: Day | None = None
    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)

    model_config = shown(viewpoint="left")


class MergeAsked(Shape):
    other: int = Field(ge=1, le=NUMBER, description="The individual that goes into this one.")

    model_config = shown(other=12)


class SplitAsked(Shape):
    sightings: list[Known] = Field(min_length=1, max_length=10_000)
    name: str = Field(max_length=LABEL)

    model_config = shown(sightings=[31, 32], name="Kelp-40")


class ReassignAsked(Shape):
    sightings: list[Known] = Field(min_length=1, max_length=10_000)

    model_config = shown(sightings=[31])


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

    model_config = shown(events=[EVENT])


class FeedbackAsked(Shape):
    identification_id: int = Field(ge=1, le=NUMBER)
    verdict: Verdict = Field(
        description="confirm: what was said is right, which is the first candidate, or that the animal is new; reject: it is "
        "wrong; new: a new animal."
    )
    individual_id: int | None = Field(
        None, ge=1, le=NUMBER, description="Who it is, where that is known: another than was said goes with reject."
    )
    remark: str | None = Field(None, max_length=2000)

    model_config = shown(identification_id=12, verdict="confirm")


class Feedback(Shape):
    id: Id
    identification_id: Id
    at: datetime
    who: str
    verdict: Verdict
    individual_id: Id | None
    remark: str | None

    model_config = shown(
        id=3, identification_id=12, at=AT, who="the boat", verdict="confirm", individual_id=None, remark="The notch is clear."
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

    model_config = shown(**JOB)


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

    model_config = shown(job=JOB, rows=[ROW], next=None)


class Bundle(Shape):
    id: str
    sha256: str
    dimension: int
    first_used: datetime
    in_use: bool


class Bundles(Shape):
    bundles: list[Bundle]

    model_config = shown(
        bundles=[
            {"id": "starter-lite0-1-0123abcd", "sha256": "0123abcd" * 8, "dimension": 512, "first_used": AT, "in_use": True}
        ]
    )


class Stats(Shape):
    individuals: int
    sightings: int
    encounters: int
    photos: int
    events: int
    identifications: int
    feedback: dict[str, int] = Field(description="The last word on each identification, by verdict.")

    model_config = shown(
        individuals=30, sightings=180, encounters=60, photos=180, events=4, identifications=12,
        feedback={"confirm": 9, "reject": 1, "new": 1},
    )  # fmt: skip


class Part(Shape):
    ready: bool
    reason: str | None


class Ready(Shape):
    ready: bool
    encoder: Part
    catalogue: Part
    index: Part

    model_config = shown(ready=True, encoder=WELL, catalogue=WELL, index=WELL)


class Alive(Shape):
    alive: Literal[True]

    model_config = shown(alive=True)


class Detail(Shape):
    detail: str

    model_config = shown(detail="No photo was sent.")


class Problem(BaseModel):
    """RFC 9457. `type` is stable: decide by it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None

    model_config = ConfigDict(extra="allow")
