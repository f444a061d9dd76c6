"""A service of our own: `flukeprint serve` in its process, on a port that is free, with its log beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import ServiceFailed
from settings import PREFIX, ROOT

STARTS_WITHIN_S, LEAVES_WITHIN_S = 90.0, 40.0


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    pid: int
    log: Path


@contextmanager
def running(data: Path, log: Path, more: Mapping[str, object] | None = None) -> Iterator[Service]:
    """As it is set by default, or by the environment, but for the log, which is read afterwards."""
    environ = dict(os.environ) | {f"{PREFIX}LOG_FORMAT": "json", f"{PREFIX}LOG_LEVEL": "info"}
    environ |= {f"{PREFIX}REQUESTS_PER_MINUTE": "0"}  # one address asks for all
    environ |= {f"{PREFIX}{key.upper()}": str(value) for key, value in (more or {}).items()}
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", "127.0.0.1", "--port", "0", "--data-dir", str(data)]
    with log.open("w", encoding="utf-8") as written:
        child = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=written, stderr=written)
    try:
        yield Service(_address(child, log), child.pid, log)
        if child.poll() is not None:
            raise ServiceFailed(f"The service left with {child.returncode} before the end. Its last lines: {_tail(log)}")
    finally:
        child.terminate()
        try:
            child.wait(LEAVES_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and child.poll() is None:
        if found := re.search(r"listens on (http://[\w.\[\]:]+)", log.read_text("utf-8")):
            return found[1]
        time.sleep(0.05)
    raise ServiceFailed(f"The service did not start. Its last lines: {_tail(log)}")


def _tail(log: Path) -> str:
    return " / ".join(log.read_text("utf-8").splitlines()[-5:])
