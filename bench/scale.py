"""From a thousand sightings to a million: what a question takes, what a start takes and what it weighs as the catalogue grows.

One data folder, filled further for each size with drawn vectors, and measured in a process of its own. The layout of the index
is what the sizes ask for: every vector, codes, and above 300,000 the graph. Building the graph of a million takes long on few
cores, so that size is measured with BENCH_FULL=1 only.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.catalogue import Found, fill, measured
from bench.row import Row
from indexer.station import open_station
from settings import Settings, read_settings

SIZES = (1_000, 10_000, 100_000)
FULL = 1_000_000
MEMORY_GB = {1_000: 0.5, 10_000: 0.6, 100_000: 1.0, FULL: 6.0}
START_S = {1_000: 1.0, 10_000: 1.0, 100_000: 3.0, FULL: 15.0}
SLOWER = {10_000: 1.25, 100_000: 1.5, FULL: 2.0}  # than at 1,000


def rows() -> list[Row]:
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        settings, there, first_ms = read_settings({}, data_dir=Path(scratch) / "data"), 0, 0.0
        for size in (*SIZES, FULL) if os.environ.get("BENCH_FULL") == "1" else SIZES:
            filled_s = _grow(settings, there, size)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:  # filling left its traces in this one
                seen = alone.submit(measured, settings).result()
            first_ms, there = first_ms or seen.identify_ms, size
            found += _told(size, seen, first_ms, filled_s)
    return found


def _grow(settings: Settings, there: int, size: int) -> float:
    began = time.perf_counter()
    with open_station(settings) as station:
        for start in range(there, size, FULL // 10):  # a million vectors at once would be 2 GB
            fill(station, min(size, start + FULL // 10), there=start)
        station.index.optimise()
        station.calibration()
    return time.perf_counter() - began


def _told(size: int, seen: Found, first_ms: float, filled_s: float) -> list[Row]:
    start, memory = START_S[size], MEMORY_GB[size]
    detail = f"the search {seen.search_ms:.1f} ms; filled, laid out and calibrated in {filled_s:.0f} s"
    told = [
        Row(f"identify at {size:,}, ms", seen.identify_ms, "", True, detail),
        Row(f"start at {size:,}, s", seen.start_s, f"≤ {start:g}", seen.start_s <= start),
        Row(f"memory at {size:,}, GB", seen.memory_gb, f"≤ {memory:g}", seen.memory_gb <= memory, "all processes"),
    ]
    if size in SLOWER:
        ratio, most = seen.identify_ms / first_ms, SLOWER[size]
        told.append(Row(f"identify at {size:,} / at 1,000", ratio, f"≤ {most}", ratio <= most))
    return told
