"""A bundle, two tables and a folder of photos to figures: what `flukeprint evaluate` does.

Photos go through serving's own encoder, so what is measured is what will be served. A photo that serving refuses is set aside
and counted; it never stops the rest.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from encoder.encode import Encoder
from encoder.errors import PhotoRefused
from encoder.photo import read_photo
from encoder.values import DEFAULT_LIMITS, Limits, Pixels
from matching.calibration import Calibration

from .answers import Labelled
from .corruptions import CORRUPTIONS, STRENGTHS, Corruption
from .errors import EvaluationRefused
from .evaluate import figures
from .rows import Row, Table
from .targets import targets
from .validate import read_crop

Tick = Callable[[], None]
SHOWN = 3
MIDDLE = 1  # of the strengths: the one that figures are compared at


@dataclass(frozen=True, slots=True)
class SetAside:
    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    figures: dict[str, Any]
    gallery: Labelled
    query: Labelled
    set_aside: tuple[SetAside, ...]
    limits: Limits = DEFAULT_LIMITS  # of the photos that were taken


def judge(
    encoder: Encoder,
    gallery: Table,
    query: Table,
    images: Path,
    *,
    robustness: bool = False,
    seed: int = 0,
    threads: int = 1,
    tick: Tick = lambda: None,
) -> Judged:
    """`robustness` encodes every query once more for each corruption: 7 in their middle strength. `threads` are best as many as
    the encoder has streams. Rows that the tables could not give are counted among those that were set aside."""
    began = time.perf_counter()
    known, refused_known = encode_rows(encoder, gallery.rows, images, tick, threads=threads)
    _refuse_none("gallery", known, refused_known, images)
    asked, refused_asked = encode_rows(encoder, query.rows, images, tick, threads=threads)
    _refuse_none("query", asked, refused_asked, images)
    unread = {(table.source, f.line, f.path) for table in (gallery, query) for f in table.findings if f.severity == "error"}
    encoded = len(known.rows) + len(asked.rows)
    rate = encoded / (time.perf_counter() - began)
    own = encoder.bundle.calibration
    made = figures(known, asked, seed=seed, shipped=Calibration.from_json(own) if own is not None else None)
    made |= {
        "bundle": encoder.bundle_id,
        "photos_per_s": round(rate, 2),
        "peak_memory_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3), 1
        ),
        "set_aside": len(refused_known) + len(refused_asked) + len(unread),
    }
    if robustness:
        made["robustness"] = measure_robustness(encoder, known, asked, images, made, threads=threads, tick=tick)
    made["targets"] = targets(made)
    return Judged(made, known, asked, (*refused_known, *refused_asked), encoder.limits)


def encode_rows(
    encoder: Encoder,
    rows: Sequence[Row],
    images: Path,
    tick: Tick = lambda: None,
    change: Callable[[Row, Pixels], Pixels] | None = None,
    *,
    threads: int = 1,
) -> tuple[Labelled, tuple[SetAside, ...]]:
    """The rows that serving takes, with their vectors; `change` is done to a photo's pixels first."""

    bytes_of: dict[str, str] = {}

    def look(row: Row) -> npt.NDArray[np.float32] | SetAside:
        try:
            data, box = read_photo(images / row.path, encoder.limits), row.box
            bytes_of[row.path] = hashlib.sha256(data).hexdigest()
            if change is not None:
                pixels = change(row, read_crop(data, box, encoder.limits))
                data, box = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes(), None
            return encoder.encode(data, box).vector
        except PhotoRefused as error:
            return SetAside(row, str(error))

    kept: list[Row] = []
    vectors: list[npt.NDArray[np.float32]] = []
    refused: list[SetAside] = []
    with ThreadPoolExecutor(threads) as pool:
        for row, seen in zip(rows, pool.map(look, rows), strict=True):
            if isinstance(seen, SetAside):
                refused.append(seen)
            else:
                kept.append(row)
                vectors.append(seen)
            tick()
    made = np.array(vectors, np.float32).reshape(len(kept), encoder.bundle.dimension)
    return Labelled(tuple(kept), made, bytes_of), tuple(refused)


def _refuse_none(which: str, kept: Labelled, refused: Sequence[SetAside], images: Path) -> None:
    """Where no photo can be read it is the folder that is wrong, and not the photos."""
    if refused and not kept.rows:
        reasons = "; ".join(f"{one.row.path}: {one.reason.rstrip('.')}" for one in refused[:SHOWN])
        raise EvaluationRefused(
            f"None of the {len(refused)} photos of the {which} can be used: expected them below {images}. First: {reasons}. "
            "See whether --images is the folder that the table's paths begin at."
        )


def measure_robustness(
    encoder: Encoder,
    gallery: Labelled,
    query: Labelled,
    images: Path,
    plain: dict[str, Any],
    *,
    threads: int = 1,
    tick: Tick = lambda: None,
) -> dict[str, Any]:
    """Top-1 of damaged queries against the sound gallery, and the relative drop from `plain`: what is refused is a miss."""
    made: dict[str, Any] = {}
    for name, corruption in CORRUPTIONS.items():
        damaged, refused = encode_rows(encoder, query.rows, images, tick, damage(corruption, MIDDLE), threads=threads)
        found = figures(gallery, damaged, rounds=1) if damaged.rows else {"top1": 0.0, "n_known": 0}
        top1 = (found["top1"] or 0.0) * found["n_known"] / plain["n_known"] if plain["n_known"] else None
        drop = None if top1 is None or not plain["top1"] else 1 - top1 / plain["top1"]
        made[name] = {STRENGTHS[MIDDLE]: {"n": len(query.rows), "refused": len(refused), "top1": top1, "drop": drop}}
    return made


def damage(corruption: Corruption, strength: int) -> Callable[[Row, Pixels], Pixels]:
    """Each photo by randomness of its own, so that the order of rows decides nothing."""

    def change(row: Row, pixels: Pixels) -> Pixels:
        return corruption(pixels, strength, np.random.default_rng(list(row.path.encode())))

    return change
