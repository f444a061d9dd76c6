"""The predecessor's contract, for its clients: photos in, `Detection`s out. What was not computed is null.

The background is removed on request only, and only for the eye: the vector is of the whole photo, with and without it.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import uuid4

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from encoder.errors import EncoderError, PhotoRefused
from encoder.mask import Mask, Masker
from matching.identify import Options, QueryPhoto
from service.archive import read_member, read_members
from service.asking import identified, looked_up
from service.document import form, gives
from service.errors import ClientGone, NotInstalled, UploadRefused
from service.forms import Photo, read_sent
from service.house import House, caller_of, house_of
from service.jobs import upload_path
from service.retries import Attempt, Reply, once
from service.route import role, router
from service.shape import Id, Shape

routes = router("predecessor")
OLD = "The same without /v1, for clients that are not to be changed any more."


class PredictAsked(Shape):
    mask: bool = Field(False, description="Send the animal without its background, too. Slow.")
    top: int = Field(5, ge=1, le=100, description="How many candidates to list.")


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


async def predict_single(request: Request) -> Response:
    house = house_of(request)
    sent = await read_sent(request, files="file")
    if len(sent.photos) != 1:
        raise UploadRefused(f"{len(sent.photos)} photos were sent as `file`, and one was expected. Send several as an archive.")
    asked = sent.asked(PredictAsked)
    masked = await _masks(request, asked, sent.photos)

    def work(attempt: Attempt) -> Reply:
        photo = sent.photos[0]
        query = [QueryPhoto(photo.name, photo.data)]
        answer = identified(house, query, Options(top=asked.top), attempt, who=caller_of(request).name)
        return Reply(_of_answer(answer, photo.name, masked[0], asked.top))

    def again(number: int) -> Reply:
        kept = house.station.catalogue.identification(number).answer
        return Reply(_of_answer(kept, sent.photos[0].name, masked[0], asked.top))

    return await once(request, sent.fingerprint(), work, again, encodes=True)


async def predict_batch(request: Request) -> Response:
    house = house_of(request)
    sent = await read_sent(request, files="archive")
    if len(sent.photos) != 1:
        raise UploadRefused("Send one ZIP as `archive`.")
    asked = sent.asked(PredictAsked)
    photos = await house.gate.books.run(lambda: _unpacked(house, sent.photos[0].data))
    masked = await _masks(request, asked, [photo if isinstance(photo, Photo) else None for _, photo in photos])

    def told(ask: Callable[[QueryPhoto], dict[str, Any]]) -> Reply:
        found = []
        for (name, photo), mask in zip(photos, masked, strict=True):
            try:
                query = QueryPhoto(name, photo) if isinstance(photo, PhotoRefused) else QueryPhoto(photo.name, photo.data)
                found.append(_of_answer(ask(query), name, mask, asked.top))
            except PhotoRefused as refusal:
                found.append(_refused(house, name, refusal))
        return Reply(found)

    def work(attempt: Attempt) -> Reply:
        return told(lambda photo: identified(house, [photo], Options(top=asked.top), attempt, who=caller_of(request).name))

    def again(_: int) -> Reply:  # the first try was cut off among its photos: what is missing of it stays unkept
        return told(lambda photo: looked_up(house, [photo], Options(top=asked.top)))

    return await once(request, sent.fingerprint(), work, again, encodes=True)


def _add(path: str, *, old: bool) -> None:
    refusals = gives(PhotoRefused, EncoderError, NotInstalled, *PhotoRefused.__subclasses__())
    for name, answering, files, shape in (
        ("predict-single", predict_single, "file", Detection),
        ("predict-batch", predict_batch, "archive", list[Detection]),
    ):
        routes.add_api_route(
            f"{path}/{name}",
            answering,
            methods=["POST"],
            operation_id=f"{name.replace('-', '_')}{'_old' if old else ''}",
            summary="Whose photo is this?" if files == "file" else "Whose photos are these? Each in the archive by itself",
            description=OLD if old else "",
            response_model=shape,
            responses=refusals,
            deprecated=old or None,
            openapi_extra=role("viewer", encodes=True, **form(PredictAsked, files=files, one=True, raw=())),
        )


_add("/v1", old=False)
_add("", old=True)


def _unpacked(house: House, data: bytes) -> list[tuple[str, Photo | PhotoRefused]]:
    """Photos of the archive under their names in it; one that cannot be read is said so in its place."""
    file = upload_path(house, uuid4().hex)
    file.write_bytes(data)
    try:
        members = read_members(file, house.settings)
        if len(members) > house.settings.max_photos:
            raise UploadRefused(
                f"The archive holds {len(members)} photos, more than the {house.settings.max_photos} that one answer has. "
                "Send it to /v1/batches."
            )
        inside, most = sum(member.bytes for member in members), house.settings.max_request_bytes
        if inside > most:  # all of them are held in memory until they are answered
            raise UploadRefused(
                f"The archive unpacks to {inside:,} bytes, more than the {most:,} that one answer is made of. "
                "Send it to /v1/batches."
            )
        found: list[tuple[str, Photo | PhotoRefused]] = []
        with zipfile.ZipFile(file) as archive:
            for member in members:
                try:
                    read = Photo(member.name, read_member(archive, member.path, house.settings.max_photo_bytes))
                    found.append((member.name, read))
                except PhotoRefused as refusal:
                    found.append((member.name, refusal))
        return found
    finally:
        file.unlink(missing_ok=True)


def _of_answer(answer: dict[str, Any], name: str, mask: Mask | None, top: int) -> dict[str, Any]:
    """Known is told. What is unsure is told too, and rejected; a new animal has no name to tell."""
    decision, photo = answer["decision"], answer["photos"][0]
    best = answer["candidates"][0] if answer["candidates"] and decision != "new" else None
    box = mask.box if mask is not None else None
    return {
        "image_ind": name,
        "bbox": [box.x, box.y, box.width, box.height] if box else [0, 0, photo["width"], photo["height"]],
        "class_animal": best["name"] if best else None,
        "id_animal": best["species"] if best else None,
        "probability": best["probability"] if best else None,
        "mask": base64.b64encode(mask.png).decode() if mask else None,
        "rejected": decision != "known",
        "rejection_reason": {"known": None, "new": "new_individual", "unsure": "low_confidence"}[decision],
        "model_version": answer["bundle"],
        "candidates": [
            {"id": one["individual_id"], "name": one["name"], "species": one["species"], "probability": one["probability"]}
            for one in answer["candidates"][:top]
        ],
        "error": None,
    }


def _refused(house: House, name: str, refusal: PhotoRefused) -> dict[str, Any]:
    nothing = dict.fromkeys(("bbox", "class_animal", "id_animal", "probability", "mask", "rejection_reason"))
    told = {"image_ind": name, "rejected": True, "model_version": house.station.bundle_id, "candidates": []}
    return nothing | told | {"error": str(refusal)}


async def _masks(request: Request, asked: PredictAsked, photos: Sequence[Photo | None]) -> list[Mask | None]:
    """One a photo, where they are asked for, in their own lane."""
    if not asked.mask:
        return [None] * len(photos)
    house = house_of(request)

    def work(gone: threading.Event) -> list[Mask | None]:
        masker = house.masker()
        return [None if photo is None else _mask(masker, photo, gone) for photo in photos]

    return await house.gate.attended(house.gate.masks, request, work)


def _mask(masker: Masker, photo: Photo, gone: threading.Event) -> Mask | None:
    if gone.is_set():
        raise ClientGone("The client left before its answer was ready.")
    try:
        return masker.mask(photo.data, hashlib.sha256(photo.data).hexdigest())
    except PhotoRefused:  # identifying says so of it
        return None
