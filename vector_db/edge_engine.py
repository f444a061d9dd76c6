"""A worker process that is there when it is asked: started, healed, and never ahead of the catalogue.

Owns the folder's lock and the one turn in which requests reach the worker. A worker that died is replaced within the
call that notices it: the shard is opened again (its log loses no acknowledged point), `on_start` brings it up to date
with the catalogue, and the call is made once more. Where the engine itself crashed on it twice, or cannot open it, it
begins with an empty shard, which `on_start` fills.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, RLock
from typing import Any

from vector_db.edge_process import EdgeProcess, EngineFailed, EngineFull, WorkerGone
from vector_db.errors import IndexDamaged, IndexUnavailable, VectorIndexError
from vector_db.folder import NONE_YET, EdgeFolder
from vector_db.lock import FolderLock, unavailable

log = logging.getLogger(__name__)

TRIES = 3  # as it stands, after a restart, after a second crash with an empty shard


class EdgeEngine:
    """The engine of one folder, from `start()` to `close()`."""

    def __init__(self, path: Path, collection: str, dimension: int, on_start: Callable[[], None]) -> None:
        self.folder = EdgeFolder(path, collection, dimension)
        self.turn = Condition(RLock())  # one request at a time, since the engine lets nothing run beside one
        self.starting = False
        self.closed = False
        self.starts = 0
        self.why_empty: str | None = None
        self._on_start = on_start
        self._dimension = dimension
        self._crashes = 0
        self._owner = os.getpid()
        self._worker: EdgeProcess | None = None
        self._lock = FolderLock(path, f"The index {path} ({collection})")

    def start(self) -> None:
        """Open the folder now rather than at the first request, so that what is wrong is said at once."""
        try:
            self.run(lambda _: None)
        except BaseException:
            self._lock.release()
            raise

    def ask(self, verb: str, *args: Any) -> Any:
        return self.run(lambda worker: worker.ask(verb, *args))

    def run(self, action: Callable[[EdgeProcess], Any]) -> Any:
        """What `action` gets out of the worker, or out of the next one where that is gone."""
        with self.turn:
            if self.closed:
                raise IndexUnavailable("The index is closed. Open it again before it is asked.")
            if os.getpid() != self._owner:  # two processes on one socket would take each other's answers
                raise IndexUnavailable("The index was opened before this process was forked off. Open it after that.")
            for left in reversed(range(TRIES)):
                try:
                    answer = action(self._worker or self._start())
                    if not self.starting:
                        self._crashes = 0
                    return answer
                except WorkerGone as gone:
                    self._drop()
                    self._crashes += gone.crashed
                    if self.starting:  # the call that started it goes round again
                        raise
                    if not left:
                        raise self._given_up(gone) from gone
                    log.warning("The index worker is gone and is started anew: %s", gone)
                except EngineFailed as failed:
                    self._drop()  # the next call looks at the files, and starts from what the catalogue says
                    raise self._translated(failed) from failed
        raise AssertionError("the last try returns or raises")

    def begin_anew(self, worker: EdgeProcess) -> None:
        """An empty shard, which counts as soon as it is on disk; the one before goes then."""
        before, shard = self.folder.stamp.shard and self.folder.shard, self.folder.fresh()
        worker.ask("open", str(shard), self._dimension)
        worker.ask("flush")
        with self.disk():
            self.folder.adopt(shard, optimised=0)
        if before:
            self.folder.discard(before)

    def another(self, log_name: str) -> EdgeProcess:
        """A second worker under the same lock."""
        return EdgeProcess(self.folder.path / log_name, self._lock.fd)

    def replace(self, worker: EdgeProcess) -> EdgeProcess | None:
        """Requests go to this one from here on; the one before is the caller's to stop."""
        before, self._worker = self._worker, worker
        return before

    def close(self) -> None:
        """See the worker off, and seal what it leaves."""
        with self.turn:
            self.closed = True
            worker, self._worker = self._worker, None
            try:
                if worker is not None and worker.stop():
                    self.folder.seal()
            except OSError as error:  # unsealed is as after a crash: sound, only not looked at so closely
                log.warning("The index was closed, but not sealed: %s", error)
            finally:
                self._lock.release()

    @contextmanager
    def disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unavailable(self.folder.path, error) from error

    def _start(self) -> EdgeProcess:
        """A worker with the shard open and equal to the catalogue, before any other call gets through."""
        self.starts += 1
        with self.disk():
            self._worker = self._opened()
        self.starting = True
        try:
            self._on_start()
        except BaseException:
            self._drop()
            raise
        finally:
            self.starting = False
        if self._worker is None:
            raise WorkerGone("it went while it was brought up to date", crashed=False)
        return self._worker

    def _opened(self) -> EdgeProcess:
        worker = EdgeProcess(self.folder.log, self._lock.fd)  # it imports while the files are looked at
        try:
            wrong = self.folder.find()
            if wrong is None and self._crashes > 1:
                wrong = "the engine crashed on it twice"
            if wrong is None:
                wrong = self._refused(worker)
                if wrong is None:
                    return worker
                worker.kill()
                worker = EdgeProcess(self.folder.log, self._lock.fd)
            self.begin_anew(worker)
        except BaseException:
            worker.kill()
            raise
        self.why_empty = wrong
        if wrong != NONE_YET:
            log.warning("The index %s is built anew from the catalogue: %s", self.folder.path, wrong)
        return worker

    def _refused(self, worker: EdgeProcess) -> str | None:
        """Why the engine does not open the shard; None where it did."""
        try:
            sealed = self.folder.sealed
            self.folder.break_seal()  # the engine changes files by opening them
            worker.ask("open", str(self.folder.shard), self._dimension)
            if not sealed:
                worker.ask("probe")
        except EngineFull:
            raise
        except EngineFailed as failed:
            return f"the engine could not open it: {failed}"
        except WorkerGone as gone:
            if not gone.crashed:
                raise
            return f"the engine crashed on it: {gone}"
        return None

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _given_up(self, gone: WorkerGone) -> IndexUnavailable:
        return IndexUnavailable(
            f"The engine of the index {self.folder.path} ended {TRIES} times ({gone}). "
            "Run `flukeprint doctor`; `flukeprint reindex` builds the index from the catalogue."
        )

    def _translated(self, failed: EngineFailed) -> VectorIndexError:
        if isinstance(failed, EngineFull):
            return IndexUnavailable(
                f"There is too little space left for the index in {self.folder.path}: {failed}. "
                "Free some and run this again; the catalogue has everything that was acknowledged."
            )
        return IndexDamaged(
            f"The engine of the index {self.folder.path} failed: {failed}. Try again; "
            "where it fails again, `flukeprint reindex` builds the index from the catalogue."
        )
