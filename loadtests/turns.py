"""The bare pipeline's turns: the load generator rests, and asks the service for nothing, while its processes have the machine.

There is one for each core. In a turn one of them works alone first, which says how long a photo takes; then all do, which says
what one costs when all cores are busy, as they are in the service at saturation. Photos that come by chance may follow, each
to whichever process is free first: what they wait for is what a service would keep them waiting that costs nothing itself.

The rate at which they come is of the latest turns together: by itself a turn says what the machine does in that second.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import fmean
from types import TracebackType
from typing import Any, Self

from loadtests.plan import MOMENT, NO_MORE, Plan, Spent, Turn

ALONE = 0.3  # of a turn
LINES_UP_S = 0.1  # until all have read their line
LATEST = 4  # turns, one of which is a tenth off


def arrivals(chance: Random, begun: float, seconds: float, rate: float) -> list[float]:
    """Moments by chance, as independent clients ask. How many is not left to chance: in a turn of four seconds it would be a
    seventh off, and half the capacity another part of it each time.

    >>> len(arrivals(Random(1), 100.0, 4.0, 12.5))
    50
    """
    return sorted(begun + chance.uniform(0, seconds) for _ in range(round(rate * seconds)))


class Lately:
    """The mean of the latest turns' rates, each size by itself.

    >>> lately = Lately()
    >>> [lately.after("1mp", one) for one in (20.0, 30.0)], lately.after("12mp", 8.0)
    ([20.0, 25.0], 8.0)
    """

    def __init__(self) -> None:
        self._rates = defaultdict[str, deque[float]](lambda: deque(maxlen=LATEST))

    def after(self, size: str, rate: float) -> float:
        self._rates[size].append(rate)
        return fmean(self._rates[size])


class Pipelines:
    """The processes, one for each folder of the plan; none of them, where the service runs elsewhere."""

    def __init__(self, plan: Path) -> None:
        come, self._comes = os.pipe()  # when each photo came: all processes read from it, so it is their queue
        command = [sys.executable, "-m", "loadtests.bare", str(plan), str(come)]
        self._processes = [
            subprocess.Popen([*command, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[come])
            for folder in Plan.read(plan).bare
        ]
        os.close(come)
        self.capacity, self._lately = 0.0, Lately()  # photos a second, when all cores were busy

    def __enter__(self) -> Self:
        for process in self._processes:
            _heard(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            process.communicate()  # the end of its turns
        os.close(self._comes)

    def turn(self, size: str, seconds: float, part: int = 0) -> Turn:
        alone = self._run(self._processes[:1], size, seconds * ALONE)
        busy = self._run(self._processes, size, seconds * (1 - ALONE))
        self.capacity = self._lately.after(size, len(self._processes) * len(busy.photos_s) / sum(busy.photos_s))
        return Turn(part, alone, busy)

    def waited_s(self, size: str, due: Iterable[float]) -> list[float]:
        """Of photos that come at these moments, from then until each is done."""
        self._tell(self._processes, size, None)
        for moment in due:
            time.sleep(max(0.0, moment - time.time()))
            os.write(self._comes, struct.pack(MOMENT, moment))
        os.write(self._comes, struct.pack(MOMENT, NO_MORE) * len(self._processes))
        return self._spent(self._processes).photos_s

    def _run(self, processes: Iterable[subprocess.Popen[str]], size: str, seconds: float) -> Spent:
        self._tell(processes, size, seconds)
        return self._spent(processes)

    def _tell(self, processes: Iterable[subprocess.Popen[str]], size: str, seconds: float | None) -> None:
        begin = time.time() + LINES_UP_S
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps((size, seconds, begin)) + "\n")
            process.stdin.flush()

    def _spent(self, processes: Iterable[subprocess.Popen[str]]) -> Spent:
        spent = [Spent(**json.loads(_heard(process))) for process in processes]
        return Spent(sum(one.cpu_s for one in spent), [photo for one in spent for photo in one.photos_s])


def _heard(process: subprocess.Popen[Any]) -> str:
    assert process.stdout is not None
    line = str(process.stdout.readline())
    if not line:
        raise RuntimeError(f"The bare pipeline left with {process.wait()}; what it said stands above.")
    return line
