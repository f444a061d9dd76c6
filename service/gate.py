"""The one door from `await` to a thread, and the bound on what may wait behind it.

Four lanes: `encode` for what runs the model, one thread a stream; `masks` for backgrounds; `books` for SQL and files;
`health` for the probes, which must answer when the others are full. A lane that is full says so at once. What nobody waits for
any more is not begun.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request

from service.errors import Busy, ClientGone

BOOKS_THREADS, BOOKS_WAITING = 4, 256
MASKS_WAITING = 8  # each is some fifty encodings long
T = TypeVar("T")


class Lane:
    """Some threads, and places to wait. Its counts are the event loop's own: call it from there alone."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name = name
        self._places = threads + waiting
        self._left = asyncio.Event()
        self.inside = 0  # at work or waiting

    def refuse_if_full(self) -> None:
        if self.inside >= self._places:
            raise Busy(
                f"All {self._places} places of this service are taken. Nothing was done; try again after the Retry-After."
            )

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread of this lane, or `Busy`. Cancelled before it begins, it never does."""
        self.refuse_if_full()
        return await self._run(work)

    async def run_patiently(self, work: Callable[[], T]) -> T:
        """For a job's rows: takes a place only when one is free at once, so that whoever asks goes first."""
        while self.inside >= max(1, self._places // 2):
            self._left.clear()
            await self._left.wait()
        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        self.inside += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._leave(loop))
        return await asyncio.wrap_future(future)

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
        self.health = Lane("health", 1, 8)

    async def encoding(self, request: Request, work: Callable[[threading.Event], T]) -> T:
        """Work with the model, for a client who waits: `work` looks at the event between photos, and stops when it is set.

        The request's body has been read.
        """
        gone = threading.Event()
        task = asyncio.ensure_future(self.encode.run(lambda: work(gone)))
        watch = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGone("The client left before its answer was ready.")
            return task.result()
        finally:
            gone.set()
            watch.cancel()
            if not task.done():
                task.cancel()

    def close(self) -> None:
        for lane in (self.encode, self.masks, self.books, self.health):
            lane.close()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
