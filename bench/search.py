"""Search in 100,000 sightings, held against numpy's exact product over the same vectors, on one thread, in turns of ten.

Three layouts of the engine are measured: flat (every vector compared), codes (2 bits a number scanned, the best compared
whole: what is used at this size) and graph (HNSW). The filter keeps one sighting in ten, by species.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one thread against one thread

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.row import Row
from demo.vectors import Vectors, clustered, queries
from vector_db.open import open_edge
from vector_db.port import NO_FILTER, Facts, Filter, Point, VectorIndex

POINTS, DIMENSION, TOP = 100_000, 512, 10
TIMED, COMPARED = 80, 400
A_TURN = 10  # numpy reads 200 MB a query: after each one, the engine's first search finds its memory cold
RARE = Filter(species="one in ten")
NEVER = 10**9
MOST = {"flat": 1.3, "graph": 0.15}  # codes find everything and are built at once: no time is asked of them
Ids = npt.NDArray[np.int64]  # (queries, TOP)


def rows() -> list[Row]:
    matrix = clustered(POINTS, DIMENSION, seed=0)
    asked = queries(POINTS, DIMENSION, seed=0, asked=COMPARED)
    truth = _exact(matrix, asked)
    flat, _, flat_ms = _layout("flat", matrix, asked, truth, codes_above=NEVER, hnsw_above=NEVER)
    codes, few, _ = _layout("codes", matrix, asked, truth, codes_above=0, hnsw_above=NEVER)
    graph, _, _ = _layout("graph", matrix, asked, truth, codes_above=0, hnsw_above=0)
    return [*flat, *codes, *graph, _filtered(few, flat_ms)]


def _exact(matrix: Vectors, asked: Vectors) -> Ids:
    """The ids of the nearest, best first, by the whole product."""
    scores = asked @ matrix.T
    nearest = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
    order = np.take_along_axis(scores, nearest, axis=1).argsort(axis=1)[:, ::-1]
    return np.asarray(np.take_along_axis(nearest, order, axis=1) + 1, np.int64)


def _layout(
    name: str, matrix: Vectors, asked: Vectors, truth: Ids, *, codes_above: int, hnsw_above: int
) -> tuple[list[Row], float, float]:
    """Its rows, and its filtered and unfiltered times in ms."""
    with tempfile.TemporaryDirectory() as scratch:
        index = open_edge(
            Path(scratch) / "index",
            collection="bench",
            dimension=DIMENSION,
            on_open=lambda _: None,
            codes_above=codes_above,
            hnsw_above=hnsw_above,
        )
        try:
            _fill(index, matrix)
            began = time.perf_counter()
            index.optimise()
            built = time.perf_counter() - began
            later = _found(index, asked[TIMED:])  # and so the engine is warm: its first hundred answers take half as long again
            peer, mine, rare, trip = _in_turns(matrix, index, asked[:TIMED])
            found = np.concatenate([_found(index, asked[:TIMED]), later])
        finally:
            index.close()
    first = float((found[:, 0] == truth[:, 0]).mean())
    recall = float(np.mean([len(set(f) & set(t)) / TOP for f, t in zip(found.tolist(), truth.tolist(), strict=True)]))
    ratio, most = mine / peer, MOST.get(name)
    detail = f"{mine:.2f} ms, {trip:.2f} of it the way to the engine's process, against {peer:.2f} ms; built in {built:.0f} s"
    within = most is None or ratio <= most
    rows = [Row(f"search 100,000, {name} / BLAS exact", ratio, f"≤ {most}" if most else "", within, detail)]
    if name != "flat":
        rows += [
            Row(f"{name}: top-1 equal to exact", first, "≥ .995", first >= 0.995, f"{COMPARED} queries"),
            Row(f"{name}: recall@10", recall, "≥ .97", recall >= 0.97, f"{COMPARED} queries"),
        ]
    return rows, rare, mine


def _found(index: VectorIndex, asked: Vectors) -> Ids:
    return np.array([[neighbour.id for neighbour in index.search(vector, TOP)] for vector in asked], np.int64)


def _fill(index: VectorIndex, matrix: Vectors) -> None:
    for start in range(0, len(matrix), 5000):
        block = enumerate(matrix[start : start + 5000], start=start + 1)
        index.upsert([Point(id, vector, Facts(species="one in ten" if id % 10 == 0 else "other")) for id, vector in block])
    index.flush()


def _in_turns(matrix: Vectors, index: VectorIndex, asked: Vectors) -> tuple[float, float, float, float]:
    """The best of each in ms: numpy's exact search, the engine's, the same with the filter, the way to its process and back.

    The best, since both sides read memory that a machine may share: medians were twice the best, now of one, now of the other.
    """

    def exact(vector: npt.NDArray[np.float32]) -> None:
        scores = matrix @ vector
        np.argpartition(-scores, TOP)[:TOP]

    doings: list[Callable[[npt.NDArray[np.float32]], object]] = [
        exact,
        lambda vector: index.search(vector, TOP, NO_FILTER),
        lambda vector: index.search(vector, TOP, RARE),
        lambda _: list(index.points([NEVER])),
    ]
    spent: list[list[float]] = [[], [], [], []]
    for start in range(0, TIMED, A_TURN):
        for doing, times in zip(doings, spent, strict=True):
            for vector in asked[start : start + A_TURN]:
                began = time.perf_counter()
                doing(vector)
                times.append((time.perf_counter() - began) * 1000)
    peer, mine, rare, trip = (min(times) for times in spent)
    return peer, mine, rare, trip


def _filtered(rare_ms: float, flat_ms: float) -> Row:
    detail = f"{rare_ms:.2f} ms against {flat_ms:.2f} ms"
    return Row("filtered at 10 % / unfiltered flat", rare_ms / flat_ms, "≤ 1", rare_ms <= flat_ms, detail)
