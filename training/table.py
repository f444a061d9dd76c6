"""Tables of labelled photos, in the shapes in which they come: CSV by alias, HappyWhale, Wildbook, COCO, a folder an animal.

`open_table` tells them apart. A whole table is refused only when no row of it could be used (`TableRefused`); a bad row is a
`Finding` with its line, and the rest is read. Nothing here looks at a photo: that is `validate.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from encoder.values import Box

from .errors import TableRefused
from .rows import NEW, Finding, Row, Table

ALIASES: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "image", "Image", "file", "filename", "file_name"),
    "identity": ("identity", "individual_id", "individual", "Id", "Encounter.individualID", "MarkedIndividual.individualID"),
    "species": ("species",),
    "encounter": ("encounter", "encounter_id", "Encounter.sightingID"),
    "viewpoint": ("viewpoint", "view"),
    "date": ("date", "timestamp", "eventDate"),
    "box": ("box", "bbox"),
}
MISSPELT = {"kiler_whale": "killer_whale", "bottlenose_dolpin": "bottlenose_dolphin"}  # as HappyWhale published them
PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
UNNAMED = {"new_whale": NEW}  # as the humpback set has it
ASSET = "Encounter.mediaAsset"


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
        return read_coco(text, str(source))
    return read_csv(text, str(source))


def read_csv(text: str, source: str) -> Table:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in text.partition("\n")[0] else ",")
    header = [name.strip() for name in next(lines, [])]
    if not any(header):
        raise TableRefused(f"{source} is empty: expected a header with path and identity, then a row a photo.")
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise TableRefused(f"{source} has two columns named {doubled[0]}. Rename or remove one.")
    columns = {field: next((name for name in names if name in header), None) for field, names in ALIASES.items()}
    assets = [name for name in header if name.startswith(ASSET) and name.removeprefix(ASSET).isdigit()]
    for field, found in (("path", columns["path"] or assets), ("identity", columns["identity"])):
        if not found:
            wanted = ", ".join(ALIASES[field])
            raise TableRefused(f"{source} has no column for the {field}: expected one of {wanted}; it has {', '.join(header)}.")
    rows: list[Row] = []
    findings: list[Finding] = []
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        line = lines.line_num
        if len(cells) != len(header):
            said = f"{len(cells)} cells where the header has {len(header)}: mend the commas or quotes"
            findings.append(Finding("error", "ragged", line, cells[0], said))
            continue
        cell = {name: value.strip() for name, value in zip(header, cells, strict=True)}
        given = {field: cell[column] if column else "" for field, column in columns.items()}
        if assets:
            given |= _wildbook(cell, line, given)
        paths = [cell[name] for name in assets if cell[name]] or [given["path"]]
        for path in paths:
            _take(given | {"path": path}, line, rows, findings)
    return _whole(source, rows, findings)


def read_coco(text: str, source: str) -> Table:
    """COCO with the identity on the annotation (`identity`, `individual_id` or `name`), as Wildbook's datasets have it."""
    try:
        given = json.loads(text)
        images = {image["id"]: image for image in given["images"]}
        annotations = given["annotations"]
    except ValueError as error:
        raise TableRefused(f"{source} is not JSON: {error}. Download or export it again.") from error
    except (KeyError, TypeError) as error:
        raise TableRefused(f"{source} is not COCO: expected the lists images and annotations ({error} is missing).") from error
    species = {category.get("id"): category.get("name", "") for category in given.get("categories", [])}
    rows: list[Row] = []
    findings: list[Finding] = []
    for number, annotation in enumerate(annotations, start=1):
        image = images.get(annotation.get("image_id"))
        if image is None:
            said = f"annotation {number} is of image {annotation.get('image_id')!r}, which the file does not list"
            findings.append(Finding("error", "no-image", number, "", said))
            continue
        fields = {
            "path": image.get("file_name", ""),
            "identity": annotation.get("identity") or annotation.get("individual_id") or annotation.get("name") or "",
            "species": species.get(annotation.get("category_id"), ""),
            "encounter": annotation.get("encounter") or image.get("encounter") or "",
            "viewpoint": annotation.get("viewpoint") or "",
            "date": image.get("date_captured") or "",
            "box": " ".join(str(side) for side in annotation.get("bbox") or ()),
        }
        _take({name: str(value) for name, value in fields.items()}, number, rows, findings)
    return _whole(source, rows, findings)


def read_folder(folder: Path) -> Table:
    """A folder per individual; a folder inside it, where there is one, is an encounter."""
    rows: list[Row] = []
    for number, photo in enumerate(sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTOS and p.is_file()), start=1):
        inside = photo.relative_to(folder)
        if len(inside.parts) < 2:
            continue
        encounter = "/".join(inside.parts[:2]) if len(inside.parts) > 2 else None
        rows.append(Row(inside.as_posix(), inside.parts[0], encounter=encounter, line=number))
    if not rows:
        raise TableRefused(f"{folder} holds no photos in folders: expected one folder per individual, its photos inside.")
    return Table(str(folder), tuple(rows))


def write_csv(rows: tuple[Row, ...], target: Path) -> None:
    """What `open_table` reads back as the same rows."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(list(ALIASES))
        for r in rows:
            box = f"{r.box.x} {r.box.y} {r.box.width} {r.box.height}" if r.box else ""
            writer.writerow([r.path, r.identity, r.species or "", r.encounter or "", r.viewpoint or "", r.date or "", box])


def _whole(source: str, rows: list[Row], findings: list[Finding]) -> Table:
    if not rows:
        first = f" First: {findings[0]}." if findings else ""
        raise TableRefused(f"{source} has no row that can be used.{first}")
    return Table(source, tuple(rows), tuple(findings))


def _take(given: Mapping[str, str], line: int, rows: list[Row], findings: list[Finding]) -> None:
    path = given["path"].replace("\\", "/")
    problems = list(_problems(path, given["identity"]))
    when: date | None = None
    box: Box | None = None
    try:
        when = date.fromisoformat(given["date"][:10].replace("/", "-")) if given["date"] else None
    except ValueError:
        problems.append(("date", f"the date {given['date']!r} is not one: expected 2019-07-31, or nothing"))
    try:
        box = _box(given["box"]) if given["box"] else None
    except ValueError:
        problems.append(
            ("box", f"the box {given['box']!r} is not one: expected x y width height in pixels, width and height > 0")
        )
    findings.extend(Finding("error", kind, line, path, said) for kind, said in problems)
    if not problems:
        species = MISSPELT.get(given["species"], given["species"]) or None
        identity = UNNAMED.get(given["identity"], given["identity"])
        rows.append(Row(path, identity, species, given["encounter"] or None, given["viewpoint"] or None, when, box, line))


def _problems(path: str, identity: str) -> Iterator[tuple[str, str]]:
    if not path:
        yield "no-path", "the path is empty: name the photo's file"
    elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or path[1:2] == ":":
        yield "path-outside", "the path leads out of the folder of photos: expected one below it"
    if not identity:
        yield "no-identity", "the identity is empty: name the individual, or leave the row out"


def _box(text: str) -> Box:
    x, y, width, height = (round(float(part)) for part in text.strip("[]()").replace(",", " ").split())
    if width <= 0 or height <= 0 or x < 0 or y < 0:
        raise ValueError(text)
    return Box(x, y, width, height)


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
