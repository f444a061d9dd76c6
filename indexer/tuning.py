"""What suits this machine: how many photos at once, on how many threads, in what batches, how long a queue, and from when on a
search graph. Measured with the bundle in use, in rounds in which each way has its turn, and written to `tuned.toml`.

One stream a core, without batches, is right on most processors: another way is taken only where it is faster in every round and
by `MARGIN` in their median, on a machine that others leave alone: more streams win cores from others too, which is no gain. The
queue is as long as the last in it may wait, `PATIENCE` times what one photo takes alone, and no shorter than where nothing was
tuned. The graph is built where scanning would take a quarter of what a photo takes alone.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from encoder.bundle import Bundle
from encoder.encode import Encoder, open_encoder
from encoder.golden import golden_photo
from settings import TUNED_FILE, WAIT_A_CORE, Settings, cores
from vector_db.growth import HNSW_ABOVE
from vector_db.open import open_edge
from vector_db.port import Point

MARGIN = 1.05
MOST = 256  # streams that settings take
BUSY = 0.1  # of the processor that others may have meanwhile
PATIENCE = 4
ROUNDS, ROUND_S = 5, 0.8
SIZES = ((1152, 864), (4032, 3024))  # 1 and 12 megapixels, by turns
POINTS = (20_000, 60_000)  # how a search grows is drawn from these
SEARCHES = 60
SEARCH_SHARE = 0.25  # of a photo's time: what somebody who waits for it begins to notice
HNSW_LEAST, HNSW_MOST = 50_000, 2_000_000
Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to encode."""

    streams: int
    threads: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Tried:
    way: Way
    per_s: float  # photos, median of the rounds
    ratio: float  # to one stream a core, median of the rounds
    least: float  # of those ratios


