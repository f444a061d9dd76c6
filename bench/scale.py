"""From a thousand sightings to a million: what a question takes, what a start takes and what it weighs as the catalogue grows.

A data folder is filled with drawn vectors for each size; then the sizes are measured by turns, each time in a process of its
own. The layout of the index is what the sizes ask for: every vector, codes, and above 300,000 the graph.
Building the graph of a million takes long on few cores, so that size is measured with BENCH_FULL=1 only.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.catalogue import Found, fill, measured
from bench.row import Row
from indexer.station import open_station
from settings import Settings, read_settings

ROUNDS = 5
SIZES = (1_000, 10_000, 100_000)
FULL = 1_000_000
MEMORY_GB = {1_000: 0.5, 10_000: 0.6, 100_000: 1.0, FULL: 6.0}
START_S = {1_000: 1.0, 10_000: 1.0, 100_000: 3.0, FULL: 15.0}
SLOWER = {10_000: 1.25, 100_000: 1.5, FULL: 2.0}  # than at 1,000


def rows() -> list[Row]:
    sizes = (*SIZES, FULL) if os.environ.get("BENCH_FULL") == "1" else SIZES
    with tempfile.TemporaryDirectory() as scratch:
        folders = [read_settings({}, data_dir=Path(scratch) / str(size)) for size in sizes]
        filled_s = [_filled(settings, size) for settings, size in zip(folders, sizes, strict=True)]
        # By turns, so that a moment in which the machine does other work falls on all sizes alike.
        rounds = [[_seen(settings) for settings in folders] for _ in range(ROUNDS)]
    found = []
    for at, size in enumerate(sizes):
        found += _told(size, [row[at] for row in rounds], [row[0] for row in rounds], filled_s[at])
    return found


def _filled(settings: Settings, size: int) -> float:
    """Seconds that filling took, with the layout and the calibration that belong to the size."""
    began = time.perf_counter()
    with open_station(settings) as station:
        fill(station, size)
        station.index.optimise()
        station.calibration()
    return time.perf_counter() - began


def _seen(settings: Settings) -> Found:
    """One start and its questions, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(measured, settings, 1).result()


def _told(size: int, seen: Sequence[Found], first: Sequence[Found], filled_s: float) -> list[Row]:
    start, memory = median(one.start_s for one in seen), max(one.memory_gb for one in seen)
    search = median(one.search_ms for one in seen)
    detail = f"the search {search:.1f} ms; filled, laid out and calibrated in {filled_s:.0f} s"
    told = [
        Row(f"identify at {size:,}, ms", median(one.identify_ms for one in seen), "", True, detail),
        Row(f"start at {size:,}, s", start, f"≤ {START_S[size]:g}", start <= START_S[size], f"median of {ROUNDS}"),
        Row(f"memory at {size:,}, GB", memory, f"≤ {MEMORY_GB[size]:g}", memory <= MEMORY_GB[size], "all processes"),
    ]
    if size in SLOWER:
        ratio = median(one.identify_ms / at_first.identify_ms for one, at_first in zip(seen, first, strict=True))
        most = SLOWER[size]
        detail = f"median of {ROUNDS} turns"
        told.append(Row(f"identify at {size:,} / at 1,000", ratio, f"≤ {most}", ratio <= most, detail))
    return told
