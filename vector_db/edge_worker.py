"""The process that Qdrant Edge lives in: it takes one request after another from its owner and answers each.

    python -P -m vector_db.edge_worker CHANNEL OWNER

CHANNEL is the descriptor of a socket that the owner has the other end of, OWNER the owner's process id. It acknowledges
a write when the engine has it (kill -9 cannot take it back) and flushes to disk at most every half second (a power cut
may cost that much: the catalogue makes it good). It leaves when the socket closes or the owner is gone, whichever it
sees first: a fork of the owner may keep the socket open. Dying with the owner's *thread*, as PR_SET_PDEATHSIG would have it, is
wrong here: the thread that starts the worker may be a short-lived one of a pool.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vector_db.channel import polling
from vector_db.conditions import Condition, Payload
from vector_db.edge_shard import Shard

FLUSH_EVERY_S = 0.5
LOOK_ROUND_S = 0.5
SPACE_KEPT = 128 << 20  # the engine grows its files by 32 MB at a time, and dies where it cannot


class NoSpace(Exception):
    """Writing further could end in the middle of a file."""


class Desk:
    """One shard at a time, and the requests for it; each public method is one."""

    def __init__(self) -> None:
        self._shard: Shard | None = None
        self._path = Path()
        self._dirty_since: float | None = None

    def open(self, path: str, dimension: int) -> None:
        self.close()
        self._path = Path(path)
        self._refuse_full(self._path.parent)
        self._shard = Shard(self._path, dimension)

    def upsert(self, ids: Sequence[int], vectors: bytes, payloads: Sequence[Payload]) -> None:
        self._refuse_full(self._path)
        self._mark()
        self.shard.upsert(ids, vectors, payloads)

    def delete(self, ids: Sequence[int]) -> None:
        self._mark()
        self.shard.delete(ids)

    def search(self, vector: bytes, limit: int, where: Sequence[Condition], exact: bool) -> list[tuple[int, float]]:
        return self.shard.search(vector, limit, where, exact)

    def count(self) -> int:
        return self.shard.count()

    def ids(self) -> bytes:
        return self.shard.ids()

    def points(self, ids: Sequence[int]) -> tuple[list[int], bytes, list[Payload]]:
        return self.shard.points(ids)

    def probe(self) -> None:
        self.shard.probe()

    def flush(self) -> None:
        self.shard.flush()
        self._dirty_since = None

    def close(self) -> None:
        if self._shard is not None:
            self.flush()
            self._shard.close()
            self._shard = None

    @property
    def shard(self) -> Shard:
        if self._shard is None:
            raise RuntimeError("no shard is open")
        return self._shard

    def flush_when_due(self) -> None:
        if self._dirty_since is not None and time.monotonic() - self._dirty_since >= FLUSH_EVERY_S:
            self.flush()

    def _mark(self) -> None:
        if self._dirty_since is None:
            self._dirty_since = time.monotonic()

    def _refuse_full(self, path: Path) -> None:
        disk = os.statvfs(path)
        if disk.f_bavail * disk.f_frsize < SPACE_KEPT:
            raise NoSpace(f"{disk.f_bavail * disk.f_frsize >> 20} MB are free, {SPACE_KEPT >> 20} MB are needed")


def serve(channel: Connection, owner: int) -> None:
    """Answer until told to close, or until nobody is left to answer to."""
    desk, asked = Desk(), polling(channel)
    while os.getppid() == owner:
        if asked.poll(LOOK_ROUND_S * 1000):
            try:
                verb, args = channel.recv()
            except (EOFError, ConnectionResetError):
                break
            channel.send(_answer(desk, verb, args))
            if verb == "close":
                return
        desk.flush_when_due()
    desk.close()


def _answer(desk: Desk, verb: str, args: tuple[Any, ...]) -> tuple[str, Any]:
    """A panic of the engine is no Exception: it ends this process, and the owner starts another."""
    try:
        return "done", getattr(desk, verb)(*args)
    except NoSpace as full:
        return "full", str(full)
    except Exception as error:  # the engine raises nothing narrower
        return "failed", f"{type(error).__name__}: {error}"


def main() -> None:
    # Ctrl-C and a service manager's stop reach the whole group; the owner decides when it no longer needs us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as channel:
        serve(channel, int(sys.argv[2]))


if __name__ == "__main__":
    main()
