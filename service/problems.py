"""Every error as an answer: one table from error class to status, and the one shape of problem+json.

A class that is not in the table takes the place of its nearest ancestor that is. What is the service's own fault is told in the
log, and only named in the answer: its message may hold a path.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from catalog import errors as catalog
from encoder import errors as encoder
from errors import FlukeprintError
from indexer import errors as indexer
from matching import errors as matching
from service import errors as service
from service import misfits
from settings import SettingsRefused
from vector_db import errors as vector_db

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:flukeprint:problem:"
DETAIL_ALONE = ("/match",)  # the field client's contract: {"detail"}, and the statuses 401, 422 and 503 alone
log = logging.getLogger("flukeprint.service")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # `json.dumps` would make it anew for each


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. `slug` never changes: clients decide by it. `tells`: whether its message goes out."""

    status: int
    slug: str
    title: str
    tells: bool = True
    retry_after_s: int | None = None


TABLE: dict[type[FlukeprintError], Kind] = {
    FlukeprintError: Kind(500, "internal", "The service failed.", tells=False),
    SettingsRefused: Kind(500, "settings", "The service is set wrongly.", tells=False),
    catalog.CatalogueError: Kind(500, "catalogue", "The catalogue failed.", tells=False),
    catalog.CatalogueRefused: Kind(422, "value-refused", "What was asked cannot be."),
    catalog.NotKnown: Kind(404, "not-known", "There is no such thing."),
    catalog.NameRefused: Kind(409, "name-refused", "The name cannot be given."),
    catalog.ValueRefused: Kind(422, "value-refused", "What was asked cannot be."),
    catalog.EditConflict: Kind(409, "conflict", "It contradicts what stands."),
    catalog.CatalogueNewer: Kind(503, "catalogue-unavailable", "The catalogue cannot be used now.", tells=False),
    catalog.CatalogueUnavailable: Kind(503, "catalogue-unavailable", "The catalogue cannot be used now.", tells=False),
    catalog.PhotoStoreFailed: Kind(503, "photo-store", "The photo's file cannot be used now.", tells=False),
    encoder.EncoderError: Kind(503, "encoder-unavailable", "The encoder cannot be used now.", tells=False),
    encoder.PhotoRefused: Kind(422, "photo-refused", "The photo cannot be used."),
    encoder.PhotoTooLarge: Kind(413, "photo-too-large", "The photo is too large."),
    encoder.NotAPhoto: Kind(415, "not-a-photo", "This is not a photo of a kind that is read."),
    encoder.PhotoDamaged: Kind(422, "photo-damaged", "The photo is damaged."),
    encoder.BoxOutside: Kind(422, "box-outside", "The box is not inside the photo."),
    encoder.NoDetail: Kind(422, "no-detail", "There is nothing in the photo to tell an animal by."),
    vector_db.VectorIndexError: Kind(503, "index-unavailable", "The index cannot be used now.", tells=False, retry_after_s=5),
    vector_db.FactRefused: Kind(422, "value-refused", "What was asked cannot be."),
    matching.MatchingError: Kind(500, "matching", "The decision failed.", tells=False),
    matching.QuestionRefused: Kind(422, "value-refused", "What was asked cannot be."),
    indexer.IndexerError: Kind(500, "indexer", "The write failed.", tells=False),
    indexer.TableRefused: Kind(422, "upload-refused", "The upload cannot be taken."),
    indexer.RowRefused: Kind(422, "value-refused", "What was asked cannot be."),
    indexer.BundleMismatch: Kind(503, "bundle-changed", "The catalogue has another bundle since the service began."),
    indexer.NotIndexed: Kind(503, "not-indexed", "Kept, but not to be found before the next start."),
    service.ServiceError: Kind(500, "internal", "The service failed.", tells=False),
    service.NotLetIn: Kind(401, "not-let-in", "A key is needed."),
    service.NotAllowed: Kind(403, "not-allowed", "The key does not allow this."),
    service.HostRefused: Kind(403, "host-refused", "Asked from where this service does not answer."),
    service.RequestRefused: Kind(422, "invalid-request", "The request cannot be understood."),
    service.UploadRefused: Kind(422, "upload-refused", "The upload cannot be taken."),
    service.KeyMisused: Kind(422, "idempotency-key", "The Idempotency-Key cannot be used for this."),
    service.TooLarge: Kind(413, "too-large", "More bytes than are taken."),
    service.TooSlow: Kind(408, "too-slow", "The request did not come to its end."),
    service.Busy: Kind(429, "busy", "Every place is taken.", retry_after_s=1),
    service.TooOften: Kind(429, "too-often", "Asked too often.", retry_after_s=5),
    service.StillAtIt: Kind(409, "still-at-it", "The first try is still being worked on.", retry_after_s=1),
    service.LooksAlike: Kind(409, "looks-alike", "The photo looks like another individual's."),
    service.NotInstalled: Kind(409, "not-installed", "This part is not installed here."),
    service.Leaving: Kind(503, "leaving", "The service is stopping.", retry_after_s=5),
    service.ClientGone: Kind(499, "client-gone", "Nobody waits for the answer."),
}
INVALID = Kind(422, "invalid-request", "The request cannot be understood.")
PLAIN = {  # what the framework itself answers
    400: Kind(400, "malformed", "The request is malformed."),
    404: Kind(404, "no-such-route", "There is nothing at this address."),
    405: Kind(405, "method-not-allowed", "This address has other methods."),
}


