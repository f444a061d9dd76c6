"""The owner's end of a worker process: start it, ask it, notice that it died, see it off.

Not safe for several threads: `EdgeIndex` lets one through at a time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vector_db.channel import give_up_sending_after, polling

PATIENCE_S = 120.0  # opening a million points takes 5 s, listing their ids 5 s
LEAVE_S = 10.0
_ROOT = Path(__file__).resolve().parent.parent
_MOST_SAID = 300


class WorkerGone(Exception):
    """The worker died or hangs. `crashed` where the engine did it, not somebody's kill."""

    def __init__(self, how: str, *, crashed: bool) -> None:
        super().__init__(how)
        self.crashed = crashed


class EngineFailed(Exception):
    """The engine answered with an error of its own."""


class EngineFull(EngineFailed):
    """There is too little space on the disk to write."""


def launch(module: str, *args: object, log: Path, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """A Python that runs one of our modules and inherits what is named, nothing else.

    `-P` keeps the current folder out of its imports; two malloc arenas keep an idle worker 60 MB smaller.
    """
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "MALLOC_ARENA_MAX": "2"}
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=pass_fds,
            env=environment,
        )


def last_words(log: Path) -> str:
    """The last thing that the engine printed before it went, where that says something."""
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("note:")]
    return f": {said[-1][:_MOST_SAID]}" if said else ""


class EdgeProcess:
    """One worker process, from construction to `stop()` or `kill()`."""

    def __init__(self, log: Path, lock_fd: int) -> None:
        self._log = log
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = launch(
                    "vector_db.edge_worker", theirs.fileno(), os.getpid(), log=log, pass_fds=(theirs.fileno(), lock_fd)
                )
            except BaseException:
                ours.close()
                raise
        self._channel = Connection(ours.detach())
        self._answered = polling(self._channel)
        self._patience_s = 0.0  # of a send

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, verb: str, *args: Any, patience_s: float = PATIENCE_S) -> Any:
        """The answer; a worker that was interrupted half-way through one is of no further use, and killed."""
        if self._channel.closed:
            raise WorkerGone("it was ended when a call was interrupted", crashed=False)
        try:
            if patience_s != self._patience_s:
                give_up_sending_after(self._channel, patience_s)
                self._patience_s = patience_s
            self._channel.send((verb, args))
            if not self._answered.poll(patience_s * 1000):
                raise TimeoutError
            state, answer = self._channel.recv()
        except (EOFError, ConnectionError):
            raise self._gone() from None
        except (TimeoutError, BlockingIOError):  # no answer, or the question was not even taken
            self.kill()
            raise WorkerGone(f"it did not answer within {patience_s:.0f} s", crashed=False) from None
        except BaseException:
            self.kill()
            raise
        if state == "full":
            raise EngineFull(answer)
        if state == "failed":
            raise EngineFailed(answer)
        return answer

    def stop(self) -> bool:
        """Close the shard and see the worker off. True where everything is on disk."""
        try:
            self.ask("close")
            return self._process.wait(LEAVE_S) == 0
        except (WorkerGone, EngineFailed, subprocess.TimeoutExpired):
            return False
        finally:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def _gone(self) -> WorkerGone:
        try:
            code = self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:  # it closed the socket and stays
            code = -signal.SIGKILL
        self.kill()
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
        return WorkerGone(how + last_words(self._log), crashed=code not in (0, -signal.SIGKILL, -signal.SIGTERM))
