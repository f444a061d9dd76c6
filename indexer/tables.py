"""Where an import's rows come from: a folder an individual, or a table with a path and an identity.

Reading is lenient about form (column names and their order, separators, byte-order marks, HappyWhale's spelling) and
strict about sense: a row keeps what was written, and is judged when it is enrolled, so that one bad row is set aside with its
reason and can be mended. What is not readable as a table at all is refused at once.

What is passed over is told: columns that have no known name, photos that lie beside the folders, kinds that are not read.

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
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from catalog.names import shown, storable
from encoder.kinds import is_hidden, is_read, is_unread
from indexer.errors import TableRefused
from indexer.headings import ALIASES, SPECIES_MENDED, UNNAMED, column_of, may_be_called, plain

COLUMNS = (*ALIASES, "as_written")  # the last is ours: the whole of a row that has shifted
SELDOM = ("box", "as_written")  # nobody misses them
OURS = ("row", "reason")  # of a CSV of rows set aside: for whoever mends it, and read by nobody
NEEDED = ("path", "identity")
MAX_BYTES = 1 << 30  # of a table, which is read as a whole: some ten million rows
SNIFFED = 4096  # bytes that tell whether a file is text
LONG_CELL = 100_000
_END = "\x03the end\x03"  # a line after the last, which a quotation mark that was left open takes in
# Blank lines, and the line by which a spreadsheet is told the separator.
_BEFORE = re.compile(r"""(?:[ \t]*[\r\n])*(?:"?sep=(.)"?[^\r\n]*[\r\n]+(?:[ \t]*[\r\n])*)?""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    number: int  # from 1, as it stands in the source
    given: Mapping[str, str]  # our column names; as written, spaces trimmed

    @property
    def key(self) -> str:
        """The same row read again has the same key; a mended one has another."""
        return hashlib.sha256(json.dumps(dict(self.given), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Photos of a folder that no row names."""

    kinds: Mapping[str, int] = field(default_factory=dict)  # endings that are not read
    loose: int = 0  # beside the folders
    linked_folders: int = 0  # deeper down, where a link could lead in a circle

    def __str__(self) -> str:
        """
        >>> str(LeftOut({".heic": 2}, loose=1))
        '2 .heic (save as JPEG); 1 photo beside the folders'
        """
        kinds = ", ".join(f"{count} {ending}" for ending, count in sorted(self.kinds.items()))
        parts = [f"{kinds} (save as JPEG)"] if kinds else []
        if self.loose:
            parts.append(f"{self.loose} {'photo' if self.loose == 1 else 'photos'} beside the folders")
        if self.linked_folders:
            parts.append(f"{self.linked_folders} linked {'folder' if self.linked_folders == 1 else 'folders'}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Read:
    """A source's rows, and what it has beside them."""

    rows: tuple[Row, ...]
    separator: str = ","
    columns_left_out: tuple[str, ...] = ()  # headings that are not known, or beside which another was read, as written
    columns_lacking: tuple[str, ...] = ()  # what no column says, by our names
    left_out: LeftOut = LeftOut()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def read_source(source: Path) -> Read:
    return read_folder(source) if source.is_dir() else read_table(source)


def read_folder(folder: Path) -> Read:
    """A folder an individual; photos in deeper folders belong to the first one. What is hidden is left out without a word."""
    if not folder.is_dir():
        raise TableRefused(
            f"{folder} is no folder: give a folder with one folder of photos for each individual, or a CSV table."
        )
    rows: list[Row] = []
    kinds, loose, linked = Counter[str](), 0, 0
    try:
        inside = sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
        loose = sum(is_read(entry) for entry in inside if entry.is_file())
        kinds.update(entry.suffix.lower() for entry in inside if entry.is_file() and is_unread(entry))
        for individual in (entry for entry in inside if entry.is_dir()):
            photos, links = _below(individual)
            linked += links
            kinds.update(photo.suffix.lower() for photo in photos if is_unread(photo))
            for photo in sorted(filter(is_read, photos)):
                rows.append(Row(len(rows) + 1, {"path": photo.relative_to(folder).as_posix(), "identity": individual.name}))
    except OSError as error:
        raise TableRefused(
            f"{error.filename} cannot be read: {error.strerror}. Nothing was imported; change its permissions, or move it away."
        ) from error
    left_out = LeftOut(dict(sorted(kinds.items())), loose, linked)
    if not rows:
        there = f" It has {left_out}." if str(left_out) else ""
        raise TableRefused(
            f"{folder} holds no folder with photos: expected {folder.name}/<individual>/<photo>.jpg. "
            f"Give the folder above the individuals' folders, or a CSV table with --images.{there}"
        )
    return Read(tuple(rows), left_out=left_out)


def _below(folder: Path) -> tuple[list[Path], int]:
    """Its files, and how many linked folders are not followed. Raises where a folder cannot be read: `rglob` would leave its
    photos out without a word."""

    def refuse(error: OSError) -> None:
        raise error

    files, links = list[Path](), 0
    for where, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not is_hidden(name)]
        links += sum(Path(where, name).is_symlink() for name in below)
        files += (Path(where, name) for name in names if not is_hidden(name))
    return files, links


def read_table(table: Path) -> Read:
    """The rows of a CSV (comma, semicolon or tab) whose first line names its columns."""
    return rows_of(_read(table), str(table))


def rows_of(raw: bytes, table: str) -> Read:
    """The same of a table's bytes; `table` is what it is called where it is refused."""
    text = _text_of(raw, table)
    if before := _BEFORE.match(text):
        text = text[before.end() :]
    first = text.partition("\n")[0]
    separator = (before and before[1]) or max(",;\t", key=first.count)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # one long cell is one row's fault, not the table's
    lines = csv.reader(chain(io.StringIO(text, newline=""), (_END,)), delimiter=separator)
    rows: list[Row] = []
    try:
        header = next(lines, [])
        columns, ends = _columns(header, table), lines.line_num
        for number, cells in enumerate(lines, start=1):
            begins, ends = ends + 1, lines.line_num
            if cells == [_END] or not any(cell.strip() for cell in cells):
                continue
            if any("\n" in cell or _END in cell for cell in cells) and _swallows(cells, columns["path"], separator):
                raise TableRefused(
                    f"{table}, in the row of line {begins}: a quotation mark was opened and not closed, so that the rows after "
                    "it cannot be told apart. Close it, or leave it out."
                )
            values = {name: cells[at].strip() for name, at in columns.items() if at < len(cells)}
            kept = {name: value for name, value in values.items() if value}
            if any(cell.strip() for cell in cells[len(header) :]):
                kept["as_written"] = _line(cells, separator)
            if "species" in kept:
                kept["species"] = SPECIES_MENDED.get(kept["species"], kept["species"])
            rows.append(Row(number, kept))
    except csv.Error as error:
        raise TableRefused(
            f"{table} cannot be read as a CSV near line {lines.line_num}: {error}. Save it as CSV (UTF-8)."
        ) from error
    if not rows:
        raise TableRefused(f"{table} has a heading and no rows: expected a row for each photo.")
    used = set(columns.values())
    unused = (name.strip() for at, name in enumerate(header) if at not in used and plain(name) not in OURS)
    lacking = tuple(name for name in COLUMNS if name not in columns and name not in SELDOM)
    return Read(tuple(rows), separator, tuple(name for name in unused if name), lacking)


def _swallows(cells: list[str], path_at: int, separator: str) -> bool:
    """Whether a cell goes on to the table's end, is longer than any is meant to be, or holds a line of cells with a photo's."""
    for cell in cells:
        if _END in cell or len(cell) > LONG_CELL:
            return True
        inside = (line.split(separator) for line in cell.split("\n")[1:])
        if any(len(others) > max(path_at, 1) and is_read(PurePosixPath(others[path_at].strip())) for others in inside):
            return True
    return False


def flaw(given: Mapping[str, str]) -> str | None:
    """Why a row cannot be trusted as it was read; None where it can."""
    if "as_written" in given:
        return (
            "The row has more cells than there are headings, so that they may stand under the wrong ones: "
            f"{shown(given['as_written'])}. Put quotation marks around a cell that holds a separator; in a CSV of rows set "
            "aside, put each cell under its heading and empty as_written."
        )
    if given.get("identity", "").lower() in UNNAMED:
        return (
            f"This row names no animal: {shown(given['identity'])} stands for all that nobody knows. Name it, or leave it out."
        )
    return None


def _line(cells: list[str], separator: str) -> str:
    """The cells as one line of the table that they came from."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="").writerow(cells)
    return out.getvalue()


def _columns(header: list[str], table: str) -> dict[str, int]:
    found = {ours: column_of(ALIASES.get(ours, (ours,)), header) for ours in COLUMNS}
    columns = {ours: at for ours, at in found.items() if at is not None}
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise TableRefused(
            f"{table} has the columns {', '.join(header) or '(none)'}, but none for {' and '.join(missing)}: "
            f"{may_be_called(missing)}."
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


def as_csv(rows: Iterable[tuple[int, Mapping[str, str], str]], separator: str = ",") -> str:
    """Set-aside rows with numbers and reasons, as `read_table` reads them; a name's undecodable bytes are spelled out."""
    out = io.StringIO(newline="")
    number, reason = OURS
    writer = csv.DictWriter(out, [number, *COLUMNS, reason], delimiter=separator, lineterminator="\n")
    writer.writeheader()
    for at, row, why in rows:
        writer.writerow({number: at} | {name: storable(value) for name, value in {**row, reason: why}.items()})
    return out.getvalue()


def photo_at(root: Path, path: str) -> Path:
    """Where a row's photo lies: as written, or as Windows and Macs write the same (`2024\\k8.jpg`, an accent as a letter of its
    own); as written, where it lies nowhere."""
    written = root / path
    if os.path.exists(written):  # noqa: PTH110 (which does not raise, as Path's does)
        return written
    for spelled in (path, path.replace("\\", "/")):
        found = root
        for part in Path(spelled).parts:
            forms = (found / form for form in (part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part)))
            found = next((form for form in forms if os.path.exists(form)), found / part)  # noqa: PTH110
        if os.path.exists(found):  # noqa: PTH110
            return found
    return written
