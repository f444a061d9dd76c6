"""What is refused before any route is looked for: foreign hosts and pages, bodies that are too large or never end, and, when
every place is taken, what would need one.

The last is looked at behind the key too, in `route.py`; here it costs two thirds, which counts when hundreds come a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

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


class Border:
    silence_s = 20.0  # in which a body has to go on: half of one must not hold memory that others need

    def __init__(self, app: ASGIApp, settings: Settings, encoding: Sequence[APIRoute]) -> None:
        self._app, self._settings, self._encoding = app, settings, encoding
        self._places = Places(settings)
        self._held = 0  # bytes of the bodies that are in memory now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        archive = scope["path"] in ARCHIVES
        most = self._settings.max_archive_bytes if archive else self._most_in_memory(request)
        until = time.monotonic() + self._settings.body_timeout_s * (10 if archive else 1)
        try:
            if scope["path"] not in PROBES:
                headers = request.headers
                self._places.check(headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site"))
            said = request.headers.get("content-length", "0")
            if said.isascii() and said.isdigit() and int(said[:19]) > most:
                raise _too_large(most)
            self._refuse_if_full(scope)
        except FlukeprintError as error:
            await of_error(request, error)(scope, receive, send)
            return
        taken, held, whole, most_held = 0, 0, False, HELD * self._settings.max_request_bytes

        async def bounded() -> Message:
            nonlocal taken, held, whole
            if whole:  # what comes now is that the client leaves, which may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, min(until - time.monotonic(), self.silence_s))):
                    message = await receive()
            except TimeoutError:
                raise TooSlow("The request did not come to its end in time. Send it again, on a better line.") from None
            if message["type"] == "http.disconnect":
                raise ClientGone("The client left before its request had come to its end.")
            here = len(message.get("body", b""))
            taken += here
            if taken > most:
                raise _too_large(most)
            if not archive:
                held += here
                self._held += here
                if self._held > most_held:
                    raise Busy(
                        "More is being sent at once than there is memory for. Nothing was done; try again in a moment.",
                        retry_after_s=math.ceil(self.silence_s),  # by then those that send nothing have been sent away
                    )
            whole = not message.get("more_body", False)
            scope["flukeprint.read"] = taken
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            self._held -= held

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
