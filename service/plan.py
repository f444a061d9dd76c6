"""What a batch is to do, row by row, from the folders of an archive or a table in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from catalog.values import JobKind
from indexer.tables import flaw, rows_of
from service.archive import Member, read_member
from service.errors import UploadRefused

MOST_TABLE_BYTES = 50_000_000
PHOTOS_A_ROW = 16  # of an individual: as many as are acknowledged together
Row = dict[str, Any]


def plan(kind: JobKind, file: Path, members: list[Member], *, most: int) -> list[Row]:
    """The job's rows; `most` photos make one encounter."""
    if kind == "identify":
        return _encounters(members, most)
    tables = [member for member in members if member.name.lower().endswith(".csv")]
    if len(tables) > 1:
        raise UploadRefused(f"The archive holds {len(tables)} CSV tables, and one was expected. Leave the others out.")
    rows = _of_table(file, members, tables[0]) if tables else _of_folders(members)
    if not rows:
        raise UploadRefused(
            "The archive holds no folder of photos: expected a folder an individual, or a CSV with path and identity."
        )
    return rows


def _encounters(members: Iterable[Member], most: int) -> list[Row]:
    """A folder is one encounter; a photo beside the folders is one by itself."""
    found: dict[str, list[Row]] = {}
    for member in members:
        found.setdefault(member.folder or member.path, []).append(_photo(member))
    return [
        {"name": name, "photos": photos}
        if len(photos) <= most
        else {"name": name, "photos": [], "state": "refused", "reason": f"{len(photos)} photos; one encounter may have {most}."}
        for name, photos in found.items()
    ]


def _of_folders(members: Sequence[Member]) -> list[Row]:
    """The outermost folder names the individual, unless it only holds the others: systems put one around what they pack."""
    inside = [(member, PurePosixPath(member.path).parts) for member in members if member.folder]
    while len({parts[0] for _, parts in inside}) == 1 and min(len(parts) for _, parts in inside) > 2:
        inside = [(member, parts[1:]) for member, parts in inside]
    found: dict[str, list[Row]] = {}
    for member, parts in inside:
        found.setdefault(parts[0], []).append(_photo(member))
    rows = [row for name, photos in found.items() if flaw({"identity": name}) is None for row in _portions(name, photos)]
    lost = [_lost(name, photos, why) for name, photos in found.items() if (why := flaw({"identity": name})) is not None]
    if found:
        beside = "This file lies beside the folders, and so is nobody's. Put it into its animal's folder."
        lost += [_lost(member.path, [_photo(member)], beside) for member in members if not member.folder]
    return rows + lost


def _of_table(file: Path, members: Iterable[Member], table: Member) -> list[Row]:
    with ZipFile(file) as archive:
        raw = read_member(archive, table.path, MOST_TABLE_BYTES)
    there = {_spelled(member.path): member for member in members} | {member.path: member for member in members}
    found: dict[tuple[str, str], list[Row]] = {}
    lost: list[Row] = []
    for row in rows_of(raw, table.path):
        said, shifted = dict(row.given), flaw(row.given)
        path, name = said.pop("path", ""), said.pop("identity", "")
        written = [str(PurePosixPath(table.folder) / path), path]
        member = next((there[at] for at in [*written, *map(_spelled, written)] if at in there), None)
        if shifted or member is None or not name:
            why = shifted or ("It names no individual." if member else f'There is no file "{path[:200]}" in the archive.')
            photo = {"member": path, "name": PurePosixPath(path).name or path, "given": said}
            lost.append(_lost(name or path, [photo], f"Row {row.number} of the table: {why}"))
        else:
            found.setdefault((name, said.get("encounter", "")), []).append(_photo(member) | {"given": said})
    return [row for (name, _), photos in found.items() for row in _portions(name, photos)] + lost


def _spelled(path: str) -> str:
    """As it is meant, however Windows and Macs write it (`2024\\k8.jpg`, an accent as a letter of its own)."""
    return unicodedata.normalize("NFC", path.replace("\\", "/"))


def _lost(name: str, photos: list[Row], why: str) -> Row:
    return {"name": name, "state": "refused", "reason": why, "photos": photos}


def _portions(name: str, photos: list[Row]) -> list[Row]:
    return [{"name": name, "photos": photos[at : at + PHOTOS_A_ROW]} for at in range(0, len(photos), PHOTOS_A_ROW)]


def _photo(member: Member) -> Row:
    return {"member": member.path, "name": member.name}
