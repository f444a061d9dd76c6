"""`/v1/sightings`: one photo of one animal, its file, its thumbnail, and what is known of it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import JSONResponse, Response

from catalog.errors import EditConflict, NotKnown, ValueRefused
from indexer import edits
from service import schemas
from service.document import gives
from service.errors import RequestRefused
from service.house import house_of
from service.individuals import edited, sighting_json
from service.route import role, router
from service.shape import NUMBER
from service.thumbnails import LARGEST, SMALLEST, thumbnail

routes = router("sightings")
SightingId = Annotated[int, Path(ge=1, le=NUMBER)]
KEPT = "private, max-age=86400"  # the bytes behind an address never change; who may see them may
MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "tiff": "image/tiff", "bmp": "image/bmp"}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}, "example": f"the bytes of a file of {kind}"}
            for kind in MEDIA_TYPES.values()
        },
    },
    304: {"description": "It is the one that the client has, by its ETag."},
}


@routes.get(
    "/v1/sightings/{sighting_id}",
    operation_id="sighting_get",
    summary="One sighting, live or deleted",
    response_model=schemas.Sighting,
    responses=gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def sighting_get(request: Request, sighting_id: SightingId) -> Response:
    house = house_of(request)
    return JSONResponse(sighting_json(await house.gate.books.run(lambda: house.station.catalogue.sighting(sighting_id))))


@routes.get(
    "/v1/sightings/{sighting_id}/photo",
    operation_id="sighting_photo",
    summary="The photo as it is kept",
    response_class=Response,
    responses=PICTURE | gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def sighting_photo(request: Request, sighting_id: SightingId) -> Response:
    house = house_of(request)

    def read() -> Response:
        books, store = house.station.catalogue, house.station.photos
        one = books.sighting(sighting_id)
        etag = _etag(one.photo_sha256)
        if _has(request, etag):
            return Response(status_code=304, headers={"ETag": etag, "Cache-Control": KEPT})
        photo = books.photo(one.photo_sha256)
        assert photo is not None  # a sighting's row names its photo's
        kind = "image/jpeg" if photo.kept == "reduced" else MEDIA_TYPES.get(photo.format, "application/octet-stream")
        headers = {"ETag": etag, "Cache-Control": KEPT, "Content-Disposition": "inline"}
        return Response(store.read(photo), 200, headers, kind)

    return await house.gate.books.run(read)


@routes.get(
    "/v1/sightings/{sighting_id}/thumbnail",
    operation_id="sighting_thumbnail",
    summary="A small JPEG of the animal: of its box, where it has one",
    response_class=Response,
    responses=PICTURE | gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def sighting_thumbnail(
    request: Request, sighting_id: SightingId, size: Annotated[int, Query(ge=SMALLEST, le=LARGEST)] = 256
) -> Response:
    house = house_of(request)

    def read() -> Response:
        one = house.station.catalogue.sighting(sighting_id)
        etag = _etag(f"{one.photo_sha256} {one.box} {size}")
        if _has(request, etag):
            return Response(status_code=304, headers={"ETag": etag, "Cache-Control": KEPT})
        return Response(thumbnail(house.station, one, size), 200, {"ETag": etag, "Cache-Control": KEPT}, "image/jpeg")

    return await house.gate.books.run(read)


@routes.patch(
    "/v1/sightings/{sighting_id}",
    operation_id="sighting_amend",
    summary="Set right what is known of a photo beside its pixels",
    response_model=schemas.Done,
    responses=gives(NotKnown, EditConflict, ValueRefused),
    openapi_extra=role("editor"),
)
async def sighting_amend(request: Request, sighting_id: SightingId, asked: schemas.SightingAmended) -> Response:
    said = asked.model_dump(exclude_unset=True)
    if not said:
        raise RequestRefused(f"Nothing to change was sent: give one of {', '.join(edits.FACTS)}.")
    return await edited(request, said, lambda books, who: edits.amend_sighting(books, sighting_id, said, who=who))


@routes.delete(
    "/v1/sightings/{sighting_id}",
    operation_id="sighting_delete",
    summary="Delete a sighting; an undo brings it back",
    response_model=schemas.Done,
    responses=gives(NotKnown, EditConflict),
    openapi_extra=role("editor"),
)
async def sighting_delete(request: Request, sighting_id: SightingId) -> Response:
    return await edited(request, None, lambda books, who: edits.delete_sightings(books, [sighting_id], who=who))


def _etag(of: str) -> str:
    return f'"{hashlib.sha256(of.encode()).hexdigest()[:32]}"'


def _has(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]
