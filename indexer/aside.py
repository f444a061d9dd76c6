"""The rows of an import that could not be enrolled, as a CSV to be mended.

A file that was changed since it was written holds a person's work: it is neither written over nor removed, and the rows
go into another beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from indexer.bulk import set_aside_csv
from indexer.errors import TableRefused
from indexer.station import Station


def refuse_source(source: Path, wanted: Path) -> None:
    """Before an import: its own table is no place for what is left of it."""
    if source.exists() and wanted.exists() and source.samefile(wanted):
        raise TableRefused(f"--set-aside names the table itself, {source}, which would be lost: name another file.")


def put_aside(station: Station, import_id: int, wanted: Path) -> Path | None:
    """Where the rows set aside stand now: `wanted`, or one beside it where that was changed. None where no row is left."""
    text, rows = set_aside_csv(station, import_id).encode(), station.catalogue.import_counts(import_id)["set_aside"]
    fact, new = f"set aside by import {import_id}", hashlib.sha256(text).hexdigest()
    ours = {new, station.catalogue.fact(fact)}
    if rows == 0:
        for old in _there(wanted):
            if _sha256(old) in ours:
                old.unlink()
        station.catalogue.set_fact(fact, None)
        return None
    file = next(one for one in _names(wanted) if not one.is_file() or _sha256(one) in ours)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)
    station.catalogue.set_fact(fact, new)
    return file


def _names(wanted: Path) -> Iterator[Path]:
    """`import-1.csv`, `import-1 (2).csv`, …"""
    yield wanted
    yield from (wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}") for number in count(2))


def _there(wanted: Path) -> Iterator[Path]:
    for name in _names(wanted):
        if not name.is_file():
            return
        yield name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
