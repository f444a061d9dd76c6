"""The one door from `await` to a thread, and the bound on what may wait behind it.

A request for the model takes its place when its headers have come, so that a body is read only of what will be answered. A body
that is long in coming gives the place up meanwhile: slow clients starve nobody. When such a one has come at last, it goes
before whoever comes anew.

Six lanes: `encode` for what runs the model, one thread a stream; `masks` for backgrounds; `books` for SQL and files; `desk`
for retries, which write, `keys` for reading who may ask, which must not wait for a write, `health` for the probes; these
must answer when the others are full. A lane that is full says so at
once. What nobody waits for any more is not begun.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request

from service.errors import Busy, ClientGone

BOOKS_THREADS, BOOKS_WAITING = 4, 256
DESK_WAITING = 1000  # as many as there are connections: who asks must be known before anything is refused
MASKS_WAITING = 8  # each is some fifty encodings long
ARRIVES_WITHIN_S = 0.5  # a body that takes longer gives its place up
PATIENCE_S = 2.0  # a job's row lets whoever asks go first; then it takes its turn, so that jobs go on under any load
MOST_LATE = 32  # bodies that came late and wait for a place
LONGEST_WAIT_S = 30  # that anybody is told to wait
STANDS_AFTER_S = 0.5  # without a thread that is free: that is no burst, and who waits long waits for nothing
STANDING = 3  # the part of those who may wait in a burst that may wait then
FLOOD = 2.0  # refused for each who is taken: a place that is left is taken again at once, so one who waits keeps all at work
SPREAD = 2.0  # those who were refused are told to come back at half the rate that could be served: others come too
T = TypeVar("T")


class Lane:
    """Some threads, and places to wait. Its counts are the event loop's own: call it from there alone."""

    def __init__(self, name: str, threads: int, waiting: int, standing: int | None = None) -> None:
        """`standing` may wait where no thread has been free for a while, `waiting` in a burst; unset: as many."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.places = threads + waiting
        self._standing = self.places if standing is None else threads + standing
        self._busy_since: float | None = None  # since when no thread was free, if somebody had to wait then
        self._left = asyncio.Event()
        self.threads = threads
        self.inside = 0  # at work, waiting, or on its way in
        self._late = 0  # waiting for a place, since their bodies were slow
        self._each_s = 0.0  # how long work takes, the last counting most
        self._refused, self._flood = 0, 0.0  # since the last was taken; for each who was, the last counting most
        self._refused_at = 0.0
        self._promised = 0.0  # until when those who were refused have been told to come back

    @property
    def room(self) -> int:
        """Places now. A queue that stands serves nobody sooner: after a burst's length it is cut, and waits are short again."""
        if self._busy_since is None or time.monotonic() - self._busy_since <= STANDS_AFTER_S:
            return self.places
        return min(self._standing, self.threads + 1) if self._is_flooded else self._standing

    @property
    def _is_flooded(self) -> bool:
        return self._flood > FLOOD and time.monotonic() - self._refused_at <= STANDS_AFTER_S

    @property
    def is_full(self) -> bool:
        return self.inside + self._late >= self.room

    def refuse_if_full(self) -> None:
        if self.is_full:
            self._refused, self._refused_at = self._refused + 1, time.monotonic()
            raise Busy(
                f"All {self.room} places of this service are taken. Nothing was done; try again after the Retry-After.",
                retry_after_s=self._when(),
            )

    def enter(self) -> None:
        if self.inside < self.threads and not self._is_flooded:  # in a flood a thread is free for a moment, and asked at once
            self._busy_since = None
        self.inside += 1
        self._flood, self._refused = 0.9 * self._flood + 0.1 * self._refused, 0
        if self._busy_since is None and self.inside > self.threads:
            self._busy_since = time.monotonic()

    def _when(self) -> int:
        """Seconds until there is a place for this one too: after those who are inside, and those who were refused before it."""
        now, each_s = time.monotonic(), self._each_s / self.threads
        self._promised = max(self._promised, now + self.inside * each_s) + SPREAD * each_s
        self._promised = min(self._promised, now + LONGEST_WAIT_S)
        return max(1, math.ceil(self._promised - now))

    def reserve(self) -> Place:
        """A place for whoever's body is to come, or `Busy`."""
        self.refuse_if_full()
        return Place(self)

    async def wait_for_place(self) -> Place:
        """For one who has lost the place that was reserved; before whoever comes anew."""
        if self._late >= MOST_LATE:
            self.refuse_if_full()
        return await self._next_place()

    async def _next_place(self) -> Place:
        self._late += 1
        try:
            while self.inside >= self.places:
                self._left.clear()
                await self._left.wait()
            return Place(self)
        finally:
            self._late -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread of this lane, or `Busy`. Cancelled before it begins, it never does."""
        return await self.begin(work).answer

    async def run_patiently(self, work: Callable[[], T]) -> T:
        """For a job's rows, which nobody waits for at the door: behind whoever asks, for a while, and never `Busy`."""
        until = time.monotonic() + PATIENCE_S
        while self.inside >= max(1, self.places // 2) and (left_s := until - time.monotonic()) > 0:
            self._left.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), left_s)
        return await self.begin(work, await self._next_place()).answer

    def begin(self, work: Callable[[], T], place: Place | None = None) -> Begun[T]:
        """Put it into the lane, on the place that was reserved for it, or `Busy`."""
        if place is None or not place.hand_over():
            self.refuse_if_full()
            self.enter()
        timed = _Timed(self, work, asyncio.get_running_loop())
        future = self._pool.submit(contextvars.copy_context().run, timed)  # so that a trace goes on in the thread
        future.add_done_callback(timed.ended)
        timed.answer.add_done_callback(lambda answer: answer.cancelled() and future.cancel())
        return Begun(timed.answer, future)

    def leave(self, spent_s: float = 0.0) -> None:
        self.inside -= 1
        self._left.set()
        if spent_s:
            self._each_s = 0.9 * self._each_s + 0.1 * spent_s if self._each_s else spent_s

    def close(self) -> None:
        """What is begun ends; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Place:
    """One place in a lane, until its body has come: then it is handed over to the work, or given back, or it has lapsed."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self._held = lane, True
        lane.enter()
        self._lapses = asyncio.get_running_loop().call_later(ARRIVES_WITHIN_S, self.give_back)

    def give_back(self) -> None:
        if self.hand_over():
            self.lane.leave()

    def hand_over(self) -> bool:
        """Whether it was still held."""
        held, self._held = self._held, False
        self._lapses.cancel()
        return held

    @property
    def lapsed(self) -> bool:
        return not self._held


