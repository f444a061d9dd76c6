"""What the bare pipeline costs: decode, encode and search, on one thread, with nothing around it.

`python -m loadtests.bare FOLDER PLAN` opens a pipeline on a data folder, says `ready`, and is at rest but in its turns. A turn
is a line of JSON: a photo's size, how many seconds, and the moment at which to begin. What it took comes back as one.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from indexer.station import open_station
from loadtests.plan import Plan, Spent
from matching.neighbours import FIRST
from settings import read_settings


def main(folder: Path, plan: Plan) -> None:
    with open_station(read_settings(data_dir=folder)) as station:

        def one(body: bytes) -> float:
            began = time.perf_counter()
            station.index.search(station.encoder.encode(body).vector, FIRST)  # the search that an identification makes
            return time.perf_counter() - began

        bodies = {size: [Path(path).read_bytes() for path in paths] for size, paths in plan.photos.items()}
        for body in itertools.chain(*bodies.values()):
            one(body)
        following = {size: itertools.cycle(of) for size, of in bodies.items()}
        print("ready", flush=True)
        for line in sys.stdin:
            size, seconds, begin = json.loads(line)
            time.sleep(max(0.0, begin - time.time()))
            before, until, photos_s = _cpu_s(), time.perf_counter() + seconds, list[float]()
            while not photos_s or time.perf_counter() < until:
                photos_s.append(one(next(following[size])))
            print(json.dumps(asdict(Spent(_cpu_s() - before, photos_s))), flush=True)


def _cpu_s() -> float:
    """Of the process and its index's worker."""
    me = psutil.Process()
    times = [one.cpu_times() for one in [me, *me.children(recursive=True)]]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Plan.read(Path(sys.argv[2])))
