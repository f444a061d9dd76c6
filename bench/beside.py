"""Our service beside the obvious build of one, `bench/obvious/app.py`: the same requests in turns in one run, as they scale.

Both run at once, each asked by itself, in turns, by as many clients as keep all cores busy; throughput is compared turn by
turn. Both are told which bundle's weights to use; on the same tensor their vectors are alike, and what they decode and scale
differs a little.
"""

from __future__ import annotations

import http.client
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.row import Row
from demo import animals
from demo.filling import fill
from demo.vectors import AN_INDIVIDUAL, Vectors, clustered
from indexer.station import open_station
from settings import PREFIX, ROOT, read_settings

SIZES = ((1_000, 2.5), (10_000, 2.5), (50_000, 5.0))  # sightings, and how often the obvious build's throughput is wanted
MEGAPIXEL = (1152, 864)
PHOTOS, CLIENTS, TURNS, A_TURN_S = 8, 4, 3, 6.0
STARTS_WITHIN_S = 180
WEIGHTS = ROOT / "bundles" / "starter-lite0"  # of both; a plain network that an afternoon's build could have
OURS = {f"{PREFIX}BUNDLE": str(WEIGHTS), f"{PREFIX}REQUESTS_PER_MINUTE": "0"}
BOUNDARY = "bench"


def rows() -> Iterator[Row]:
    photos = [animals.photo(number, 5, size=MEGAPIXEL) for number in range(PHOTOS)]
    for sightings, wanted in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            matrix = _ours(folder / "ours", sightings)
            _store(folder / "obvious", matrix)
            with (
                _serving(_flukeprint(folder / "ours"), folder) as ours,
                _serving(_obvious(folder / "obvious"), folder) as theirs,
            ):
                turns = [(_rate(ours, photos), _rate(theirs, photos)) for _ in range(TURNS)]
        ratio = median(mine / peer for mine, peer in turns)
        told = ", ".join(f"{mine:.1f}/{peer:.1f}" for mine, peer in turns)
        yield Row(
            f"identify a second / the obvious build's, {sightings:,} sightings",
            ratio,
            f"≥ {wanted}",
            ratio >= wanted,
            f"{told} a second, {WEIGHTS.name}, 1 megapixel, {CLIENTS} clients",
        )


def _ours(data: Path, sightings: int) -> Vectors:
    with open_station(read_settings(OURS, data_dir=data)) as station:
        matrix = clustered(sightings, station.index.dimension, seed=0)
        fill(station, matrix)
        station.index.optimise()
        station.calibration()
    return matrix


def _store(folder: Path, matrix: Vectors) -> None:
    """Local mode's own file, in one transaction: by its `upsert` 50,000 points take two minutes, which is not what is asked."""
    from qdrant_client import QdrantClient, models
    from qdrant_client.local.persistence import CollectionPersistence

    client = QdrantClient(path=str(folder))
    config = models.VectorParams(size=matrix.shape[1], distance=models.Distance.COSINE)
    client.create_collection("sightings", vectors_config=config)
    client.close()
    (file,) = folder.rglob("storage.sqlite")
    with closing(sqlite3.connect(file)) as storage, storage:
        storage.executemany(
            "INSERT INTO points VALUES (?, ?)",
            (
                (
                    CollectionPersistence.encode_key(number),
                    pickle.dumps(
                        models.PointStruct(
                            id=number, vector=row.tolist(), payload={"individual": f"D{number // AN_INDIVIDUAL}"}
                        )
                    ),
                )
                for number, row in enumerate(matrix)
            ),
        )
    storage.close()


def _flukeprint(data: Path) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", "127.0.0.1", "--port", "0", "--data-dir", str(data)]
    return command, OURS


def _obvious(store: Path) -> tuple[list[str], dict[str, str]]:
    app = ["--app-dir", str(ROOT / "bench" / "obvious"), "app:app"]
    told = {"OBVIOUS_STORE": str(store), "OBVIOUS_BUNDLE": str(WEIGHTS), "PYTHONPATH": str(ROOT)}
    return [sys.executable, "-m", "uvicorn", *app, "--port", "0"], told


@contextmanager
def _serving(started: tuple[list[str], dict[str, str]], folder: Path) -> Iterator[str]:
    command, more = started
    environ = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)} | more
    log = folder / f"{len(command)}.txt"
    with log.open("w") as written:
        child = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=written, stderr=written)
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while "http://127.0.0.1:" not in log.read_text("utf-8"):
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[1:3]} did not start: {log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)
        yield "http://127.0.0.1:" + log.read_text("utf-8").split("http://127.0.0.1:")[1].split()[0]
    finally:
        child.terminate()
        child.wait()


def _rate(url: str, photos: Sequence[bytes]) -> float:
    """Answers a second, once each client has had one."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda client: _asked(url, photos, client, until=0.0), range(CLIENTS)))
        began = time.monotonic()
        answered = pool.map(lambda client: _asked(url, photos, client, until=began + A_TURN_S), range(CLIENTS))
        return sum(answered) / A_TURN_S


def _asked(url: str, photos: Sequence[bytes], client: int, until: float) -> int:
    """At least once; those that were answered in time are counted."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    count, number = 0, client
    while True:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        body = head.encode() + photos[number % len(photos)] + f"\r\n--{BOUNDARY}--\r\n".encode()
        connection.request("POST", "/v1/identify", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        said = connection.getresponse()
        text = said.read()
        if said.status != 200:
            raise RuntimeError(f"{url} answered {said.status}: {text[:500]!r}")
        if time.monotonic() > until:
            connection.close()
            return count
        count, number = count + 1, number + CLIENTS
