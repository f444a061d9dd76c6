"""One laying-out anew of a shard: copy, build beside, catch up, and the copy counts.

Owns the copy and the list of what was written since it was made. The folder's stamp names the old shard until the new
one holds the same points and is on disk, so a crash at any moment leaves one that is sound; what is half done is
cleared away at the next start. Whatever makes the copy worthless meanwhile (the index is cleared or closed, its worker
is replaced while files are copied) spoils it: it is dropped without an error, and the next `optimise` begins again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from vector_db.edge_engine import EdgeEngine
from vector_db.edge_process import EdgeProcess, EngineFailed, WorkerGone, last_words, launch
from vector_db.errors import IndexUnavailable
from vector_db.growth import Layout

LOOK_ROUND_S = 0.1


class Spoilt(Exception):
    """The copy is of no use any more."""


class Rebuild:
    """Begun in the engine's turn with everything flushed; while `copying`, writes must wait."""

    def __init__(self, engine: EdgeEngine, layout: Layout, points: int) -> None:
        self.copying = True
        self.touched: set[int] = set()  # written since the copy was made
        self._engine = engine
        self._starts = engine.starts
        self._layout = layout
        self._points = points
        self._source = engine.folder.shard
        self._target = engine.folder.fresh()
        self._spoilt = Event()
        self._adopted = False

    def spoil(self) -> None:
        self._spoilt.set()

    def copy(self) -> None:
        size = sum(path.stat().st_size for path in self._source.rglob("*") if path.is_file())
        free = shutil.disk_usage(self._engine.folder.path).free
        if free < 3 * size:  # the copy, what is built of it, and the engine's own room
            raise IndexUnavailable(
                f"There is too little space in {self._engine.folder.path} to build the index for fast search: "
                f"{free >> 20} MB are free, {3 * size >> 20} MB are needed. Searches go on as before; "
                "free some and run `flukeprint reindex`."
            )
        try:
            shutil.copytree(self._source, self._target)
        except OSError as error:
            self._refuse_spoilt()  # a shard that was given up while it was copied
            reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error
            raise IndexUnavailable(
                f"The index could not be copied to be built for fast search: {reason}. Searches go on as before; "
                "run `flukeprint reindex` to try again."
            ) from error

    def copied(self) -> None:
        """In the engine's turn: writes may go on."""
        self.copying = False
        if self._engine.starts != self._starts:  # opening a shard changes files, some of them perhaps half copied
            self.spoil()

    def build(self) -> None:
        """In a process of its own, waited for in this thread, whose end would end it."""
        self._refuse_spoilt()
        log = self._engine.folder.path / "build.log"
        args = (os.getpid(), self._target, self._engine.folder.stamp.dimension, self._layout)
        with self._engine.disk(), launch("vector_db.edge_build", *args, log=log) as process:
            while process.poll() is None:
                if self._spoilt.wait(LOOK_ROUND_S):
                    process.kill()
        self._refuse_spoilt()
        if process.returncode != 0:
            raise IndexUnavailable(
                f"The index for fast search could not be built (the builder ended with {process.returncode}"
                f"{last_words(log)}). Searches go on as before; run `flukeprint reindex` to try again."
            )

    @contextmanager
    def opened(self) -> Iterator[EdgeProcess]:
        """A worker on the new shard, which stays where the shard was adopted."""
        with self._engine.disk():
            worker = self._engine.another("fresh.log")
        try:
            worker.ask("open", str(self._target), self._engine.folder.stamp.dimension)
            yield worker
        except (WorkerGone, EngineFailed) as error:
            raise IndexUnavailable(
                f"The newly built index does not open ({error}). Searches go on with the one before; "
                "run `flukeprint reindex` to try again."
            ) from error
        finally:
            if not self._adopted:
                worker.kill()

    def take(self, most: int) -> list[int]:
        return [self.touched.pop() for _ in range(min(most, len(self.touched)))]

    def adopt(self, fresh: EdgeProcess) -> EdgeProcess | None:
        """In the engine's turn: the new shard counts from here on. The old worker is the caller's to stop."""
        self._refuse_spoilt()
        fresh.ask("flush")
        with self._engine.disk():
            self._engine.folder.adopt(self._target, self._points)
        self._adopted = True
        return self._engine.replace(fresh)

    def clear_away(self) -> None:
        """Whichever shard does not count."""
        self._engine.folder.discard(self._source if self._adopted else self._target)

    def _refuse_spoilt(self) -> None:
        if self._spoilt.is_set() or self._engine.folder.shard != self._source:
            raise Spoilt
