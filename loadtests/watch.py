"""The service from outside while it is asked: CPU-seconds and memory of all its processes, and whether its probes answer."""

from __future__ import annotations

import http.client
import math
import threading
import time
from bisect import bisect_left, bisect_right
from contextlib import closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

import psutil

CPU_EVERY_S, MEMORY_EVERY_S = 0.1, 1.0
SCRAPED_EVERY_S, OFTEN_S = 15.0, 0.5  # as a Prometheus does, lest the probes count as a cost; where they are what is judged
PROBES = ("/healthz", "/metrics")


@dataclass(frozen=True, slots=True)
class Moment:
    at: float  # of the wall clock
    value: float


@dataclass(frozen=True, slots=True)
class Probe:
    id: str
    path: str
    status: int  # 0: no answer came
    at: float
    ms: float  # as we saw it


class Watch:
    """While it is open it looks. Without a process it only probes."""

    def __init__(self, url: str, key: str | None, pid: int | None, probe_every_s: float = SCRAPED_EVERY_S) -> None:
        self._url, self._key, self._probe_every_s = urlsplit(url), key, probe_every_s
        self._process = psutil.Process(pid) if pid is not None else None
        self.cpu_s: list[Moment] = []
        self.memory_mb: list[Moment] = []
        self.probes: list[Probe] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._probe)]
        if self._process is not None:
            self._threads.append(threading.Thread(target=self._look))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def cpu_between(self, begun: float, ended: float) -> float:
        """CPU-seconds, from the look before to the look after: nothing is asked around it."""
        looks = [one.at for one in self.cpu_s]
        first, last = max(bisect_right(looks, begun) - 1, 0), min(bisect_left(looks, ended), len(looks) - 1)
        return self.cpu_s[last].value - self.cpu_s[first].value

    def _look(self) -> None:
        assert self._process is not None
        family, weighed, spent = [self._process], 0.0, dict[int, float]()  # of those too that have left
        while not self._stop.is_set():
            with suppress(psutil.Error):
                now = time.time()
                if now - weighed >= MEMORY_EVERY_S:
                    family, weighed = [self._process, *self._process.children(recursive=True)], now
                    self.memory_mb.append(Moment(now, sum(_bytes_of(one) for one in family) / 1e6))
            for one in family:
                with suppress(psutil.Error):
                    times = one.cpu_times()
                    spent[one.pid] = float(times.user + times.system)
            self.cpu_s.append(Moment(time.time(), sum(spent.values())))
            self._stop.wait(CPU_EVERY_S)

    def _probe(self) -> None:
        while not self._stop.is_set():
            for path in PROBES:
                self.probes.append(self._probed(path))
            self._stop.wait(self._probe_every_s)

    def _probed(self, path: str) -> Probe:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        name, begun = uuid4().hex, time.time()
        headers = {"X-Request-Id": name} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        with closing(kind(self._url.hostname or "", self._url.port, timeout=30)) as connection:
            try:
                connection.request("GET", path, headers=headers)
                said = connection.getresponse()
                said.read()
            except (OSError, http.client.HTTPException):
                return Probe(name, path, 0, begun, math.inf)
        return Probe(name, path, said.status, begun, (time.time() - begun) * 1000)


def _bytes_of(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", 0) or full.rss)
