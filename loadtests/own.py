"""A service of our own: `flukeprint serve` in its process, on a port that is free, with its log beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.errors import ServiceFailed
from settings import PREFIX, ROOT, Settings

STARTS_WITHIN_S, LEAVES_WITHIN_S = 90.0, 40.0
LOG = "service.log"  # in the report's folder
TESTED = (
    "bundle",
    "runtime",
    "streams",
    "threads",
    "batch",
    "queue",
    "new_share",
    "second_opinion",
    "codes_above",
    "hnsw_above",
)
SET = {"requests_per_minute": 0, "log_format": "json", "log_level": "info"}  # one address asks for all; the log is read


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    process: subprocess.Popen[Any]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def left(self) -> str | None:
        """What is to be said where it is not there any more."""
        code = self.process.poll()
        return None if code is None else f"The service left with {code} before the end. Its last lines: {_tail(self.log)}"


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What a service under test is set to: what decides how fast it is, and nothing that says where anything is kept.

    >>> environment(Settings(streams=2, database_url="sqlite:////whales.db"), {})["FLUKEPRINT_STREAMS"]
    '2'
    """
    tested = {name: value for name in TESTED if (value := getattr(settings, name)) is not None}
    plain = {key: value for key, value in environ.items() if not key.startswith(PREFIX)}
    return plain | {f"{PREFIX}{name.upper()}": _text(value) for name, value in (tested | SET).items()}


@contextmanager
def running(data: Path, log: Path, settings: Settings) -> Iterator[Service]:
    """On its own data folder, and set like the bare pipeline that it is compared with."""
    environ = environment(settings, os.environ)
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", "127.0.0.1", "--port", "0", "--data-dir", str(data)]
    with log.open("w", encoding="utf-8") as written, child(command, env=environ, stdout=written, stderr=written) as process:
        yield Service(_address(process, log), process, log)


@contextmanager
def child(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is gone when this is left, also where a signal to end meets it while it is made."""
    process: subprocess.Popen[Any] | None = None
    try:
        with _signals_held():
            process = subprocess.Popen(command, cwd=ROOT, **more)
        yield process
    finally:
        if process is not None:
            process.terminate()
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LEAVES_WITHIN_S)
            finally:  # also where a second signal cuts the waiting off
                process.kill()
                process.wait()


@contextmanager
def _signals_held() -> Iterator[None]:
    """A signal to end waits until this is left."""
    if threading.current_thread() is not threading.main_thread():  # no signal is handled there
        yield
        return
    came = list[int]()
    both = (signal.SIGTERM, signal.SIGINT)
    before = {one: signal.signal(one, lambda number, _: came.append(number)) for one in both}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if came:
        signal.raise_signal(came[0])


def _address(process: subprocess.Popen[Any], log: Path) -> str:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listens on (http://[\w.\[\]:]+)", log.read_text("utf-8")):
            return found[1]
        time.sleep(0.05)
    raise ServiceFailed(f"The service did not start. Its last lines: {_tail(log)}")


def _text(value: object) -> str:
    return str(value.absolute() if isinstance(value, Path) else value)


def _tail(log: Path) -> str:
    return " / ".join(log.read_text("utf-8").splitlines()[-5:])
