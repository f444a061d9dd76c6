"""Tables of labelled photos, in the shapes in which they come: CSV by alias, HappyWhale, Wildbook, COCO, a folder an animal.

`open_table` tells them apart. A whole table is refused only when no row of it could be used (`TableRefused`); a bad row is a
`Finding` with its line, and the rest is read. Nothing here looks at a photo: that is `validate.py`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from encoder.kinds import is_hidden, is_read, is_unread
from encoder.values import Box
from indexer.headings import ALIASES, SPECIES_MENDED, UNNAMED, column_of

from .errors import TableRefused
from .rows import NEW, Finding, Row, Severity, Table

FIELDS = ("path", "identity", "species", "encounter", "viewpoint", "date", "box")
WILDBOOK = {  # a sheet has both of an identity's columns, and fills one
    "identity": ("Encounter.individualID", "MarkedIndividual.individualID"),
    "encounter": ("Encounter.sightingID",),
}
ASSET = "Encounter.mediaAsset"
LONG = 4096  # characters: no file system takes a longer path
_END = "\0the end of the table"
_SEPARATOR = re.compile(r"""sep=([,;\t|])[ \t,;]*\r?\n""", re.IGNORECASE)  # what a spreadsheet is told first
_DAY = r"(\d{4})([-/:]?)(\d{2})\2(\d{2})"  # also 20190731, and EXIF's 2019:07:31
_TIME = r"[T ] *\d{1,2}(?:[:.]?\d{2})*(?:[.,]\d+)? *(?:[AaPp][Mm]|Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
_DATE = re.compile(f"{_DAY}(?:{_TIME})?", re.ASCII)


def open_table(source: Path) -> Table:
    """Reads a CSV, a COCO-style JSON or a folder per individual.

    >>> open_table(Path("train.csv")).rows[0].identity  # doctest: +SKIP
    'w_0001'
    """
    if source.is_dir():
        return read_folder(source)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TableRefused(
            f"{source}: {error.strerror}. Give a CSV, a COCO JSON or a folder with a folder per individual."
        ) from error
    except UnicodeDecodeError as error:
        raise TableRefused(f"{source} is not UTF-8 (byte {error.start}). Save it as CSV UTF-8, then try again.") from error
    if source.suffix.lower() == ".json":
        try:
            return read_coco(text, str(source))
        except RecursionError as error:
            raise TableRefused(f"{source} is not COCO: it is nested too deeply to be read. Export it again.") from error
    return read_csv(text, str(source))


def read_csv(text: str, source: str) -> Table:
    lines = _lines(text, source)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    if not any(header):
        raise TableRefused(f"{source} is empty: expected a header with path and identity, then a row a photo.")
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise TableRefused(f"{source} has two columns named {doubled[0]}. Rename or remove one.")
    columns = {field: [*_columns(field, header)] for field in FIELDS}
    assets = [name for name in header if name.startswith(ASSET) and name.removeprefix(ASSET).isdigit()]
    for field, found in (("path", columns["path"] or assets), ("identity", columns["identity"])):
        if not found:
            wanted = ", ".join((*ALIASES[field], *WILDBOOK.get(field, ())))
            raise TableRefused(f"{source} has no column for the {field}: expected one of {wanted}; it has {', '.join(header)}.")
    rows: list[Row] = []
    findings: list[Finding] = []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            said = f"{len(cells)} cells where the header has {len(header)}: mend the commas or quotes"
            findings.append(Finding("error", "ragged", line, cells[0][:LONG], said))
            continue
        cell = {name: value.strip() for name, value in zip(header, cells, strict=True)}
        given = {field: next((cell[name] for name in names if cell[name]), "") for field, names in columns.items()}
        if assets:
            given |= _wildbook(cell, line, given)
        paths = [cell[name] for name in assets if cell[name]] or [given["path"]]
        for path in paths:
            _take(given | {"path": path}, line, rows, findings)
    return _whole(source, rows, findings)


def _columns(field: str, header: list[str]) -> Iterator[str]:
    """Of the names that a column may have the first that is there, and all of Wildbook's."""
    at = column_of(ALIASES[field], header)
    if at is not None:
        yield header[at]
    yield from (name for name in WILDBOOK.get(field, ()) if name in header)


