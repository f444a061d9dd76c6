"""The OpenAPI document: what every route takes, gives and refuses, made whole in one place.

Routes say what is particular to them; here each gets what all have alike: keys, limits, the problems that any request may
meet, and the links from an answer to what may be done next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from catalog.errors import CatalogueError, CatalogueRefused, CatalogueUnavailable, PhotoStoreFailed
from encoder.errors import EncoderError
from errors import FlukeprintError
from indexer.errors import IndexerError
from matching.errors import MatchingError
from service import errors
from service.house import house_of
from service.links import LINKS
from service.problems import DETAIL_ALONE, MEDIA_TYPE, PLAIN, TABLE, TYPE, Kind, kind_of
from service.schemas import Detail, Problem
from service.shape import Shape
from vector_db.errors import VectorIndexError

DESCRIPTION = """Which animal is this? Photos in, individuals out, with a probability that is measured on your own catalogue.

Every POST honours an `Idempotency-Key`: sent again with the same key, a request is answered as before and done once."""
Kinds = tuple[type[FlukeprintError], ...]
ANY: Kinds = (
    errors.RequestRefused, errors.HostRefused, errors.TooLarge, errors.TooSlow, errors.Busy, errors.ClientGone, FlukeprintError,
)  # fmt: skip
GUARDED: Kinds = (  # behind a key, which the catalogue holds; most of them read or write on a disk
    errors.NotLetIn, errors.NotAllowed, errors.Leaving, CatalogueError, CatalogueUnavailable, PhotoStoreFailed,
)  # fmt: skip
RATED: Kinds = (errors.TooOften,)
UPLOADS: Kinds = (errors.UploadRefused, CatalogueRefused)  # a form with photos, and what is said of them
MODEL: Kinds = (EncoderError, VectorIndexError, MatchingError, IndexerError)  # whoever encodes searches too
BY_SLUG = {kind.slug: kind for kind in TABLE.values()}
RETRIED: Kinds = (errors.KeyMisused, errors.StillAtIt)
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A word of your own for this request, new for each: a retry with it does nothing twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}
DETAIL_ALONE_WHY = {
    401: "No key was sent. Send one as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.",
    422: "No photo was sent: send multipart/form-data with `images`, or the photo itself as the body.",
    503: "All 8 places of this service are taken. Nothing was done; try again after the Retry-After.",
}
NUMBERS = {"individual_id": 7, "sighting_id": 31, "event_id": 42, "job_id": 1}  # in the examples


def gives(*kinds: type[FlukeprintError]) -> dict[int | str, dict[str, Any]]:
    """A route's own refusals, for its `responses`."""
    by_status = _by_status(kinds)
    return {status: {"description": "", "x-problems": [one.slug for one in several]} for status, several in by_status.items()}


def _by_status(kinds: Kinds) -> dict[int, list[Kind]]:
    found: dict[int, list[Kind]] = {}
    for kind in map(kind_of, kinds):
        if kind not in found.setdefault(kind.status, []):
            found[kind.status].append(kind)
    return found


