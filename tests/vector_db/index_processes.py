"""The processes of an index for tests: its workers, and others that use it as another command would."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def until(holds: Callable[[], bool], patience_s: float = 10.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def workers(of: int | None = None) -> list[psutil.Process]:
    """The engine processes of a process of ours."""
    return [child for child in psutil.Process(of).children() if "vector_db.edge_worker" in child.cmdline()]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(alive(process) for process in processes)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def script(body: str, *args: object) -> subprocess.Popen[str]:
    """Another process that uses the index, as another command would."""
    source = "import sys\nsys.path[:0] = [sys.argv[1], sys.argv[2]]\n" + textwrap.dedent(body)
    given = [str(ROOT), str(Path(__file__).parent), *map(str, args)]
    return subprocess.Popen(
        [sys.executable, "-c", source, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
