"""Where an import's rows come from: a folder an individual, or a table with a path and an identity.

Reading is lenient about form (column names and their order, separators, byte-order marks, HappyWhale's spelling) and
strict about sense: a row keeps what was written, and is judged when it is enrolled, so that one bad row is set aside with its
reason and can be mended. What is not readable as a table at all is refused at once.

A row with more cells than headings (a comma in a name, without quotation marks) has shifted: each cell after the comma stands
under another's heading. Such a row carries the whole of what was written, and `flaw` says what is wrong with it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.names import shown, storable
from indexer.errors import TableRefused

PHOTO_ENDINGS = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"}
ALIASES = {
    "path": ("path", "image", "file", "filename", "file_name", "photo", "image_path", "filepath"),
    "identity": ("identity", "individual_id", "individual", "name", "whale_id", "class_animal", "id"),
    "species": ("species",),
    "encounter": ("encounter", "encounter_id", "sighting_event"),
    "date": ("date", "taken_on", "eventdate", "datetime", "timestamp"),
    "lat": ("lat", "latitude", "decimallatitude", "decimal_latitude"),
    "lon": ("lon", "lng", "long", "longitude", "decimallongitude", "decimal_longitude"),
    "viewpoint": ("viewpoint", "view", "side"),
    "box": ("box", "bbox"),
    "as_written": ("as_written",),  # ours: the whole of a row that has shifted
}
NEEDED = ("path", "identity")
MAX_BYTES = 1 << 30  # of a table, which is read as a whole: some ten million rows
SNIFFED = 4096  # bytes that tell whether a file is text
LONG_CELL = 100_000
# Blank lines, and the line by which a spreadsheet is told the separator.
_BEFORE = re.compile(r"""(?:[ \t]*[\r\n])*(?:"?sep=(.)"?[^\r\n]*[\r\n]+(?:[ \t]*[\r\n])*)?""", re.IGNORECASE)
# HappyWhale's train.csv spells two of its species so.
SPECIES_MENDED = {"kiler_whale": "killer_whale", "bottlenose_dolpin": "bottlenose_dolphin"}


@dataclass(frozen=True, slots=True)
class Row:
    number: int  # from 1, as it stands in the source
    given: Mapping[str, str]  # our column names; as written, spaces trimmed

    @property
    def key(self) -> str:
        """The same row read again has the same key; a mended one has another."""
        return hashlib.sha256(json.dumps(dict(self.given), sort_keys=True).encode()).hexdigest()


def read_folder(folder: Path) -> Iterator[Row]:
    """A folder an individual; photos in deeper folders belong to the first one. Hidden files and other kinds are left out."""
    if not folder.is_dir():
        raise TableRefused(
            f"{folder} is no folder: give a folder with one folder of photos for each individual, or a CSV table."
        )
    number = 0
    try:
        for individual in sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
            for photo in sorted(_files_below(individual)):
                if photo.suffix.lower() in PHOTO_ENDINGS and not photo.name.startswith("."):
                    number += 1
                    yield Row(number, {"path": photo.relative_to(folder).as_posix(), "identity": individual.name})
    except OSError as error:
        raise TableRefused(
            f"{error.filename} cannot be read: {error.strerror}. Nothing was imported; change its permissions, or move it away."
        ) from error
    if number == 0:
        raise TableRefused(
            f"{folder} holds no folder with photos: expected {folder.name}/<individual>/<photo>.jpg. "
            "Give the folder above the individuals' folders, or a CSV table with --images."
        )


def _files_below(folder: Path) -> Iterator[Path]:
    """Raises where a folder cannot be read: `rglob` would leave its photos out without a word."""

    def refuse(error: OSError) -> None:
        raise error

    for where, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(where, name) for name in names)


def read_table(table: Path) -> Iterator[Row]:
    """The rows of a CSV (comma, semicolon or tab) whose first line names its columns."""
    yield from rows_of(_read(table), str(table))


def rows_of(raw: bytes, table: str) -> Iterator[Row]:
    """The same of a table's bytes; `table` is what it is called where it is refused."""
    text = _text_of(raw, table)
    if before := _BEFORE.match(text):
        text = text[before.end() :]
    first = text.partition("\n")[0]
    separator = (before and before[1]) or max(",;\t", key=first.count)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # one long cell is one row's fault, not the table's
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = next(lines, [])
        columns = _columns(header, table)
        found = False
        for number, cells in enumerate(lines, start=1):
            if not any(cell.strip() for cell in cells):
                continue
            if any(len(cell) > LONG_CELL and "\n" in cell for cell in cells):
                raise TableRefused(
                    f"{table} has a cell of many lines that ends near line {lines.line_num}: a quotation mark was opened and "
                    "not closed, so that the rows after it cannot be told apart. Close it, or leave it out."
                )
            found = True
            values = {name: cells[at].strip() for name, at in columns.items() if at < len(cells)}
            kept = {name: value for name, value in values.items() if value}
            if any(cell.strip() for cell in cells[len(header) :]):
                kept["as_written"] = _line(cells, separator)
            if "species" in kept:
                kept["species"] = SPECIES_MENDED.get(kept["species"], kept["species"])
            yield Row(number, kept)
    except csv.Error as error:
        raise TableRefused(
            f"{table} cannot be read as a CSV near line {lines.line_num}: {error}. Save it as CSV (UTF-8)."
        ) from error
    if not found:
        raise TableRefused(f"{table} has a heading and no rows: expected a row for each photo.")