class Named(Route):
    """Named for the measures and the log, as the framework does with its own kind of route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if match is not Match.NONE else found


def install(app: FastAPI) -> None:
    """`app.openapi()` gives the whole document; `/openapi.json` as bytes that are made once."""
    rendered: list[bytes] = []

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _whole(app)
        return app.openapi_schema

    def render() -> bytes:
        return json.dumps(openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    async def document(request: Request) -> Response:
        if not rendered:
            rendered.append(await house_of(request).gate.books.run(render))
        return Response(rendered[0], media_type="application/json")

    app.openapi = openapi  # type: ignore[method-assign]
    app.router.routes.append(Named("/openapi.json", document, include_in_schema=False))


def _whole(app: FastAPI) -> dict[str, Any]:
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, license_info={"name": "Apache-2.0"}
    )
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for own in (Problem, Detail):
        schemas[own.__name__] = own.model_json_schema()
    for shape in every(Shape):
        extra = shape.model_config.get("json_schema_extra")
        if shape.__name__ in schemas and isinstance(extra, dict) and "example" in extra:
            schemas[shape.__name__]["example"] = extra["example"]  # whole: the framework leaves its nulls out
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    # On an address, or with a method, that no route has: so of no route.
    parts["responses"] = {kind.slug: _problem([kind]) for kind in (PLAIN[404], PLAIN[405])}
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return document


def every(shape: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in shape.__subclasses__():
        yield one
        yield from every(one)


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    if operation["x-role"] != "anyone":
        operation["security"] = [{"bearer": []}, {"header": []}]
    if method == "post":
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    answers = operation["responses"]
    answers.pop("422", None) if "x-problems" not in answers.get("422", {}) else None
    problems = _by_status(_shared(method, operation))
    problems.setdefault(400, []).append(PLAIN[400])
    for status, answer in answers.items():
        for slug in answer.pop("x-problems", ()):
            several, kind = problems.setdefault(int(status), []), BY_SLUG[slug]
            if kind not in several:
                several.append(kind)
    if path in DETAIL_ALONE:
        for status in [status for status in answers if int(status) >= 300]:
            del answers[status]
        for status, why in DETAIL_ALONE_WHY.items():
            told = {"schema": {"$ref": "#/components/schemas/Detail"}, "example": {"detail": why}}
            answers[str(status)] = {"description": "Why not.", "content": {"application/json": told}}
    else:
        for status, several in sorted(problems.items()):
            answers[str(status)] = _problem(several)
    _show_numbers(operation)
    if links := LINKS.get((method, path)):
        answers[_success(answers)]["links"] = links


def _shared(method: str, operation: dict[str, Any]) -> Kinds:
    """The refusals that this route has in common with others of its kind."""
    kinds = ANY + (GUARDED if operation["x-role"] != "anyone" else ())
    kinds += RATED if operation["x-role"] != "anyone" and operation["x-counted"] else ()
    kinds += RETRIED if method == "post" else ()
    kinds += UPLOADS if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}) else ()
    return kinds + (MODEL if operation["x-encodes"] else ())


def _show_numbers(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in NUMBERS:
            parameter["example"] = NUMBERS[parameter["name"]]


def _success(answers: dict[str, Any]) -> str:
    return next(status for status in answers if status.startswith("2"))


def _problem(kinds: list[Kind]) -> dict[str, Any]:
    examples = {
        kind.slug: {
            "value": {
                "type": TYPE + kind.slug,
                "title": kind.title,
                "status": kind.status,
                "detail": "What was given, what was expected, what to do next.",
                "request_id": "5f0c",
            }
        }
        for kind in kinds
    }
    told = {
        "description": " / ".join(kind.title for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }
    if any(kind.retry_after_s for kind in kinds):
        told["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return told


def form(
    fields: type[BaseModel],
    *,
    files: str = "photos",
    one: bool = False,
    raw: tuple[str, ...] = ("image/jpeg", "image/png"),
    or_files: str | None = None,
    or_json: bool = False,
) -> dict[str, Any]:
    """The body of a route that takes photos: a form with these fields, or one file as it is with the fields in the address.

    `or_files`: many, in place of the one.
    """
    file = {"type": "string", "format": "binary"}
    schema = fields.model_json_schema(ref_template="#/components/schemas/{model}")
    properties = {files: file if one else {"type": "array", "items": file, "minItems": 1}} | schema.get("properties", {})
    required = [files, *schema.get("required", [])]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if or_files is not None:
        properties[or_files] = {"type": "array", "items": file, "minItems": 1}
        body |= {"required": required[1:], "oneOf": [{"required": [files]}, {"required": [or_files]}]}
    example: dict[str, Any] = {files: "fluke.jpg" if one else ["fluke.jpg"]}
    if "name" in required:
        example["name"] = "Kelp-07"
    content: dict[str, Any] = {"multipart/form-data": {"schema": body, "example": example}}
    # Words and no value: a tool would send the value, and it would be no photo.
    shown = {"file": {"summary": "The file's bytes as they are, as `curl --data-binary @FILE` sends them."}}
    content |= {kind: {"schema": file, "examples": shown} for kind in raw}
    if or_json:  # a question without a photo
        content = {"application/json": {"schema": schema, "example": schema.get("example")}} | content
    return {"requestBody": {"required": True, "content": content}}
