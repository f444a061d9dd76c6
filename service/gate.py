"""The one door from `await` to a thread, and the bound on what may wait behind it.

Five lanes: `encode` for what runs the model, one thread a stream; `masks` for backgrounds; `books` for SQL and files; `desk`
for keys and retries, `health` for the probes, which must both answer when the others are full. A lane that is full says so at
once. What nobody waits for any more is not begun.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request

from service.errors import Busy, ClientGone

BOOKS_THREADS, BOOKS_WAITING = 4, 256
DESK_WAITING = 1000  # as many as there are connections: who asks must be known before anything is refused
MASKS_WAITING = 8  # each is some fifty encodings long
T = TypeVar("T")


class Lane:
    """Some threads, and places to wait. Its counts are the event loop's own: call it from there alone."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name = name
        self.places = threads + waiting
        self._left = asyncio.Event()
        self.inside = 0  # at work or waiting

    def refuse_if_full(self) -> None:
        if self.inside >= self.places:
            raise Busy(
                f"All {self.places} places of this service are taken. Nothing was done; try again after the Retry-After."
            )

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread of this lane, or `Busy`. Cancelled before it begins, it never does."""
        return await asyncio.wrap_future(self.begin(work))

    async def run_patiently(self, work: Callable[[], T]) -> T:
        """For a job's rows: takes a place only when one is free at once, so that whoever asks goes first."""
        while self.inside >= max(1, self.places // 2):
            self._left.clear()
            await self._left.wait()
        return await self.run(work)

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Put it into the lane, or `Busy`."""
        self.refuse_if_full()
        loop = asyncio.get_running_loop()
        self.inside += 1
        future = self._pool.submit(contextvars.copy_context().run, work)  # so that a trace goes on in the thread
        future.add_done_callback(lambda _: self._leave(loop))
        return future

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        def leave() -> None:
            self.inside -= 1
            self._left.set()

        with suppress(RuntimeError):  # the loop is closed: nobody counts any more
            loop.call_soon_threadsafe(leave)

    def close(self) -> None:
        """What is begun ends; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Gate:
    """The lanes of one service."""

    def __init__(self, *, streams: int, queue: int) -> None:
        self.encode = Lane("encode", streams, queue)
        self.masks = Lane("masks", 1, MASKS_WAITING)
        self.books = Lane("books", BOOKS_THREADS, BOOKS_WAITING)
        self.desk = Lane("desk", 2, DESK_WAITING)
        self.health = Lane("health", 1, 8)

    async def encoding(self, request: Request, work: Callable[[threading.Event], T]) -> T:
        """Work with the model, for a client who waits."""
        return await self.attended(self.encode, request, work)

    async def attended(self, lane: Lane, request: Request, work: Callable[[threading.Event], T]) -> T:
        """Work for a client who waits: dropped where it has not begun when the client leaves.

        `work` may look at the event between photos, and stop when it is set; what does not stop ends, and its answer is
        there for a retry. The request's body has been read.
        """
        gone = threading.Event()
        future = lane.begin(lambda: work(gone))
        answer = asyncio.wrap_future(future)
        watch = asyncio.ensure_future(_gone(request))
        either: set[asyncio.Future[Any]] = {answer, watch}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                gone.set()
                if future.cancel():
                    raise ClientGone("The client left before its answer was begun.")
            return await answer
        finally:
            watch.cancel()
            if not answer.done():  # given up: the time to leave is over
                gone.set()

    def lanes(self) -> dict[str, Lane]:
        """By their names."""
        return {"encode": self.encode, "masks": self.masks, "books": self.books, "desk": self.desk, "health": self.health}

    def close(self) -> None:
        for lane in self.lanes().values():
            lane.close()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
