"""A catalogue of 100,000 sightings on the embedded default: to open, to ask, and what it weighs.

The vectors are drawn (five an individual, see `demo.vectors`), the photo that is asked with is a drawn fin; what the
answer is does not matter here. Opening counts from nothing to the first question that could be asked: catalogue, index
compared with it, encoder. Memory is of all processes of one that only asks (PSS where the system tells it).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import psutil

from bench.row import Row
from demo import animals
from demo.filling import fill as fill_with
from demo.vectors import clustered
from indexer.asking import identify_and_keep
from indexer.station import Station, open_station
from matching.identify import QueryPhoto
from settings import ROOT, Settings, read_settings

SIGHTINGS = 100_000
QUESTIONS = 40
STARTS = 5


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        settings = read_settings({}, data_dir=Path(scratch) / "data")
        with open_station(settings) as station:
            fill(station, SIGHTINGS)
            station.index.optimise()
            station.calibration()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:  # filling left its traces in this one
            found = alone.submit(measured, settings).result()
    starts, weight, beyond = found.start_s, found.memory_gb, found.beyond_ms
    stages = f"median of {QUESTIONS}; the search itself {found.search_ms:.1f} ms"
    helped = _help_s()
    return [
        Row("start with 100,000 sightings, s", starts, "≤ 3", starts <= 3, f"median of {STARTS}, catalogue to encoder"),
        Row("memory with 100,000 sightings, GB", weight, "≤ 1", weight <= 1, "all processes, after questions"),
        Row("identify beyond decode, encode and search, ms", beyond, "≤ 3", beyond <= 3, stages),
        Row("flukeprint --help, s", helped, "≤ 0.3", helped <= 0.3, "median of 7 whole processes"),
    ]


def fill(station: Station, sightings: int) -> None:
    """Drawn vectors, five an individual."""
    fill_with(station, clustered(sightings, station.index.dimension, seed=0))


@dataclass(frozen=True, slots=True)
class Found:
    """Medians; memory is the most."""

    start_s: float
    memory_gb: float  # of all processes
    identify_ms: float  # the whole question, kept
    beyond_ms: float  # of it, what is neither decoding, encoding nor searching
    search_ms: float


def measured(settings: Settings, starts_wanted: int = STARTS) -> Found:
    """Of a data folder, in a process that has done nothing else."""
    photo = QueryPhoto("fin.jpg", animals.photo(1, 0))
    starts, beyond, told, wholes = [], [], [], []
    weight = 0.0
    for _ in range(starts_wanted):
        began = time.perf_counter()
        with open_station(settings) as station:
            starts.append(time.perf_counter() - began)
            identify_and_keep(station, [photo], who="bench")
            for _ in range(QUESTIONS // STARTS):
                began = time.perf_counter()
                spent = identify_and_keep(station, [photo], who="bench").timings_ms
                whole = (time.perf_counter() - began) * 1000
                wholes.append(whole)
                beyond.append(whole - spent.decode - spent.encode - spent.search)
                told.append(spent.search)
            weight = max(weight, _memory_gb())
    return Found(median(starts), weight, median(wholes), median(beyond), median(told))


def _memory_gb() -> float:
    me = psutil.Process()
    return sum(_bytes_of(process) for process in [me, *me.children(recursive=True)]) / 1e9


def _bytes_of(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", 0) or full.rss)


def _help_s() -> float:
    spent = []
    for _ in range(7):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cli", "--help"], cwd=ROOT, capture_output=True, check=True)
        spent.append(time.perf_counter() - began)
    return median(spent)
