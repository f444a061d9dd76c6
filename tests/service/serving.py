"""A real service: a real server in a thread of this process, or in a process of its own, asked over a real socket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from demo import animals
from service.house import House
from service.serve import Server, make_server
from settings import ROOT, read_settings

SMALL = (320, 240)
KNOWN, EACH = 5, 4
Photo = Callable[[int, int], bytes]


@dataclass
class Service:
    """A running one, and a client of it."""

    url: str
    client: httpx.Client
    server: Server

    @property
    def house(self) -> House:
        house: House = self.server.app.state.house
        return house


Start = Callable[..., Service]


@contextmanager
def running(data: Path, **said: object) -> Iterator[Service]:
    settings = read_settings({}, data_dir=data, port=0, **{"user": "the tests", "streams": 2, "requests_per_minute": 0} | said)
    server = make_server(settings)

    def serve() -> None:
        with suppress(SystemExit):  # by which uvicorn leaves where starting failed
            server.run()

    thread = threading.Thread(target=serve)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:
        thread.join()
        raise server.app.state.start_failure
    host, port = server.address()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as client:
            yield Service(f"http://{host}:{port}", client, server)
    finally:
        server.should_exit = True
        thread.join()


def drawn(individual: int, photo: int) -> bytes:
    return animals.photo(individual, photo, size=SMALL, encounter=photo // 2)


@contextmanager
def process(data: Path, **keys: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`flukeprint serve` in a process of its own, and its address; killed at the end if it is still there."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLUKEPRINT_")}
    said = {"USER": "the tests", "STREAMS": 2, "REQUESTS_PER_MINUTE": 0, "LOG_LEVEL": "info"} | keys
    environ |= {f"FLUKEPRINT_{key}": str(value) for key, value in said.items()}
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--port", "0", "--data-dir", str(data)]
    log = data.parent / "log.txt"
    with log.open("a") as written:
        begun = written.tell()
        child = subprocess.Popen(command, env=environ, cwd=ROOT, stderr=written, stdout=written, text=True)
    try:
        yield child, _address(child, log, begun)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def _address(child: subprocess.Popen[str], log: Path, begun: int) -> str:
    for _ in range(1200):
        found = re.search(r"listens on (http://[\w.\[\]:]+)", log.read_text("utf-8")[begun:])
        if found:
            return found[1]
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8")[-3000:])
