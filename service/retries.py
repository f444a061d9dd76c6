"""A retry after a lost answer adds nothing: the Idempotency-Key of a POST, and what became of its first try.

The catalogue notes what a request made in the transaction that makes it. So of a request that was killed anywhere, or cut off
when the time to leave was over, either nothing was made, and it is done now, or what was made is known, and its answer is
told again from that.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from catalog.catalogue import Catalogue
from catalog.values import Request as Kept
from service.errors import KeyMisused, StillAtIt
from service.house import House, caller_of, house_of

KEY = re.compile(r"[!-~]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent, and so fit to be kept."""

    body: Any
    status: int = 200


Work = Callable[["Attempt"], Reply]
Again = Callable[[int], Reply]  # from the number of what the first try made


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the work of one request is handed: the books that note what it makes, and whether anybody still waits."""

    books: Catalogue
    token: str | None
    gone: threading.Event


async def once(
    request: Request, fingerprint: str, work: Work, again: Again | None = None, *, encodes: bool = False
) -> Response:
    """Do the work, in a thread, unless this request was done before. Work that makes nothing needs no `again`."""
    house = house_of(request)
    token = _token(request)
    if token is None:
        reply = await _run(house, request, work, None, encodes=encodes)
        return JSONResponse(reply.body, reply.status)
    if token in house.under_way:
        raise StillAtIt("The first try of this request is still being worked on. Ask again after the Retry-After.")
    house.under_way.add(token)
    try:
        before = await house.gate.desk.run(lambda: house.desk.begin_request(token, fingerprint))
        if before is not None and before.fingerprint != fingerprint:
            raise KeyMisused("This Idempotency-Key came with another request before. Use a new one for each request.")
        if before is None or (before.made is None and before.status is None):
            reply = await _first(house, request, work, token, encodes=encodes)
        else:
            reply = await house.gate.books.run(lambda: _told_again(before, again))
        return JSONResponse(reply.body, reply.status)
    finally:
        house.under_way.discard(token)


async def _first(house: House, request: Request, work: Work, token: str, *, encodes: bool) -> Reply:
    try:
        reply = await _run(house, request, work, token, encodes=encodes)
    except Exception:  # what was refused may be mended and tried anew; of what is cancelled, a thread may yet make it
        await house.gate.desk.run(lambda: house.desk.drop_request(token))
        raise
    await house.gate.desk.run(lambda: house.desk.end_request(token, reply.status, reply.body))
    return reply


async def _run(house: House, request: Request, work: Work, token: str | None, *, encodes: bool) -> Reply:
    books = house.station.catalogue
    if token is not None:
        books = books.noting(house.desk.note_of(token))
    if encodes:
        return await house.gate.encoding(request, lambda gone: work(Attempt(books, token, gone)))
    return await house.gate.books.run(lambda: work(Attempt(books, token, threading.Event())))


def _told_again(before: Kept, again: Again | None) -> Reply:
    if before.status is not None:
        return Reply(before.answer, before.status)
    assert again is not None  # whoever makes something tells it again
    assert before.number is not None  # written together with what it made
    return again(before.number)


def _token(request: Request) -> str | None:
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not KEY.fullmatch(given):
        raise KeyMisused("The Idempotency-Key is none: give 1 to 200 visible ASCII characters, new for each request.")
    asked = "\n".join((caller_of(request).id, request.method, request.url.path, given))
    return hashlib.sha256(asked.encode()).hexdigest()


def fingerprint(value: Any) -> str:
    """Of a JSON request."""
    return hashlib.sha256(repr(value).encode()).hexdigest()