def flaw(given: Mapping[str, str]) -> str | None:
    """Why a row cannot be trusted as it was read; None where it can."""
    if "as_written" not in given:
        return None
    return (
        "The row has more cells than there are headings, so that they may stand under the wrong ones: "
        f"{shown(given['as_written'])}. Put quotation marks around a cell that holds a separator; in a CSV of rows set aside, "
        "put each cell under its heading and empty as_written."
    )


def _line(cells: list[str], separator: str) -> str:
    """The cells as one line of the table that they came from."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="").writerow(cells)
    return out.getvalue()


def _columns(header: list[str], table: str) -> dict[str, int]:
    spelled = [name.strip().lower() for name in header]
    columns = {}
    for ours, theirs in ALIASES.items():
        at = next((spelled.index(name) for name in theirs if name in spelled), None)
        if at is not None:
            columns[ours] = at
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise TableRefused(
            f"{table} has the columns {', '.join(header) or '(none)'}, but none for {' and '.join(missing)}: "
            + "; ".join(f"{name} may be called {', '.join(ALIASES[name][:5])}" for name in missing)
            + "."
        )
    return columns


def _read(table: Path) -> bytes:
    try:
        status = table.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe may never end
            raise TableRefused(f"{table} is not a file but a device or pipe: write the table into a file first.")
        if status.st_size > MAX_BYTES:
            raise TableRefused(f"{table} has {status.st_size:,} bytes, more than the {MAX_BYTES:,} of a table: divide it.")
        with table.open("rb") as file:
            start = file.read(SNIFFED)
            _refuse_binary(start, str(table))  # before all of it is read
            return start + file.read(MAX_BYTES)
    except FileNotFoundError:
        raise TableRefused(f"{table} does not exist: give a CSV table, or a folder with one folder an individual.") from None
    except OSError as error:
        raise TableRefused(f"{table} cannot be read: {error.strerror}.") from error


def _refuse_binary(raw: bytes, table: str) -> None:
    if b"\x00" in raw[:SNIFFED]:
        raise TableRefused(f"{table} is no CSV table (it holds binary data): save the sheet as CSV (UTF-8).")


def _text_of(raw: bytes, table: str) -> str:
    _refuse_binary(raw, table)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")  # what spreadsheets on Windows write


def as_csv(rows: Iterator[tuple[Mapping[str, str], str]]) -> str:
    """Set-aside rows with their reasons, in the form that `read_table` reads; a name's undecodable bytes are spelled out."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=[*ALIASES, "reason"], lineterminator="\n")
    writer.writeheader()
    for row, reason in rows:
        writer.writerow({name: storable(value) for name, value in {**row, "reason": reason}.items()})
    return out.getvalue()