@dataclass(frozen=True, slots=True)
class Begun(Generic[T]):
    """What was put into a lane. Whoever stops waiting for the `answer` cancels work that has not begun."""

    answer: asyncio.Future[T]
    _work: Future[T]

    def drop(self, why: Exception) -> None:
        """Where it has not begun it never will, and this is its answer."""
        if self._work.cancel() and not self.answer.done():
            self.answer.set_exception(why)


class _Timed(Generic[T]):
    """Work for a thread, which tells the loop how it ended. It holds no future of the thread: a ring would keep photos."""

    def __init__(self, lane: Lane, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self._lane, self._work, self._loop, self._spent_s = lane, work, loop, 0.0
        self.answer: asyncio.Future[T] = loop.create_future()

    def __call__(self) -> T:
        began = time.perf_counter()
        try:
            return self._work()
        finally:
            self._spent_s = time.perf_counter() - began

    def ended(self, work: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody counts any more
            self._loop.call_soon_threadsafe(self._tell, work)

    def _tell(self, work: Future[T]) -> None:
        """The place is free and the answer told in one turn of the loop: each takes the interpreter from those at work."""
        self._lane.leave(self._spent_s)
        if self.answer.done() or work.cancelled():
            return
        if (error := work.exception()) is None:
            self.answer.set_result(work.result())
        else:
            self.answer.set_exception(error)


class Gate:
    """The lanes of one service."""

    def __init__(self, *, streams: int, queue: int) -> None:
        self.encode = Lane("encode", streams, queue, queue // STANDING)
        self.masks = Lane("masks", 1, MASKS_WAITING)
        self.books = Lane("books", BOOKS_THREADS, BOOKS_WAITING)
        self.desk = Lane("desk", 2, DESK_WAITING)
        self.keys = Lane("keys", 1, DESK_WAITING)
        self.health = Lane("health", 3, 0)  # a thread for each part that a probe asks about

    async def encoding(self, request: Request, work: Callable[[threading.Event], T]) -> T:
        """Work with the model, for a client who waits."""
        return await self.attended(self.encode, request, work)

    async def attended(self, lane: Lane, request: Request, work: Callable[[threading.Event], T]) -> T:
        """Work for a client who waits: dropped where it has not begun when the client leaves.

        `work` may look at the event between photos, and stop when it is set; what does not stop ends, and its answer is
        there for a retry. The request's body has been read.
        """
        gone = threading.Event()
        place = place_of(request, lane)
        if place is not None and place.lapsed:
            place = await lane.wait_for_place()
        begun = lane.begin(lambda: work(gone), place)

        def left(watch: asyncio.Task[None]) -> None:
            if not watch.cancelled():
                gone.set()
                begun.drop(ClientGone("The client left before its answer was begun."))

        watch = asyncio.ensure_future(_gone(request))
        watch.add_done_callback(left)
        try:
            return await begun.answer
        finally:
            watch.cancel()
            gone.set()  # for work that goes on: the time to leave is over

    def lanes(self) -> dict[str, Lane]:
        """By their names."""
        return {
            "encode": self.encode,
            "masks": self.masks,
            "books": self.books,
            "desk": self.desk,
            "keys": self.keys,
            "health": self.health,
        }

    def close(self) -> None:
        for lane in self.lanes().values():
            lane.close()


def place_of(request: Request, lane: Lane) -> Place | None:
    """What `route.py` reserved for this request, if that was in this lane."""
    place: Place | None = getattr(request.state, "place", None)
    return place if place is not None and place.lane is lane else None


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
