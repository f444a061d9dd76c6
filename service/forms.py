"""What a client sent, read once and bounded: fields, and photos as bytes. A photo is what its bytes say, never its name.

Photos come as `multipart/form-data`, with the fields beside them; where one is asked about, it may be the raw body, with the
fields in the address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.errors import RequestRefused, UploadRefused
from service.house import house_of
from service.misfits import LONGEST, misfit, nearest
from service.multipart import FormDamaged, read_parts

MOST_FIELDS = 500
LONGEST_FIELD = 100_000
LONGEST_NAME = 255
Asked = TypeVar("Asked", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Photo:
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """`fields` as they came, each a list; `photos` in their order."""

    fields: dict[str, list[str]]
    photos: list[Photo]
    may_come_again: bool = False  # it came with an Idempotency-Key

    def asked(self, kind: type[Asked]) -> Asked:
        """The fields as what they must be, or a refusal that names the wrong one."""
        given: dict[str, Any] = {}
        for name, values in self.fields.items():
            field = kind.model_fields.get(name)
            many = field is not None and "list" in str(field.annotation)
            if len(values) > 1 and not many:
                raise RequestRefused(f"{name[:60]} was given {len(values)} times; give it once.")
            if values != [""] or many:  # a form sends what was left empty
                given[name] = values if many else values[0]
        try:
            return kind.model_validate(given)
        except ValidationError as error:
            raise misfit(error, kind) from error

    def fingerprint(self) -> str:
        """Of all that was sent, whatever boundary it was sent with; of what cannot come again, which nobody compares, none."""
        if not self.may_come_again:
            return ""  # hashing a photo of 12 megapixels costs a twentieth of its identification
        photos = [(photo.name, hashlib.sha256(photo.data).hexdigest()) for photo in self.photos]
        return hashlib.sha256(json.dumps([sorted(self.fields.items()), photos]).encode()).hexdigest()


def refuse_unknown(given: Iterable[str], known: Sequence[str]) -> None:
    """A typing error in the address must not pass for a default either."""
    for name in given:
        if name not in known:
            raise RequestRefused(f"There is no parameter {name[:LONGEST]} at this address: {nearest(name, known)}")


async def read_sent(request: Request, *, files: str = "photos", least: int = 1, raw: bool = False) -> Sent:
    """What was sent; the photos under `files` or, where it may be `raw`, one as the body."""
    settings = house_of(request).settings
    fields: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        fields.setdefault(name, []).append(value)
    kind = media_type(request)
    if kind != "multipart/form-data":
        if kind == "application/x-www-form-urlencoded":
            raise RequestRefused(f"The body is a form without files; send multipart/form-data, with the photos as `{files}`.")
        data = await request.body() if raw else b""
        photos = [Photo(file_name(fields.pop("name", ["photo"])[0]), data)] if data else []
    else:
        photos = await _photos_of_form(request, files, fields, settings.max_photos)
    if len(photos) < least:
        raise UploadRefused(
            f"No photo was sent: send multipart/form-data with `{files}`{', or the photo itself as the body' if raw else ''}."
        )
    return Sent(fields, photos, "idempotency-key" in request.headers)


async def _photos_of_form(request: Request, files: str, fields: dict[str, list[str]], most: int) -> list[Photo]:
    photos: list[Photo] = []
    count = 0
    try:
        for part in read_parts(request.headers.get("content-type", ""), await request.body()):
            if part.filename is None and part.name != files:
                count += 1
                if count > MOST_FIELDS or len(part.data) > LONGEST_FIELD:
                    raise UploadRefused(f"A form may have {MOST_FIELDS} fields of {LONGEST_FIELD:,} bytes; this one has more.")
                fields.setdefault(part.name, []).append(part.data.decode("utf-8", "replace"))
            elif part.name != files:
                raise UploadRefused(f"A file came as `{part.name[:60]}`; photos are taken as `{files}`.")
            elif len(photos) == most:
                raise UploadRefused(
                    f"More than {most} photos came in one request. Send the others with another, or as a batch."
                )
            else:
                photos.append(Photo(file_name(part.filename), part.data))
    except FormDamaged as error:
        raise UploadRefused(f"The form cannot be read: {error}. Send it again.") from error
    return photos


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def file_name(given: str | None) -> str:
    """The last part of what the client calls the file, fit to be shown; no path is ever made of it."""
    last = PurePosixPath((given or "").replace("\\", "/")).name
    return "".join(letter if letter.isprintable() else "_" for letter in last)[-LONGEST_NAME:] or "photo"


async def read_json(request: Request, kind: type[Asked]) -> Asked:
    """A JSON body, where a route takes one beside a photo."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise misfit(error, kind) from error
