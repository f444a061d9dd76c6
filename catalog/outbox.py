"""Rows on their way into the catalogue: numbered at once, sent together.

An import adds 64 sightings a transaction; one statement a table sends them all, in the order in which rows point at each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update

from catalog import imports, schema
from catalog.chunks import chunks
from catalog.names import storable
from catalog.values import PhotoRow

_IN_ORDER = (schema.individuals, schema.encounters, schema.photos, schema.sightings, schema.vectors)


Anew = bool | Callable[[PhotoRow], bool]  # whether a photo's file is lost, or what tells it of the row that is known


class Outbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next: dict[str, int] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in _IN_ORDER}
        self._photos: dict[str, PhotoRow] = {}
        self._anew: dict[str, Anew] = {}  # of these, whether the file that is known of is lost
        self._marks: list[dict[str, Any]] = []

    def number(self, table: Table) -> int:
        """The next id. We hold the writers' lock and no row is ever removed, so nobody else takes it."""
        if table.name not in self._next:
            self._next[table.name] = (self._connection.scalar(select(func.max(table.c.id))) or 0) + 1
        number = self._next[table.name]
        self._next[table.name] = number + 1
        return number

    def add(self, table: Table, **row: Any) -> None:
        self._rows[table.name].append(row)

    def add_photo(self, photo: PhotoRow, *, anew: Anew = False) -> None:
        """A photo that is there already stays as it is, unless it was kept by reference or is put back (`anew`)."""
        self._photos.setdefault(photo.sha256, photo)
        if anew:
            self._anew[photo.sha256] = anew

    def mark(self, **mark: Any) -> None:
        self._marks.append(mark)

    def send(self) -> None:
        if self._photos:
            self._rows["photos"] = self._new_photos()
        for table in _IN_ORDER:
            if self._rows[table.name]:
                self._connection.execute(insert(table), self._rows[table.name])
                self._rows[table.name] = []
        if self._marks:
            imports.mark(self._connection, self._marks)
            self._marks = []

    def _new_photos(self) -> list[dict[str, Any]]:
        columns, names = schema.photos.c, schema.photos.c.keys()
        known: set[str] = set()
        for some in chunks(list(self._photos)):
            for row in self._connection.execute(select(schema.photos).where(columns.sha256.in_(some))).all():
                known.add(row.sha256)
                now = self._photos[row.sha256]
                if (now.kept, now.path) != (row.kept, row.path) and self._may_move(PhotoRow(*row)):
                    moved = update(schema.photos).where(columns.sha256 == row.sha256)
                    self._connection.execute(moved.values(kept=now.kept, path=_kept(now.path)))
        new = [photo for sha256, photo in self._photos.items() if sha256 not in known]
        self._photos, self._anew = {}, {}
        return [{name: _kept(getattr(photo, name)) for name in names} for photo in new]

    def _may_move(self, known: PhotoRow) -> bool:
        anew = self._anew.get(known.sha256, False)
        return known.kept == "reference" or (anew(known) if callable(anew) else anew)


def _kept(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
