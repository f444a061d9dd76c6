"""What is refused before any route is looked for: foreign hosts and pages, bodies that are too large or never end, and, when
every place is taken, what would need one.

The last is looked at behind the key too, in `route.py`; here it costs two thirds, which counts when hundreds come a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import FlukeprintError
from service.errors import Busy, ClientGone, TooLarge, TooSlow
from service.forms import media_type
from service.places import Places
from service.problems import of_error
from settings import Settings

ARCHIVES = ("/v1/batches",)  # whose bodies go to the disk, and may be as large as an archive
MOST_WORDS = 1_000_000  # bytes of a body without photos: a longer one is parsed for seconds, and all others wait
HELD = 4  # times the largest request: what all bodies together may hold in memory, however slowly each of them comes
PROBES = ("/healthz", "/readyz")  # asked by address, from whatever watches the service


@dataclass(slots=True, eq=False)
class Coming:
    """A body on its way into memory."""

    held: int = 0
    waits: asyncio.Timeout | None = None  # for its next part
    given_up: bool = False

    def give_up(self) -> int:
        """Its bytes, which are let go of: at once, where it waits, else when it asks for its next part."""
        freed, self.held, self.given_up = self.held, 0, True
        if self.waits is not None:
            self.waits.reschedule(asyncio.get_running_loop().time())
        return freed


class Border:
    silence_s = 20.0  # in which a body has to go on: half of one must not hold memory that others need

    def __init__(self, app: ASGIApp, settings: Settings, encoding: Sequence[APIRoute]) -> None:
        self._app, self._settings, self._encoding = app, settings, encoding
        self._places = Places(settings)
        self._held = 0  # bytes of the bodies that are in memory now
        self._coming = set[Coming]()  # those that are not whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        archive = scope["path"] in ARCHIVES
        most = self._settings.max_archive_bytes if archive else self._most_in_memory(request)
        until = time.monotonic() + self._settings.body_timeout_s * (10 if archive else 1)
        try:
            self._refuse_unread(request, most)
        except FlukeprintError as error:
            await of_error(request, error)(scope, receive, send)
            return
        taken, whole, body = 0, False, Coming()
        self._coming.add(body)

        async def bounded() -> Message:
            nonlocal taken, whole
            if whole:  # what comes now is that the client leaves, which may take as long as it likes
                return await receive()
            if body.given_up:
                raise self._crowded()
            began = time.perf_counter()
            try:
                async with asyncio.timeout(max(0.0, min(until - time.monotonic(), self.silence_s))) as body.waits:
                    message = await receive()
            except TimeoutError:
                if body.given_up:
                    raise self._crowded() from None
                raise TooSlow("The request did not come to its end in time. Send it again, on a better line.") from None
            finally:
                body.waits = None
                scope["flukeprint.body_s"] = scope.get("flukeprint.body_s", 0.0) + time.perf_counter() - began
            if message["type"] == "http.disconnect":
                raise ClientGone("The client left before its request had come to its end.")
            if body.given_up:
                raise self._crowded()
            here = len(message.get("body", b""))
            taken += here
            if taken > most:
                raise _too_large(most)
            if archive:
                message["body"] = bytes(message.get("body", b""))  # the framework's parser looks for lines in it
            else:
                self._hold(body, here)
            if whole := not message.get("more_body", False):
                self._coming.discard(body)
            scope["flukeprint.read"] = taken
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._held -= body.held
            self._coming.discard(body)

    def _refuse_unread(self, request: Request, most: int) -> None:
        scope, headers = request.scope, request.headers
        if scope["path"] not in PROBES:
            self._places.check(headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site"))
        said = headers.get("content-length", "0")
        if said.isascii() and said.isdigit() and int(said[:19]) > most:
            raise _too_large(most)
        self._refuse_if_full(scope)

    def _hold(self, newest: Coming, more: int) -> None:
        """Whoever holds most and is not done yet pays for what is too much: else a few slow ones would keep all others out."""
        newest.held += more
        self._held += more
        while self._held > HELD * self._settings.max_request_bytes:
            largest = max(self._coming, key=lambda one: (one.held, one is not newest))
            if largest is newest or not largest.held:
                raise self._crowded()
            self._held -= largest.give_up()

    def _crowded(self) -> Busy:
        return Busy(
            "More is being sent at once than there is memory for. Nothing was done; try again in a moment.",
            retry_after_s=math.ceil(self.silence_s),  # by then those that send nothing have been sent away
        )

    def _most_in_memory(self, request: Request) -> int:
        most = self._settings.max_request_bytes
        if media_type(request) == "application/json" or self._taking_photos(request.scope) is None:
            return min(MOST_WORDS, most)
        return most

    def _taking_photos(self, scope: Scope) -> APIRoute | None:
        return next((route for route in self._encoding if route.path_regex.match(scope["path"])), None)

    def _refuse_if_full(self, scope: Scope) -> None:
        lane = scope["app"].state.house.gate.encode
        if not lane.is_full or scope["method"] != "POST":
            return
        route = self._taking_photos(scope)
        if route is not None:
            scope["route"] = route  # as the measures and the log name it
            lane.refuse_if_full()


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"The request has more than the {most:,} bytes that are taken. Send less at once: fewer photos, or smaller ones."
    )
