"""`POST /v1/identify` and `/v1/similar`: the questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from fastapi import Request
from starlette.responses import Response

from catalog.errors import NotKnown
from catalog.names import clean_label
from encoder.encode import Encoder
from encoder.errors import EncoderError, PhotoRefused
from encoder.values import Box, Encoded
from indexer.asking import identify_and_tell, second, similar_to_photo, similar_to_sighting
from indexer.errors import RowRefused
from indexer.given import crop
from indexer.species import lacking
from matching.identify import Options, QueryPhoto
from matching.identify import identify as identify_photos
from service import questions
from service.document import form, gives
from service.errors import ClientGone, RequestRefused
from service.explain import explained
from service.forms import Photo, Sent, media_type, read_json, read_sent
from service.house import House, caller_of, house_of
from service.retries import Attempt, Reply, fingerprint, once
from service.route import role, router
from service.traces import Traces
from vector_db.port import Filter, Place, Radius

routes = router("questions")


class Watched:
    """An encoder that stops between two photos when nobody waits for the answer any more."""

    def __init__(self, encoder: Encoder, gone: threading.Event, traces: Traces | None = None) -> None:
        self._encoder, self._gone, self._traces = encoder, gone, traces
        self.bundle = encoder.bundle

    @property
    def bundle_id(self) -> str:
        return self._encoder.bundle_id

    def encode(self, data: bytes, box: Box | None = None) -> Encoded:
        if self._gone.is_set():
            raise ClientGone("The client left before its answer was ready.")
        began = time.time_ns()
        encoded = self._encoder.encode(data, box)
        if self._traces is not None:
            self._traces.lay(began, decode=encoded.decode_ms, encode=encoded.encode_ms)
        return encoded


@routes.post(
    "/v1/identify",
    operation_id="identify",
    summary="Which known individual do the photos of one encounter show, how sure is that, or is it a new one?",
    response_model=questions.Answer,
    responses=gives(PhotoRefused, EncoderError, *PhotoRefused.__subclasses__()),
    openapi_extra=role("viewer", encodes=True, **form(questions.IdentifyAsked)),
)
async def identify(request: Request) -> Response:
    house, caller = house_of(request), caller_of(request)
    sent = await read_sent(request, raw=True)
    asked = sent.asked(questions.IdentifyAsked)
    photos = query_photos(sent.photos, asked.box)
    options = options_of(asked)

    def work(attempt: Attempt) -> Reply:
        told = identified(house, photos, options, attempt, who=caller.name)
        return reply(told)

    def again(number: int) -> Reply:
        kept = house.station.catalogue.identification(number)
        return reply(kept.answer | {"identification_id": number})

    def reply(told: dict[str, Any]) -> Reply:
        if not asked.explain:
            return Reply(told)
        lacks = None if told["candidates"] else lacking(house.station.catalogue, options.where.species)
        return Reply(told | {"explanation": explained(told, lacks)})

    return await once(request, sent.fingerprint(), work, again, encodes=True)


def identified(house: House, photos: Sequence[QueryPhoto], options: Options, attempt: Attempt, *, who: str) -> dict[str, Any]:
    """The answer as JSON, kept and counted."""
    encoder = Watched(house.station.encoder, attempt.gone, house.traces)
    with house.traces.span("identify") if house.traces else nullcontext():
        try:
            answer, told = identify_and_tell(house.station, photos, options, who=who, encoder=encoder, books=attempt.books)
        except PhotoRefused:  # where none of them can be used
            house.measures.photos.labels("refused").inc(len(photos))
            raise
        if house.traces is not None:
            spent = answer.timings_ms
            began = time.time_ns() - int((spent.search + spent.decide) * 1e6)
            house.traces.lay(began, search=spent.search, decide=spent.decide)
    house.measures.tell_answer(answer)
    return told


def query_photos(photos: Sequence[Photo], boxes: Sequence[str]) -> list[QueryPhoto]:
    """The photos with their boxes, one each or none at all."""
    if boxes and len(boxes) != len(photos):
        raise RequestRefused(f"{len(boxes)} boxes for {len(photos)} photos: give one for each, in their order, or - for none.")
    each = boxes or ["-"] * len(photos)
    return [QueryPhoto(photo.name, photo.data, crop(box)) for photo, box in zip(photos, each, strict=True)]


def options_of(asked: questions.OptionsAsked) -> Options:
    return Options(asked.top, filter_of(asked), asked.max_false_match)


def filter_of(asked: questions.FilterAsked) -> Filter:
    place = (asked.lat, asked.lon, asked.km)
    near = None
    if asked.lat is not None and asked.lon is not None and asked.km is not None:
        near = Radius(Place(asked.lat, asked.lon), asked.km)
    elif place != (None, None, None):
        raise RequestRefused("A place is lat, lon and km together; give all three, or none.")
    if asked.after and asked.before and asked.after > asked.before:
        raise RequestRefused(f"after {asked.after} is later than before {asked.before}: nothing lies between them.")
    species, viewpoint = clean_label(asked.species, "species"), clean_label(asked.viewpoint, "viewpoint")
    return Filter(species, viewpoint, asked.after, asked.before, near)


def looked_up(house: House, photos: Sequence[QueryPhoto], options: Options) -> dict[str, Any]:
    """The answer as JSON, not kept: for a question whose answer was kept before, and is to be told again."""
    station = house.station
    station.follower.follow()
    answer = identify_photos(
        photos,
        encoder=station.encoder,
        index=station.index,
        catalogue=station.owning,
        calibration=station.calibration(),
        options=options,
        second=second(station, station.settings.second_opinion),
    )
    return answer.to_json()


@routes.post(
    "/v1/similar",
    operation_id="similar",
    summary="The nearest known photos themselves, of a photo or of a sighting of the catalogue",
    response_model=questions.Similar,
    responses=gives(NotKnown, PhotoRefused, EncoderError, RowRefused, *PhotoRefused.__subclasses__()),
    openapi_extra=role("viewer", encodes=True, **form(questions.SimilarAsked, or_json=True)),
)
async def similar(request: Request) -> Response:
    house = house_of(request)
    json = media_type(request) == "application/json"
    sent = Sent({}, []) if json else await read_sent(request, least=0, raw=True)
    asked = await read_json(request, questions.SimilarAsked) if json else sent.asked(questions.SimilarAsked)
    if (asked.sighting is None) == (not sent.photos) or len(sent.photos) > 1:
        raise RequestRefused("Say what to compare: one photo, or the number of a sighting, and not both.")
    where, boxes = filter_of(asked), query_photos(sent.photos, asked.box)

    def work(_: Attempt) -> Reply:
        if asked.sighting is not None:
            found = similar_to_sighting(house.station, asked.sighting, top=asked.top, where=where)
        else:
            found = similar_to_photo(house.station, sent.photos[0].data, boxes[0].box, top=asked.top, where=where)
        return Reply({"similar": [{"rank": rank} | asdict(one) for rank, one in enumerate(found, start=1)]})

    return await once(request, fingerprint([asked, sent.fingerprint()]), work, encodes=True)
