"""What the bare pipeline costs: decode, encode and search, on one thread, with nothing around it.

`python -m loadtests.bare PLAN COME FOLDER` opens a pipeline on a data folder, says `ready`, and is at rest but in its turns. A
turn is a line of JSON: a photo's size, how many seconds, and the moment at which to begin. What it took comes back as one.
Without seconds, photos come when they do: each as a moment on the pipe COME, which several pipelines may share.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from indexer.station import open_station
from loadtests.plan import MOMENT, NO_MORE, Plan, Spent
from matching.neighbours import FIRST
from settings import read_settings


def main(plan: Plan, come: int, folder: Path) -> None:
    with open_station(read_settings(data_dir=folder)) as station:

        def one(body: bytes) -> None:
            station.index.search(station.encoder.encode(body).vector, FIRST)  # the search that an identification makes

        bodies = {size: [Path(path).read_bytes() for path in paths] for size, paths in plan.photos.items()}
        for body in itertools.chain(*bodies.values()):
            one(body)
        following = {size: itertools.cycle(of) for size, of in bodies.items()}
        print("ready", flush=True)
        for line in sys.stdin:
            size, seconds, begin = json.loads(line)
            time.sleep(max(0.0, begin - time.time()))
            before, photos_s = _cpu_s(), list[float]()
            for due in _coming(come) if seconds is None else _until(time.time() + seconds):
                one(next(following[size]))
                photos_s.append(time.time() - due)
            print(json.dumps(asdict(Spent(_cpu_s() - before, photos_s))), flush=True)


def _until(end: float) -> Iterator[float]:
    """One after the other, and one at least."""
    yield time.time()
    while (now := time.time()) < end:
        yield now


def _coming(come: int) -> Iterator[float]:
    while (due := struct.unpack(MOMENT, os.read(come, struct.calcsize(MOMENT)))[0]) != NO_MORE:
        yield due


def _cpu_s() -> float:
    """Of the process and its index's worker."""
    me = psutil.Process()
    times = [one.cpu_times() for one in [me, *me.children(recursive=True)]]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    main(Plan.read(Path(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3]))
