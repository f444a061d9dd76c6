"""What is wrong with labelled photos, by row, before hours of training are spent on them.

Errors are what cannot be trained on or would poison the figures; warnings are for a person to judge. Every photo is read
once, through the decoder that serving uses: what serving refuses, training must not learn from.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from encoder.errors import EncoderError
from encoder.header import read_header
from encoder.photo import check_box, decode, read_photo, whole
from encoder.quality import measure, refuse_flat, refuse_tiny
from encoder.values import DEFAULT_LIMITS, Box, Limits, Pixels

from .answers import overlap
from .errors import DataRefused
from .rows import NEW, Finding, Row, Table

ONE_PLACE = 0.8  # of what two boxes cover together, shared: two animals side by side share less
NEAR_BITS = 6  # of 256: a photo saved again differs in 0-4, the next frame of a burst in 20 or more
SHOWN = 5


def validate(
    table: Table, images: Path, *, today: date | None = None, tick: Callable[[], None] = lambda: None
) -> tuple[Finding, ...]:
    """All findings, in the order of rows. `tick` is called once a photo."""
    found = [*table.findings, *_labels(table.rows, today), *_placed_twice(table.rows)]
    readable: list[Row] = []
    digests: list[str] = []
    hashes: list[npt.NDArray[np.uint64]] = []
    for row in table.rows:
        try:
            data = read_photo(images / row.path)
            pixels = read_crop(data, row.box)
        except EncoderError as error:
            kind = "".join("-" + c.lower() if c.isupper() else c for c in type(error).__name__).lstrip("-")
            found.append(_error(kind, row, str(error)))
        else:
            readable.append(row)
            digests.append(hashlib.sha256(data).hexdigest() + str(row.box))
            hashes.append(difference_hash(pixels))
        tick()
    found += _same_bytes(readable, digests)
    found += _near(readable, digests, hashes)
    return tuple(sorted(found, key=lambda f: (f.line, f.severity, f.kind)))


def read_crop(data: bytes, box: Box | None, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """The row's pixels, refused for all that serving refuses."""
    header = read_header(data, limits)
    crop = whole(header) if box is None else box
    check_box(crop, header)
    refuse_tiny(crop.width, crop.height)
    pixels = decode(data, header, crop)
    refuse_flat(measure(pixels))
    return pixels


def refuse_errors(findings: Iterable[Finding], saved: Path | None = None) -> None:
    """`saved` is the file where all of them stand."""
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        shown = "; ".join(
            str(f).rstrip(".") for f in errors[:SHOWN]
        )  # on one line, since a screen is shown control characters spelled out
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        where = f" All stand in {saved}." if saved else ""
        raise DataRefused(f"{len(errors)} rows must be mended or left out first: {shown}{more}.{where}")


def save_findings(findings: Sequence[Finding], target: Path) -> Path | None:
    """All of them as a table, a row each; what an earlier look found is replaced. None where there are none."""
    if not findings:
        target.unlink(missing_ok=True)
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f.name for f in fields(Finding)])
        writer.writerows(astuple(f) for f in findings)
    return target


def difference_hash(pixels: Pixels) -> npt.NDArray[np.uint64]:
    """(4,) uint64: whether each of 16 x 16 cells is brighter than its right neighbour. Survives scaling and JPEG."""
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (17, 16), interpolation=cv2.INTER_AREA)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).view(np.uint64)


def _labels(rows: Sequence[Row], today: date | None) -> Iterator[Finding]:
    of: dict[str, list[Row]] = defaultdict(list)
    owners: dict[str, set[str]] = defaultdict(set)
    dates: dict[tuple[str, str], set[date]] = defaultdict(set)
    for row in rows:
        of[row.identity].append(row)
        if row.encounter is not None:
            owners[row.encounter].add(row.identity)
            if row.date is not None:
                dates[row.identity, row.encounter].add(row.date)
        if today is not None and row.date is not None and row.date > today:
            yield _error("future", row, f"the date {row.date} has not come yet")
    named = of.keys() - {NEW}
    if rows and len(named) < 2:
        said = (
            f"all photos that have a name are of {next(iter(named))}" if named else f"all photos are {NEW}, so none has a name"
        )
        yield _error("one-individual", rows[0], f"{said}: there is nothing to tell apart, which takes two individuals")
    for identity, group in of.items():
        if identity == NEW:
            yield _warning(
                "unnamed", group[0], f"{len(group)} photos are {NEW}: they serve as unknown queries, never as a class"
            )
        elif len(group) == 1:
            yield _warning("single", group[0], f"{identity} has one photo: it can be told from others, but not found again")
    for (identity, encounter), days in dates.items():
        if len(days) > 1:
            row = next(r for r in of[identity] if r.encounter == encounter)
            yield _warning(
                "long-encounter", row, f"encounter {encounter} of {identity} spans {len(days)} dates: is it one occasion?"
            )


def _placed_twice(rows: Sequence[Row]) -> Iterator[Finding]:
    placed: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        same = next((one for one in placed[row.path] if one.box == row.box), None)
        other = next((one for one in placed[row.path] if one.identity != row.identity and _is_one_place(one, row)), None)
        if other is not None:
            wrong = "one of them is wrong" if other.box == row.box else "one of them is wrong, or lacks a box of its own"
            yield _error("two-individuals", row, f"is {row.identity} here and {other.identity} on line {other.line}; {wrong}")
        elif same is not None:
            yield _warning("repeated", row, f"the same photo and box as line {same.line}; it would count twice")
        if same is None:
            placed[row.path].append(row)


def _is_one_place(one: Row, other: Row) -> bool:
    """A photo without a box is all in it."""
    return overlap(one.box, other.box) > ONE_PLACE


def _same_bytes(rows: Sequence[Row], digests: Sequence[str]) -> Iterator[Finding]:
    first: dict[str, Row] = {}
    for row, digest in zip(rows, digests, strict=True):
        other = first.setdefault(digest, row)
        if other.path != row.path and other.identity != row.identity:
            said = f"the same bytes as {other.path} (line {other.line}), which is {other.identity} where this is {row.identity}"
            yield _error("same-bytes", row, said)
        elif other.path != row.path:
            yield _warning("copy", row, f"a copy of {other.path} (line {other.line})")


def _near(rows: Sequence[Row], digests: Sequence[str], hashes: Sequence[npt.NDArray[np.uint64]]) -> Iterator[Finding]:
    if not rows:
        return
    bits = np.stack(hashes)  # (n, 4) uint64
    for index, row in enumerate(rows):
        apart = np.bitwise_count(bits[:index] ^ bits[index]).sum(axis=1, dtype=np.int64)
        for before in np.flatnonzero(apart <= NEAR_BITS).tolist():
            other = rows[before]
            if other.identity != row.identity and other.path != row.path and digests[before] != digests[index]:
                said = f"nearly the same as {other.path} (line {other.line}): {other.identity} there, {row.identity} here"
                yield _warning("near-duplicate", row, said)
                break


def _error(kind: str, row: Row, message: str) -> Finding:
    return Finding("error", kind, row.line, row.path, message)


def _warning(kind: str, row: Row, message: str) -> Finding:
    return Finding("warning", kind, row.line, row.path, message)
