"""One process at a time: an index folder is held by a lock that says who holds it.

The engine's own lock is no help: a second process's rejected load deletes a file of the first. So this lock is taken
before the engine looks at the folder. It belongs to the open file, which worker processes inherit: it is free when the
owner and all its workers are gone, and not a moment before.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import sys
import time
from pathlib import Path

from vector_db.errors import IndexHeld, IndexUnavailable

LOCK_NAME = "lock"
ORPHAN_PATIENCE_S = 5.0  # a worker whose owner was killed notices within a second
_MAX_COMMAND = 300


class FolderLock:
    """Held from construction to `release()`.

    lock = FolderLock(folder, "the index of bundle starter-1")
    """

    def __init__(self, folder: Path, what: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unavailable(folder, error) from error
        try:
            self._wait(what)
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, _signature(), 0)
        except OSError as error:
            os.close(self.fd)
            raise unavailable(folder, error) from error
        except BaseException:
            os.close(self.fd)
            raise

    def release(self) -> None:
        if self.fd >= 0:
            os.ftruncate(self.fd, 0)  # nobody is to read this name beside the next holder's
            os.close(self.fd)
            self.fd = -1

    def _wait(self, what: str) -> None:
        """Take it at once, or say who has it; where the holder is dead, its worker is about to leave: wait for that."""
        deadline = time.monotonic() + ORPHAN_PATIENCE_S
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pid, command = _holder(self.fd)
                if (pid is not None and _alive(pid)) or time.monotonic() > deadline:
                    raise IndexHeld(_held(what, pid, command)) from None
                time.sleep(0.05)


def unavailable(folder: Path, error: OSError) -> IndexUnavailable:
    """What the operating system said about the folder, with what to do."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return IndexUnavailable(
            f"The index folder {folder} cannot be written ({error.strerror}). "
            "Give this user the right to write there, or name another data folder."
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return IndexUnavailable(
            f"There is no space left for the index in {folder} ({error.strerror}). "
            "Free some and run this again; the catalogue has everything that was acknowledged."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return IndexUnavailable(f"The index folder {folder} is not a folder ({error.strerror}). Name another data folder.")
    return IndexUnavailable(f"The index folder {folder} cannot be used: {error}. Mend that and run this again.")


def _signature() -> bytes:
    command = shlex.join(sys.orig_argv)
    return json.dumps({"pid": os.getpid(), "command": command[:_MAX_COMMAND]}).encode()


def _holder(fd: int) -> tuple[int | None, str]:
    """What the lock file says; empty in the instant between another's taking and signing it."""
    try:
        said = json.loads(os.pread(fd, 4096, 0))
        return int(said["pid"]), str(said["command"])
    except (ValueError, KeyError, TypeError):
        return None, ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held(what: str, pid: int | None, command: str) -> str:
    by = "another process" if pid is None else f"process {pid} ({command})"
    if pid == os.getpid():
        by = f"this very process ({pid}), which opened it before"
    return f"{what} is in use by {by}. Wait until it is done, or stop it, then run this again."
