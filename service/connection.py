"""One client's connection: HTTP as the server's parser in C reads it, with bounds on what it may hold and how long it may take.

The parser in Python costs half a millisecond more for a photo of a megapixel, and for a refusal twice as much as all the rest.
This one bounds neither headers nor what is sent before it is answered, so that is done here.

Connections that wait for their client cost us little, but there is an end to them: in a crowd each that comes shows one out, so
that nobody keeps others away by holding many.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.straight import straight

MOST_HEADER_BYTES = 65_536
CROWD = 900  # connections; below uvicorn's bound, where it would refuse the probes too
MOST_PIPELINED = 100  # requests of one connection that wait for the answer to an earlier one


class Patient(HttpToolsProtocol):
    """With an end to its patience: a client who takes too long over its headers, or reads nothing, is shown out."""

    header_timeout_s = 20
    crowd = CROWD

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.crowd:
            self._show_one_out()
        super().connection_made(transport)
        self._since = self.loop.time()  # its last answer, or its beginning
        self._watch = self.loop.call_later(self.header_timeout_s, self._look)
        self._no_body = 0  # bytes since the last that belonged to a body
        self._running: RequestResponseCycle | None = None  # `cycle` is the last that came, which may have to wait for this one
        self._unread = 0  # bytes of answers that the client had not taken at the last look

    def data_received(self, data: bytes) -> None:
        self._no_body += len(data)
        super().data_received(data)
        if self._no_body > MOST_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers have more than the {MOST_HEADER_BYTES:,} bytes that are taken.")

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError(f"more than {MOST_PIPELINED} requests wait")  # which the parser answers with 400
        self._no_body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._no_body = 0
        held = self.cycle.body
        if not held:
            self.cycle.body = b""  # type: ignore[assignment]  # the first piece then is what is held, and no copy of it
        elif isinstance(held, bytes):
            self.cycle.body = bytearray(held)  # to which pieces are added without copying what came before
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._no_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, straight(app, self, cycle))

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True  # or it would go on writing to who has left
            self._running.message_event.set()
        super().connection_lost(exc)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _asks(self) -> bool:
        """Whether a request has begun whose answer has not ended."""
        return self._running is not None and not self._running.response_complete

    def _show_one_out(self) -> None:
        """Of the address with the most, the oldest that asks nothing, else the oldest that still sends, or does not read."""
        everyone = [one for one in self.connections if isinstance(one, Patient) and not one.transport.is_closing()]
        held = Counter(one._address for one in everyone)
        waiting = [one for one in everyone if not one._asks or one._running.more_body or one.flow.write_paused]  # type: ignore[union-attr]
        if waiting:
            one = max(waiting, key=lambda one: (held[one._address], not one._asks, -one._since))
            one.transport.abort()  # which waits for nobody to read

    def _look(self) -> None:
        unread, before = self.transport.get_write_buffer_size(), self._unread
        if unread and unread == before:  # not a byte of its answer was taken in all that time
            self.transport.abort()
            return
        self._unread = unread
        left_s = self.header_timeout_s - (0.0 if self._asks else self.loop.time() - self._since)
        if left_s <= 0:  # nothing but headers, or less, in all that time
            self.transport.abort() if unread else self.transport.close()
            return
        self._watch = self.loop.call_later(left_s, self._look)