@dataclass(frozen=True, slots=True)
class Tuned:
    cores: int
    way: Way
    queue: int
    hnsw_above: int | None  # None: not measured, because a Qdrant server decides it
    tried: tuple[Tried, ...]
    others: float | None  # share of the processor that they had meanwhile; None: not told here
    alone_ms: float  # one photo, with nothing beside it
    reason: str

    def as_toml(self) -> str:
        said = {"cores": self.cores, **asdict(self.way), "queue": self.queue, "hnsw_above": self.hnsw_above}
        return "".join(f"{name} = {value}\n" for name, value in said.items() if value is not None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def ways(there: int) -> list[Way]:
    """What is tried with so many cores, one stream a core first."""
    streams = [Way(there), Way(max(1, there // 2)), Way(min(there + 1, MOST)), Way(min(2 * there, MOST))]
    wide = [Way(1, there), Way(2, max(1, there // 2))]
    batches = [Way(max(batch, there), there, batch) for batch in (4, 16)]
    return list(dict.fromkeys([*streams, *wide, *batches]))


def tuned(bundle: Bundle, settings: Settings, tick: Tick = lambda *_: None) -> Tuned:
    there = cores()
    with _others() as others:
        tried = _tried(bundle, settings, ways(there), photos(), tick)
    usual, busy = tried[0], others() or 0.0
    best = max(tried[1:] or tried, key=lambda one: one.ratio)
    faster = [one for one in tried if one.ratio > MARGIN and one.least > 1]
    chosen = max(faster, key=lambda one: one.ratio) if faster and busy <= BUSY else usual
    with _opened(bundle, settings, chosen.way) as encoder:
        alone_s = _alone(encoder, photos())
    hnsw_above = None if settings.qdrant_url else scan_limit(bundle.dimension, alone_s)
    if busy > BUSY:
        reason = (
            f"One stream a core stays: others had {busy:.0%} of this machine meanwhile. Tune again when it does nothing else."
        )
    elif chosen is usual:
        reason = f"One stream a core stays: the best other way was {best.ratio:.2f} times as fast, and {best.least:.2f} in its "
        reason += f"slowest round; it takes {MARGIN}, and more than 1 in each."
    else:
        reason = f"{chosen.ratio:.2f} times as fast as one stream a core."
    queue = queue_of(chosen.per_s, alone_s, chosen.way.streams, there)
    return Tuned(there, chosen.way, queue, hnsw_above, tried, others(), alone_s * 1000, reason)


def queue_of(per_s: float, alone_s: float, streams: int, there: int) -> int:
    """Places behind those at work, so that the last to come in has its answer after `PATIENCE` times one photo's own time; as
    many as come at once, by chance, at half the load, in any case.

    >>> queue_of(per_s=60, alone_s=0.1, streams=2, there=2)
    22
    """
    return max(WAIT_A_CORE * there, round(PATIENCE * alone_s * per_s) - streams)


def write_tuned(found: Tuned, data_dir: Path) -> None:
    """In one step: who reads it meanwhile sees the old or the new."""
    head = f"# Measured by `flukeprint tune` on {datetime.now(UTC):%Y-%m-%d}, for this machine. The environment wins.\n"
    written = data_dir / f"{TUNED_FILE}.part"
    written.write_text(head + found.as_toml(), "utf-8")
    written.replace(data_dir / TUNED_FILE)


def photos() -> list[bytes]:
    """Drawn, with a camera's grain, of both sizes."""
    found, random = list[bytes](), np.random.default_rng(0)
    for width, height in SIZES:
        pixels = cv2.resize(golden_photo(1), (width, height), interpolation=cv2.INTER_CUBIC)
        grain = random.integers(-10, 11, pixels.shape, dtype=np.int16)
        found.append(cv2.imencode(".jpg", (pixels + grain).clip(0, 255).astype(np.uint8))[1].tobytes())
    return found


def _tried(bundle: Bundle, settings: Settings, all_ways: Sequence[Way], some: Sequence[bytes], tick: Tick) -> tuple[Tried, ...]:
    """By turns, so that a moment in which the machine does other work falls on all of them alike."""
    rates: list[list[float]] = []
    for turn in range(ROUNDS):
        rates.append([])
        for number, way in enumerate(all_ways):
            with _opened(bundle, settings, way) as encoder:
                rates[-1].append(_rate(encoder, way.streams, some))
            tick(turn * len(all_ways) + number + 1, ROUNDS * len(all_ways))
    found = []
    for at, way in enumerate(all_ways):
        ratios = [row[at] / row[0] for row in rates]
        found.append(Tried(way, median(row[at] for row in rates), median(ratios), min(ratios)))
    return tuple(found)


@contextmanager
def _others() -> Iterator[Callable[[], float | None]]:
    """What share of the processor this process did not have while it lasted, and did not leave idle either."""
    began, own, busy = time.perf_counter(), time.process_time(), _busy_s()
    share: float | None = None
    yield lambda: share
    if busy is not None and (now := _busy_s()) is not None:
        share = (
            None
            if now == busy
            else max(0.0, (now - busy - (time.process_time() - own)) / (cores() * (time.perf_counter() - began)))
        )


def _busy_s() -> float | None:
    """Seconds in which the cores that this process may use were at work, or taken away by a host; None where nothing tells."""
    try:
        lines = Path("/proc/stat").read_text("ascii").splitlines()
        mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        told = [[int(ticks) for ticks in line.split()[1:9]] for line in lines if line.split(" ")[0] in mine]
        if len(told) < len(mine):
            return None
        return sum(sum(ticks) - ticks[3] - ticks[4] for ticks in told) / os.sysconf(
            "SC_CLK_TCK"
        )  # less idle, less waiting for disks
    except (OSError, ValueError, IndexError, AttributeError):
        return None


@contextmanager
def _opened(bundle: Bundle, settings: Settings, way: Way) -> Iterator[Encoder]:
    encoder = open_encoder(bundle.folder, runtime=settings.runtime, streams=way.streams, threads=way.threads, batch=way.batch)
    try:
        yield encoder
    finally:
        encoder.close()


def _rate(encoder: Encoder, streams: int, some: Sequence[bytes]) -> float:
    """Photos a second while so many callers ask without a pause."""
    number, until = count(), time.perf_counter() + ROUND_S

    def ask() -> int:
        done = 0
        while not done or time.perf_counter() < until:  # one at least, however busy the machine is
            encoder.encode(some[next(number) % len(some)])
            done += 1
        return done

    encoder.encode(some[0])  # the first run of a session is slow
    began = time.perf_counter()
    until = began + ROUND_S
    with ThreadPoolExecutor(streams) as pool:
        done = sum(one.result() for one in [pool.submit(ask) for _ in range(streams)])
    return done / (time.perf_counter() - began)


def _alone(encoder: Encoder, some: Sequence[bytes]) -> float:
    """Seconds that a photo takes with nothing beside it, the mean over the sizes of the best of ten each."""
    best = []
    for photo in some:
        spent = []
        for _ in range(10):
            began = time.perf_counter()
            encoder.encode(photo)
            spent.append(time.perf_counter() - began)
        best.append(min(spent))
    return sum(best) / len(best)


def scan_limit(dimension: int, alone_s: float) -> int:
    """From how many sightings on scanning all codes takes its share of a photo's time, by a line through two sizes."""
    random = np.random.default_rng(0)
    spent = []
    with tempfile.TemporaryDirectory(prefix="flukeprint-") as scratch:
        index = open_edge(
            Path(scratch) / "index",
            collection="tune",
            dimension=dimension,
            on_open=lambda _: None,
            codes_above=0,
            hnsw_above=10 * HNSW_MOST,
        )
        try:
            there = 0
            for points in POINTS:
                while there < points:
                    drawn = random.standard_normal((5_000, dimension), dtype=np.float32)
                    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
                    index.upsert([Point(there + at, vector) for at, vector in enumerate(drawn, start=1)])
                    there += len(drawn)
                index.flush()
                index.optimise()
                times = []
                for vector in drawn[:SEARCHES]:
                    began = time.perf_counter()
                    index.search(vector, 10)
                    times.append(time.perf_counter() - began)
                spent.append(min(times))  # what it takes where nothing is in the way; medians bend the line
        finally:
            index.close()
    return limit_of(spent[0], spent[1], SEARCH_SHARE * alone_s)


def limit_of(first_s: float, second_s: float, bound_s: float) -> int:
    """
    >>> limit_of(first_s=0.001, second_s=0.002, bound_s=0.021)
    820000
    """
    slope = (second_s - first_s) / (POINTS[1] - POINTS[0])
    if slope <= 0:  # too noisy to tell
        return HNSW_ABOVE
    limit = POINTS[0] + (bound_s - first_s) / slope
    return int(min(HNSW_MOST, max(HNSW_LEAST, round(limit, -4))))
