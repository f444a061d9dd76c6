"""Enrolling, one photo and many: what the catalogue and the index cost beyond decoding and encoding.

Photos are drawn at about three megapixels, as a field catalogue keeps them reduced. The bulk import is held against the bare
encoder on as many threads, over the same files in the same run: half of them before and half after, since the machine changes
within a minute.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench.row import Row
from demo import animals
from encoder.photo import read_photo
from indexer.bulk import import_rows
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, limits, open_station
from settings import read_settings

PHOTOS = 768
DRAWN = 24  # different drawings; the others are the same with other bytes after the picture's end, which are other photos
SIZE = (2016, 1512)
ROUNDS = 3
SINGLES = 40


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = _photos(folder / "photos")
        shares = [_share(folder / f"data-{turn}", paths) for turn in range(ROUNDS)]
        share = median(share for share, _ in shares)
        beyond, floor = _single(folder / "single", paths[:SINGLES])
    return [
        Row(
            "bulk import / decode + encode alone",
            share,
            "≥ 0.9",
            share >= 0.9,
            f"{median(rate for _, rate in shares):.1f} photos/s of {SIZE[0]} × {SIZE[1]} on all cores, {ROUNDS} rounds",
        ),
        Row(
            "one enrolment beyond decode + encode, ms",
            beyond,
            "≤ 25",
            beyond <= 25,
            f"median of {SINGLES}; two durable writes of 2 kB on this disk take {floor:.1f} ms",
        ),
    ]


def _photos(folder: Path) -> list[Path]:
    """Individuals' folders; the time of drawing is not measured."""
    drawn = [animals.photo(number, 0, size=SIZE) for number in range(DRAWN)]
    paths = []
    for number in range(PHOTOS):
        path = folder / f"W{number % DRAWN}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn[number % DRAWN] + number.to_bytes(4, "big"))
        paths.append(path)
    return paths


def _share(data: Path, paths: list[Path]) -> tuple[float, float]:
    """The import's rate over the bare rate, and the import's rate."""
    settings = read_settings({}, data_dir=data)
    with open_station(settings, streams=settings.streams) as station:
        bare = _bare(station, paths[::2])
        began = time.perf_counter()
        done = import_rows(station, paths[0].parent.parent, who="bench")
        spent = time.perf_counter() - began
        bare += _bare(station, paths[1::2])
    if done.enrolled != len(paths):
        raise RuntimeError(f"{done.enrolled} of {len(paths)} photos were enrolled")
    return bare / spent, len(paths) / spent


def _bare(station: Station, paths: list[Path]) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(station.settings.streams) as pool:
        list(pool.map(lambda path: station.encoder.encode(read_photo(path, limits(station.settings))), paths))
    return time.perf_counter() - began


def _single(data: Path, paths: list[Path]) -> tuple[float, float]:
    beyond = []
    with open_station(read_settings({}, data_dir=data)) as station:
        for path in paths:
            photo = path.read_bytes()
            encoded = station.encoder.encode(photo)
            began = time.perf_counter()
            done = enrol(station, path.parent.name, [Source(path.name, Given(), data=photo + b"x")], who="bench")
            beyond.append((time.perf_counter() - began) * 1000 - encoded.decode_ms - encoded.encode_ms)
            if done.photos[0].state != "enrolled":
                raise RuntimeError(f"{path.name}: {done.photos[0].reason}")
    return median(beyond[5:]), _two_writes(data)


def _two_writes(folder: Path) -> float:
    import os

    spent = []
    for number in range(SINGLES):
        began = time.perf_counter()
        for half in range(2):
            with (folder / f"durable-{number}-{half}").open("wb") as file:
                file.write(bytes(2048))
                file.flush()
                os.fsync(file.fileno())
        spent.append((time.perf_counter() - began) * 1000)
    return median(spent)
