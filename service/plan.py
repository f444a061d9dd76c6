"""What a batch is to do, row by row, from the folders of an archive or a table in it."""

from __future__ import annotations

from collections.abc import Iterable
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


def _of_folders(members: Iterable[Member]) -> list[Row]:
    """The outermost folder names the individual, unless it only holds the others: systems put one around what they pack."""
    inside = [(member, PurePosixPath(member.path).parts) for member in members if member.folder]
    while len({parts[0] for _, parts in inside}) == 1 and min(len(parts) for _, parts in inside) > 2:
        inside = [(member, parts[1:]) for member, parts in inside]
    found: dict[str, list[Row]] = {}
    for member, parts in inside:
        found.setdefault(parts[0], []).append(_photo(member))
    return [row for name, photos in found.items() for row in _portions(name, photos)]


def _of_table(file: Path, members: Iterable[Member], table: Member) -> list[Row]:
    with ZipFile(file) as archive:
        raw = read_member(archive, table.path, MOST_TABLE_BYTES)
    there = {member.path: member for member in members}
    found: dict[tuple[str, str], list[Row]] = {}
    lost: list[Row] = []
    for row in rows_of(raw, table.path):
        said, shifted = dict(row.given), flaw(row.given)
        path, name = said.pop("path", ""), said.pop("identity", "")
        member = there.get(str(PurePosixPath(table.folder) / path)) or there.get(path)
        if shifted or member is None or not name:
            why = shifted or ("It names no individual." if member else f'There is no file "{path[:200]}" in the archive.')
            told = {"name": name or path, "state": "refused", "reason": f"Row {row.number} of the table: {why}"}
            lost.append(told | {"photos": [{"member": path, "name": PurePosixPath(path).name or path, "given": said}]})
        else:
            found.setdefault((name, said.get("encounter", "")), []).append(_photo(member) | {"given": said})
    return [row for (name, _), photos in found.items() for row in _portions(name, photos)] + lost


def _portions(name: str, photos: list[Row]) -> list[Row]:
    return [{"name": name, "photos": photos[at : at + PHOTOS_A_ROW]} for at in range(0, len(photos), PHOTOS_A_ROW)]


def _photo(member: Member) -> Row:
    return {"member": member.path, "name": member.name}
