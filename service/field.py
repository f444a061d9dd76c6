"""The field client's contract: `POST /match`, one stack of photos of one encounter, answered as it expects.

Its errors are `{"detail"}` with 401, 422 or 503; `problems.py` sees to that.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from encoder.errors import PhotoRefused
from matching.identify import Options, QueryPhoto
from service.asking import identified
from service.document import form, gives
from service.forms import read_sent
from service.house import caller_of, house_of
from service.retries import Attempt, Reply, once
from service.route import role, router
from service.shape import Shape, shown

routes = router("field")


class MatchAsked(Shape):
    top: int = Field(10, ge=1, le=100, description="How many matches to give.")


class FieldMatch(Shape):
    rank: int
    id: str
    rating: float = Field(ge=0, le=1, description="The calibrated probability.")
    details: str


class FieldMatches(Shape):
    matches: list[FieldMatch]

    model_config = shown(matches=[{"rank": 1, "id": "065L (Muddy)", "rating": 0.91, "details": "20220615_0034.jpg"}])


@routes.post(
    "/match",
    operation_id="match",
    summary="Who is it? For the photo-identification app in the field",
    response_model=FieldMatches,
    responses=gives(PhotoRefused),
    openapi_extra=role("viewer", encodes=True, **form(MatchAsked, files="images", raw=())),
)
async def match(request: Request) -> Response:
    house, caller = house_of(request), caller_of(request)
    sent = await read_sent(request, files="images")
    asked = sent.asked(MatchAsked)
    photos = [QueryPhoto(photo.name, photo.data) for photo in sent.photos]

    def work(attempt: Attempt) -> Reply:
        return Reply(_matches(identified(house, photos, Options(top=asked.top), attempt, who=caller.name)))

    def again(number: int) -> Reply:
        return Reply(_matches(house.station.catalogue.identification(number).answer))

    return await once(request, sent.fingerprint(), work, again, encodes=True)


def _matches(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "matches": [
            {
                "rank": one["rank"],
                "id": one["name"],
                "rating": one["probability"],
                "details": one["evidence"][0]["photo"],
            }
            for one in answer["candidates"]
        ]
    }