def _lines(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line that it begins on. A row of our own stands last: what swallows it is a quote never closed."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + len(_END)))  # one long cell is one row's fault
    told = _SEPARATOR.match(text)
    delimiter = told[1] if told else max(",;\t", key=text.partition("\n")[0].count)
    lines, began = csv.reader(io.StringIO(f"{text}\n{_END}\n", newline=""), delimiter=delimiter), 1
    if told:
        next(lines)
        began = 2
    for cells in lines:
        if cells and _END in cells[-1]:
            if cells == [_END]:
                return
            raise TableRefused(
                f"{source} opens a quote in the row of line {began} that is never closed, so the rows after it cannot be told "
                "apart. Close it, or leave it out."
            )
        yield began, cells
        began = lines.line_num + 1


def read_coco(text: str, source: str) -> Table:
    """COCO with the identity on the annotation (`identity`, `individual_id` or `name`), as Wildbook's datasets have it."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise TableRefused(f"{source} is not JSON: {error}. Download or export it again.") from error
    parts = given if isinstance(given, dict) else {}
    for name in ("images", "annotations"):
        if not isinstance(parts.get(name), list):
            said = f"it has {parts[name]!r:.40} for {name}" if name in parts else f"{name} is missing"
            raise TableRefused(f"{source} is not COCO: expected the lists images and annotations; {said}. Export it again.")
    images, species = _by_id(parts["images"]), _by_id(parts.get("categories"))
    rows: list[Row] = []
    findings: list[Finding] = []
    for number, annotation in enumerate(parts["annotations"], start=1):
        if not isinstance(annotation, dict):
            said = f"annotation {number} is {annotation!r:.40}: expected an object with image_id and identity"
            findings.append(Finding("error", "no-annotation", number, "", said))
            continue
        image = _of(images, annotation.get("image_id"))
        if image is None:
            said = f"annotation {number} is of image {annotation.get('image_id')!r:.40}, which the file does not list"
            findings.append(Finding("error", "no-image", number, "", said))
            continue
        box = annotation.get("bbox")
        fields = {
            "path": image.get("file_name"),
            "identity": _first(annotation, "identity", "individual_id", "name"),
            "species": (_of(species, annotation.get("category_id")) or {}).get("name"),
            "encounter": _first(annotation, "encounter") or image.get("encounter"),
            "viewpoint": annotation.get("viewpoint"),
            "date": image.get("date_captured"),
            "box": " ".join(map(str, box)) if isinstance(box, list) else box,
        }
        odd = next((name for name, value in fields.items() if isinstance(value, list | dict)), None)
        if odd is not None:
            said = f"the {odd} of annotation {number} is {fields[odd]!r:.40}: expected text"
            findings.append(Finding("error", "not-text", number, "", said))
            continue
        _take({name: "" if v is None else str(v).strip() for name, v in fields.items()}, number, rows, findings)
    return _whole(source, rows, findings)


def _by_id(given: Any) -> dict[Any, dict[str, Any]]:
    entries = given if isinstance(given, list) else []
    return {e["id"]: e for e in entries if isinstance(e, dict) and isinstance(e.get("id"), int | float | str)}


def _of(entries: Mapping[Any, dict[str, Any]], wanted: Any) -> dict[str, Any] | None:
    return entries.get(wanted) if isinstance(wanted, int | float | str) else None


def _first(annotation: Mapping[str, Any], *names: str) -> Any:
    """The first that says anything; an individual called 0 does."""
    return next((annotation[name] for name in names if annotation.get(name) not in (None, "")), None)


def read_folder(folder: Path) -> Table:
    """A folder per individual; a folder inside it, where there is one, is an encounter.

    What file systems and archivers hide or add (`.thumbs`, `._a.jpg`, `__MACOSX`) is left out without a word; photos that
    somebody meant and that are not read are findings.
    """
    photos: list[Path] = []
    findings: list[Finding] = []

    def note(severity: Severity, kind: str, inside: Path, said: str) -> None:
        findings.append(Finding(severity, kind, 0, inside.as_posix(), said))

    def unreadable(error: OSError) -> None:
        note("error", "unreadable", Path(error.filename).relative_to(folder), f"the folder cannot be read: {error.strerror}")

    for where, below, names in os.walk(folder, onerror=unreadable):
        here = Path(where).relative_to(folder)
        below[:] = sorted(name for name in below if not is_hidden(name))
        for name in below:
            if (Path(where) / name).is_symlink():
                note("warning", "link", here / name, "a link to a folder is not followed: copy the folder here")
        for inside in (here / name for name in sorted(names) if not is_hidden(name)):
            if is_unread(inside):
                note("warning", "unread-kind", inside, f"photos of the kind {inside.suffix} are not read: save it as JPEG")
            elif is_read(inside) and here == Path():
                note("warning", "loose", inside, "it lies in no individual's folder, so it is left out: move it into one")
            elif is_read(inside) and not _is_text(inside.as_posix()):
                note("error", "not-text", inside, "its name is not UTF-8: rename the file or its folder")
            elif is_read(inside):
                photos.append(inside)
    rows = [
        Row(p.as_posix(), p.parts[0], encounter="/".join(p.parts[:2]) if len(p.parts) > 2 else None, line=number)
        for number, p in enumerate(sorted(photos), start=1)
    ]
    if not rows:
        first = f" First of {len(findings)} findings: {findings[0]}." if findings else ""
        raise TableRefused(
            f"{folder} holds no photos in folders: expected one folder per individual, its photos inside.{first}"
        )
    return Table(str(folder), tuple(rows), tuple(findings))


def _is_text(name: str) -> bool:
    """Whether every byte of a file's name was a letter; no table could name it otherwise. A zero byte is in none."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def write_csv(rows: tuple[Row, ...], target: Path) -> None:
    """What `open_table` reads back as the same rows."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for r in rows:
            box = f"{r.box.x} {r.box.y} {r.box.width} {r.box.height}" if r.box else ""
            writer.writerow([r.path, r.identity, r.species or "", r.encounter or "", r.viewpoint or "", r.date or "", box])


def _whole(source: str, rows: list[Row], findings: list[Finding]) -> Table:
    if not rows:
        first = f" First: {findings[0]}." if findings else ""
        raise TableRefused(f"{source} has no row that can be used.{first}")
    return Table(source, tuple(rows), tuple(findings))


def _take(given: Mapping[str, str], line: int, rows: list[Row], findings: list[Finding]) -> None:
    # Names are told apart as a catalogue tells them; a path is as the folder has it.
    given = {name: value if name == "path" else unicodedata.normalize("NFC", value) for name, value in given.items()}
    path = given["path"].replace("\\", "/")
    path = PurePosixPath(path).as_posix() if path else ""  # ./a.jpg is a.jpg: one photo must not be taken for two
    problems = list(_problems({**given, "path": path}))
    when: date | None = None
    box: Box | None = None
    try:
        when = _day(given["date"])
    except ValueError:
        said = f"the date {given['date'][:40]!r} is not one: expected 2019-07-31, with a time of day or without, or nothing"
        problems.append(("date", said))
    try:
        box = _box(given["box"]) if given["box"] else None
    except (ValueError, OverflowError):  # OverflowError: a side that is infinite
        said = f"the box {given['box'][:40]!r} is not one: expected x y width height in pixels, "
        said += "x and y of 0 or more, width and height above 0"
        problems.append(("box", said))
    findings.extend(Finding("error", kind, line, path[:LONG], said) for kind, said in problems)
    if not problems:
        species = SPECIES_MENDED.get(given["species"], given["species"]) or None
        identity = NEW if given["identity"].lower() in UNNAMED else given["identity"]
        rows.append(Row(path, identity, species, given["encounter"] or None, given["viewpoint"] or None, when, box, line))


def _problems(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    path = given["path"]
    if not path:
        yield "no-path", "the path is empty: name the photo's file"
    elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or path[1:2] == ":":
        yield "path-outside", "the path leads out of the folder of photos: expected one below it"
    if not given["identity"]:
        yield "no-identity", "the identity is empty: name the individual, or leave the row out"
    for name, value in given.items():
        if len(value) > LONG:
            yield "long", f"the {name} has {len(value):,} characters: expected {LONG:,} at most"
        elif not _is_text(value):
            yield "not-text", f"the {name} {value[:40]!r} holds what is no letter: write it as UTF-8"


def _day(text: str) -> date | None:
    """The day of a date or time; of an interval, or what only begins like a date, none can be told.

    >>> _day("2017:07:10 12:30:00")
    datetime.date(2017, 7, 10)
    """
    if not text.strip("0:-/ T"):  # how cameras and databases write that they do not know: 0000-00-00 00:00:00
        return None
    found = _DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return date(int(found[1]), int(found[3]), int(found[4]))


def _box(text: str) -> Box:
    x, y, width, height = (float(part) for part in text.strip("[]()").replace(",", " ").split())
    # The edges to whole pixels, or a box that ends where the photo does could end a pixel outside.
    left, top, right, bottom = round(x), round(y), round(x + width), round(y + height)
    if right <= left or bottom <= top or left < 0 or top < 0:
        raise ValueError(text)
    return Box(left, top, right - left, bottom - top)


def _wildbook(cell: Mapping[str, str], line: int, given: Mapping[str, str]) -> dict[str, Any]:
    """A row of Wildbook's sheet is an encounter with several photos."""
    parts = [cell.get(f"Encounter.{part}", "") for part in ("year", "month", "day")]
    when = "-".join(part.zfill(2) for part in parts) if all(parts) else ""
    kind = " ".join(part for part in (cell.get("Encounter.genus", ""), cell.get("Encounter.specificEpithet", "")) if part)
    return {
        "species": given["species"] or kind,
        "encounter": given["encounter"] or f"row {line}",
        "date": given["date"] or when,
    }