def kind_of(error: type[FlukeprintError]) -> Kind:
    """Of the nearest ancestor in the table.

    >>> kind_of(encoder.BoxOutside).status
    422
    """
    return next(TABLE[one] for one in error.__mro__ if one in TABLE)


def answer(request: Request, kind: Kind, detail: str, **more: Any) -> Response:
    """The problem as its route's contract wants it."""
    request.scope["flukeprint.problem"] = kind.slug  # for the frame, which counts
    headers = dict(more.pop("headers", {}))
    retry = more.pop("retry_after_s", None) or kind.retry_after_s
    if retry is not None:
        headers["Retry-After"] = str(retry)
    if kind.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="flukeprint"'
    if request.scope.get("path") in DETAIL_ALONE:
        status = kind.status if kind.status == 401 else 503 if kind.status >= 500 or kind.status == 429 else 422
        return JSONResponse({"detail": detail}, status, headers)
    told = {"type": TYPE + kind.slug, "title": kind.title, "status": kind.status, "detail": detail}
    told |= {"request_id": request.scope.get("flukeprint.request_id")} | more
    body = _encode(told).encode("utf-8", "backslashreplace")
    return Response(body, kind.status, headers, MEDIA_TYPE)


def of_error(request: Request, error: FlukeprintError) -> Response:
    kind, more = kind_of(type(error)), getattr(error, "more", {})
    if not kind.tells:
        log.error("%s: %s", type(error).__name__, error, extra={"request_id": request.scope.get("flukeprint.request_id")})
        return answer(request, kind, f"{kind.title} The service's log says why, under this request's id.", **more)
    return answer(request, kind, _without_paths(request, str(error)), **more)


def _without_paths(request: Request, text: str) -> str:
    return text.replace(request.app.state.private, "…")


def _methods(routes: Sequence[BaseRoute], path: str) -> set[str]:
    """All that this address has."""
    here = [one.methods or set() for one in routes if isinstance(one, APIRoute) and one.path_regex.match(path)]
    found = set[str]().union(*here)
    return found | ({"HEAD"} if "GET" in found else set())


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every way out of a route that is not its answer."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, FlukeprintError)
        return of_error(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = misfits.told(error.errors(), request.scope.get("route"))
        return answer(request, INVALID, f"{misfits.sentence(wrong)} See the API's description.", errors=wrong)

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, FlukeprintError):  # the framework's reader of bodies wraps what stopped it
            return of_error(request, error.__cause__)
        kind = PLAIN.get(error.status_code) or Kind(error.status_code, "malformed", "The request is malformed.")
        more = "" if error.detail == HTTPStatus(error.status_code).phrase else f" {error.detail}"
        headers = dict(error.headers or {})
        if methods := _methods(routes, request.url.path) if error.status_code == 405 else set():
            headers["Allow"] = ", ".join(sorted(methods))  # the framework names those of the first route alone
        return answer(request, kind, f"{kind.title}{more} GET /openapi.json tells what there is.", headers=headers)

    async def disk(request: Request, error: Exception) -> Response:
        log.error("the disk failed", exc_info=error, extra={"request_id": request.scope.get("flukeprint.request_id")})
        kind = TABLE[catalog.PhotoStoreFailed]
        return answer(request, kind, f"{kind.title} The service's log says why, under this request's id.")

    async def failed(request: Request, error: Exception) -> Response:
        log.error("failed", exc_info=error, extra={"request_id": request.scope.get("flukeprint.request_id")})
        kind = TABLE[FlukeprintError]
        return answer(request, kind, f"{kind.title} The service's log says why, under this request's id.")

    app.add_exception_handler(FlukeprintError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(OSError, disk)  # such as no space left for what comes in
    app.add_exception_handler(Exception, failed)
