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
    """Before an import: neither its own table nor a folder is a place for what is left of it."""
    if wanted.is_dir():
        raise TableRefused(f"--set-aside names {wanted}, which is a folder: name the file that the rows shall go to.")
    if source.exists() and wanted.exists() and source.samefile(wanted):
        raise TableRefused(f"--set-aside names the table itself, {source}, which would be lost: name another file.")


def put_aside(station: Station, import_id: int, wanted: Path, separator: str = ",") -> Path | None:
    """Where the rows set aside stand now: `wanted`, or one beside it where that was changed. None where no row is left."""
    rows = station.catalogue.imports.counts(import_id)["set_aside"]
    text = set_aside_csv(station, import_id, separator).encode("utf-8-sig")  # by whose mark spreadsheets know the letters
    fact, new = f"set aside by import {import_id}", hashlib.sha256(text).hexdigest()
    before = station.catalogue.fact(fact)
    ours = {new, *(before or "").split()}
    if rows == 0:
        for old in _there(wanted):
            if _sha256(old) in ours:
                old.unlink()
        station.catalogue.set_fact(fact, None)
        return None
    file = next(one for one in _names(wanted) if not one.is_file() or _sha256(one) in ours)
    file.parent.mkdir(parents=True, exist_ok=True)
    station.catalogue.set_fact(fact, " ".join(sorted(ours)))  # whichever of them lies there, if this ends here
    _write_whole(file.resolve(), text)
    station.catalogue.set_fact(fact, new)
    return file


def _write_whole(file: Path, text: bytes) -> None:
    """Or not at all: one that was cut short would be taken for a person's work."""
    if file.exists() and not file.is_file():  # a device or pipe, which nothing may take the place of
        file.write_bytes(text)
        return
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.write_bytes(text)
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


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
