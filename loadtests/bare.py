"""What the bare pipeline costs: decode, encode and search, on one thread, with nothing around it.

Twice: alone, which says how long one photo takes, and by as many processes as there are cores, which says what a photo costs
when all cores are busy, as they are in the service at saturation. CPU-seconds are of the process and its index's worker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import psutil

from indexer.station import open_station
from matching.fusion import DEPTH
from settings import Settings


@dataclass(frozen=True, slots=True)
class Bare:
    """`one_ms`: the time for one photo, alone. `cpu_ms`: what each costs when all cores are busy; `cpu_alone_ms`: alone."""

    one_ms: float
    cpu_ms: float
    cpu_alone_ms: float


def measure(settings: Settings, folders: Sequence[Path], photos: Sequence[Path], seconds: float) -> Bare:
    given = [str(photo) for photo in photos]
    with ProcessPoolExecutor(len(folders), mp_context=get_context("spawn")) as pool:
        alone = pool.submit(_timed, settings, folders[0], given, seconds).result()
        start = time.time() + 1.5 + 0.5 * len(folders)  # all have opened theirs by then
        runs = [pool.submit(_timed, settings, folder, given, seconds, start) for folder in folders]
        busy = [run.result() for run in runs]
    cpu = sum(run[0] for run in busy) / sum(len(run[1]) for run in busy)
    return Bare(median(alone[1]) * 1000, cpu * 1000, alone[0] / len(alone[1]) * 1000)


def _timed(
    settings: Settings, folder: Path, photos: Sequence[str], seconds: float, start: float = 0.0
) -> tuple[float, list[float]]:
    """CPU-seconds, and each photo's wall seconds."""
    bodies = [Path(photo).read_bytes() for photo in photos]
    with open_station(settings.model_copy(update={"data_dir": folder})) as station:

        def one(body: bytes) -> None:
            station.index.search(station.encoder.encode(body).vector, DEPTH)

        for body in bodies:
            one(body)
        time.sleep(max(0.0, start - time.time()))
        before, began, spent = _cpu_s(), time.perf_counter(), list[float]()
        while time.perf_counter() - began < seconds:
            for body in bodies:
                at = time.perf_counter()
                one(body)
                spent.append(time.perf_counter() - at)
        return _cpu_s() - before, spent


def _cpu_s() -> float:
    me = psutil.Process()
    times = [one.cpu_times() for one in [me, *me.children(recursive=True)]]
    return float(sum(one.user + one.system for one in times))
