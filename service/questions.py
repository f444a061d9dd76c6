"""The shapes of the questions and of their answers: identify, similar, and what narrows them."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.shape import LABEL, NUMBER, Boxes, Day, Id, Shape, shown


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
    copy_of: int | None = Field(
        default=None, description="An earlier photo of the question, from 0, that is the same picture: both count once."
    )


class Elsewhere(Shape):
    individual_id: Id
    name: str
    decision: Literal["known", "unsure"]


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
    beyond: Elsewhere | None = Field(
        default=None, description="Whom a filter left out, where it is known or may be: without the filter it is not new."
    )
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

    species: str | None = Field(None, max_length=LABEL)
    viewpoint: str | None = Field(None, max_length=LABEL)
    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)
    km: float | None = Field(None, gt=0, lt=20_100, description="The radius around lat and lon.")
    after: Day | None = Field(None, description="Of this day or later.")
    before: Day | None = Field(None, description="Of this day or earlier.")


class OptionsAsked(FilterAsked):
    top: int = Field(5, ge=1, le=100)
    max_false_match: float = Field(
        0.05, gt=0, lt=1, description="The operating point: so many new animals may be called known."
    )


class IdentifyAsked(OptionsAsked):
    box: Boxes = Field([], description="X,Y,WIDTH,HEIGHT in pixels, one a photo in their order, or - for a whole photo.")
    explain: bool = Field(False, description="Add the grounds of the answer in sentences.")


class SimilarAsked(FilterAsked):
    top: int = Field(10, ge=1, le=100)
    box: Boxes = Field([], max_length=1)
    sighting: int | None = Field(None, ge=1, le=NUMBER, description="Compare a sighting of the catalogue instead of a photo.")

    model_config = shown(sighting=1, top=3)


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

    model_config = shown(
        similar=[
            {
                "rank": 1,
                "sighting_id": 31,
                "score": 0.83,
                "individual_id": 7,
                "name": "Kelp-07",
                "species": "humpback whale",
                "encounter_id": 9,
                "photo": "0031.jpg",
            }
        ]
    )
