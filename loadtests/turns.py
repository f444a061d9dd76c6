"""The bare pipeline's turns: the load generator rests, and asks the service for nothing, while its processes have the machine.

There is one for each core. In a turn one of them works alone first, which says how long a photo takes; then all do, which says
what one costs when all cores are busy, as they are in the service at saturation.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtests.plan import Plan, Spent, Turn

ALONE = 0.3  # of a turn
LINES_UP_S = 0.1  # until all have read their line


class Pipelines:
    """The processes, one for each folder of the plan; none of them, where the service runs elsewhere."""

    def __init__(self, plan: Path) -> None:
        command = [sys.executable, "-m", "loadtests.bare"]
        self._processes = [
            subprocess.Popen([*command, folder, str(plan)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for folder in Plan.read(plan).bare
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            _heard(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            process.communicate()  # the end of its turns

    def turn(self, size: str, seconds: float) -> Turn:
        alone = self._run(self._processes[:1], size, seconds * ALONE)
        return Turn(size, alone, self._run(self._processes, size, seconds * (1 - ALONE)))

    def _run(self, processes: Iterable[subprocess.Popen[str]], size: str, seconds: float) -> Spent:
        begin = time.time() + LINES_UP_S
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps((size, seconds, begin)) + "\n")
            process.stdin.flush()
        spent = [Spent(**json.loads(_heard(process))) for process in processes]
        return Spent(sum(one.cpu_s for one in spent), [photo for one in spent for photo in one.photos_s])


def _heard(process: subprocess.Popen[Any]) -> str:
    assert process.stdout is not None
    line = str(process.stdout.readline())
    if not line:
        raise RuntimeError(f"The bare pipeline left with {process.wait()}; what it said stands above.")
    return line
