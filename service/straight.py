"""A long body, read from the socket straight to where it stays.

The parser hands a body on in the pieces in which the system has them, and each is copied three times before the application
gets it. Of a photo of 12 megapixels that was a tenth of what the event loop did. A body whose length is known has nothing in
it that would have to be parsed.
"""

from __future__ import annotations

import asyncio

import numpy as np
from httptools import HttpRequestParser
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LONG = 262_144  # bytes that are still to come
LARGEST = 1_048_576  # piece: what is read before the application is told, to which each time costs .07 ms
TOLD_S = 1.0  # a slow body is handed on piece by piece all the same, or it would seem to be silent


def straight(app: ASGI3Application, connection: HttpToolsProtocol, cycle: RequestResponseCycle) -> ASGI3Application:
    """`app`, to which the rest of a long body comes past the parser."""
    length = next((value for name, value in cycle.scope["headers"] if name == b"content-length"), b"0")
    if int(length) < LONG:
        return app

    async def reads_straight(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await app(scope, _Body(connection, cycle, receive, int(length)).receive, send)

    return reads_straight


class _Body:
    def __init__(
        self, connection: HttpToolsProtocol, cycle: RequestResponseCycle, receive: ASGIReceiveCallable, length: int
    ) -> None:
        self._connection, self._cycle, self._plain, self._left = connection, cycle, receive, length
        self._rest: _Rest | None = None

    async def receive(self) -> ASGIReceiveEvent:
        cycle = self._cycle
        if self._rest is None:
            message = await self._plain()  # which says 100 to a client that waits for it
            if message["type"] == "http.request":
                self._left -= len(message["body"])
                if self._left >= LONG:
                    self._rest = _Rest(self._connection, cycle, self._left)
            return message
        if not cycle.disconnected and not cycle.response_complete:
            self._connection.flow.resume_reading()
            await cycle.message_event.wait()
            cycle.message_event.clear()
        if cycle.disconnected or cycle.response_complete:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._rest.take(), "more_body": cycle.more_body}  # type: ignore[typeddict-item]


class _Rest(asyncio.BufferedProtocol):
    """In the parser's place until the body ends; what else befalls the connection is the connection's own."""

    def __init__(self, connection: HttpToolsProtocol, cycle: RequestResponseCycle, left: int) -> None:
        self._connection, self._cycle, self._left = connection, cycle, left
        self._came = 0  # in whole pieces
        self._piece, self._filled, self._taken = memoryview(b""), 0, 0
        self._told = connection.loop.time()
        self._hand_to(self)

    def take(self) -> memoryview:
        taken, self._taken = self._taken, self._filled
        return self._piece[taken : self._filled]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        if self._filled == len(self._piece):
            length = min(self._left, max(LONG, min(self._came, LARGEST)))  # no more is held uncounted than has been counted
            self._piece = memoryview(np.empty(length, np.uint8))  # type: ignore[arg-type]
            self._came += length
            self._filled = self._taken = 0
        return self._piece[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self._left -= nbytes
        connection, now = self._connection, self._connection.loop.time()
        if not self._left:
            connection.parser = HttpRequestParser(connection)  # the old one waits for the body
            connection.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the server does
            self._hand_to(connection)
            connection.on_message_complete()
        elif self._cycle.response_complete:  # refused: what still comes is nobody's
            connection._unset_keepalive_if_required()
        elif self._filled == len(self._piece):
            connection.flow.pause_reading()
            self._tell(now)
        elif now - self._told >= TOLD_S:
            self._tell(now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def eof_received(self) -> None:
        self._connection.eof_received()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def _tell(self, now: float) -> None:
        self._told = now
        self._cycle.message_event.set()

    def _hand_to(self, reader: asyncio.BaseProtocol) -> None:
        flow = self._connection.flow
        flow.pause_reading()  # a transport asks for the kind of its reader where reading begins
        self._connection.transport.set_protocol(reader)
        flow.resume_reading()
