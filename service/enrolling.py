"""`POST /v1/individuals` and `…/sightings`: photos into the catalogue, unless they look like another animal's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import Response

from catalog.errors import CatalogueRefused, NotKnown
from encoder.errors import PhotoRefused
from encoder.values import Box, Encoded
from errors import FlukeprintError
from indexer.enrol import enrol
from indexer.errors import BundleMismatch, NotIndexed
from indexer.given import given
from indexer.sightings import Source, corners
from service import schemas
from service.asking import Watched
from service.document import form, gives
from service.errors import LooksAlike, RequestRefused, UploadRefused
from service.forms import Photo, read_sent
from service.guard import Guard
from service.house import House, caller_of, house_of
from service.retries import Attempt, Reply, once
from service.route import role, router
from service.shape import NUMBER

routes = router("individuals")
REFUSALS: tuple[type[FlukeprintError], ...] = (
    CatalogueRefused,
    *CatalogueRefused.__subclasses__(),
    PhotoRefused,
    *PhotoRefused.__subclasses__(),
    BundleMismatch,
    NotIndexed,
)
IndividualId = Annotated[int, Path(ge=1, le=NUMBER)]


class Remembering:
    """An encoder that encodes a photo once, though it is asked about and then enrolled. For one request."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self._known = encoder, dict[tuple[int, Box | None], Encoded]()
        self.bundle: Any = encoder.bundle

    @property
    def bundle_id(self) -> str:
        found: str = self._encoder.bundle_id
        return found

    def encode(self, data: bytes, box: Box | None = None) -> Encoded:
        key = (id(data), box)  # the request holds its bytes for as long as this lives
        if key not in self._known:
            self._known[key] = self._encoder.encode(data, box)
        return self._known[key]


@routes.post(
    "/v1/individuals",
    operation_id="individual_enrol",
    summary="Enrol a new individual with its photos",
    status_code=201,
    response_model=schemas.Enrolment,
    responses=gives(LooksAlike, *REFUSALS),
    openapi_extra=role("editor", encodes=True, **form(schemas.EnrolAsked, raw=())),
)
async def individual_enrol(request: Request) -> Response:
    house, caller = house_of(request), caller_of(request)
    sent = await read_sent(request)
    asked = sent.asked(schemas.EnrolAsked)
    sources = sources_of(sent.photos, asked)

    def work(attempt: Attempt) -> Reply:
        return _enrolled(house, asked.name, sources, attempt, who=caller.name, force=asked.force, new=True, status=201)

    return await once(request, sent.fingerprint(), work, _again(house, sources, 201), encodes=True)


@routes.post(
    "/v1/individuals/{individual_id}/sightings",
    operation_id="individual_enrol_further",
    summary="Further photos of a known individual",
    status_code=201,
    response_model=schemas.Enrolment,
    responses=gives(LooksAlike, *REFUSALS),
    openapi_extra=role("editor", encodes=True, **form(schemas.FurtherAsked, raw=())),
)
async def individual_enrol_further(request: Request, individual_id: IndividualId) -> Response:
    house, caller = house_of(request), caller_of(request)
    sent = await read_sent(request)
    asked = sent.asked(schemas.FurtherAsked)
    if asked.name:
        raise RequestRefused("A name was sent with photos of a known individual; leave it out, or PATCH the individual.")
    sources = sources_of(sent.photos, asked)

    def work(attempt: Attempt) -> Reply:
        house.station.catalogue.find_individual(individual_id)  # before anything is encoded
        return _enrolled(house, individual_id, sources, attempt, who=caller.name, force=asked.force, new=False, status=201)

    return await once(request, sent.fingerprint(), work, _again(house, sources, 201), encodes=True)


def sources_of(photos: Sequence[Photo], asked: schemas.EnrolAsked) -> list[Source]:
    if asked.box and len(asked.box) != len(photos):
        raise RequestRefused(
            f"{len(asked.box)} boxes for {len(photos)} photos: give one for each, in their order, or - for none."
        )
    return [
        Source(
            photo.name,
            given(
                species=asked.species,
                encounter=asked.encounter,
                taken_on=asked.date,
                lat=asked.lat,
                lon=asked.lon,
                viewpoint=asked.viewpoint,
                box=box,
            ),
            data=photo.data,
        )
        for photo, box in zip(photos, asked.box or ["-"] * len(photos), strict=True)
    ]


def _enrolled(
    house: House, whom: str | int, sources: Sequence[Source], attempt: Attempt, *, who: str, force: bool, new: bool, status: int
) -> Reply:
    encoder = Remembering(Watched(house.station.encoder, attempt.gone))
    station = replace(house.station, catalogue=attempt.books, encoder=encoder)  # type: ignore[arg-type]
    if force:
        done = enrol(station, whom, sources, who=who, new=new)
    else:
        guard = Guard(house.station, whom, sources, encoder)
        guard.look()
        done = enrol(station, whom, sources, who=who, new=new, check=guard.look_again)
    for photo in done.photos:
        house.measures.photos.labels(photo.state).inc()
    if all(photo.state == "refused" for photo in done.photos):
        refused = [{"photo": photo.photo, "reason": photo.reason} for photo in done.photos]
        raise UploadRefused(f"None of the photos could be enrolled. {refused[0]['reason']}", photos=refused)
    return Reply(asdict(done), status)


def _again(house: House, sources: Sequence[Source], status: int) -> Any:
    """The answer to a retry whose first try was enrolled, but not answered: from the event that it left."""

    def again(event_id: int) -> Reply:
        books = house.station.catalogue
        changes = books.changes_of(event_id)
        born = [
            change.entity_id for change in changes if change.entity == "individual" and change.changed and change.after is True
        ]
        numbers = [change.entity_id for change in changes if change.entity == "sighting" and change.field == "live"]
        enrolled = {(one.photo_sha256, one.box): one for _, one in sorted(books.sightings(numbers).items()) if one.live}
        if not enrolled:
            raise NotKnown(f"Event {event_id} enrolled what was asked for, and nothing of it is left.")
        first = next(iter(enrolled.values()))
        keys = [(hashlib.sha256(source.data or b"").hexdigest(), corners(source.given.box)) for source in sources]
        there = books.sightings_by_photo(keys)
        photos = [
            {"photo": source.name, **_became(key in enrolled and key not in keys[:at], there.get(key))}
            for at, (source, key) in enumerate(zip(sources, keys, strict=True))
        ]
        done = {"individual_id": born[0] if born else first.individual_id, "name": first.individual}
        return Reply(done | {"created": bool(born), "event_id": event_id, "photos": photos}, status)

    return again


def _became(enrolled: bool, sighting_id: int | None) -> dict[str, object]:
    if sighting_id is not None:
        return {"state": "enrolled" if enrolled else "already", "sighting_id": sighting_id, "reason": None}
    return {
        "state": "refused",
        "sighting_id": None,
        "reason": "It was refused at the first try; sent by itself, it is told why.",
    }
