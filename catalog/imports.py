"""Where each row of a bulk import stands, so that one that was killed goes on where it was.

Marking a row happens in the `Write` that adds its sighting, on that connection, so that the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from catalog import events
from catalog.chunks import chunks
from catalog.errors import NotKnown, ValueRefused
from catalog.names import storable
from catalog.schema import changes, import_rows, imports, photos, sightings
from catalog.transactions import Transactions
from catalog.values import EventRow, GivenRow, Import, ImportRow, PhotoRow, RowState

PAGE = 1000
_R = import_rows.c


class Imports:
    """On an open catalogue, and closed with it. A row's state changes by `Write.mark_row`."""

    def __init__(self, books: Transactions) -> None:
        self._books = books

    def start(self, source: str, *, images: str | None, fingerprint: str) -> Import:
        """A new import of this source, or the one there is: it goes on, its `fingerprint` and `images` as now read."""
        for path in (source, images or ""):
            if storable(path) != path:
                raise ValueRefused(
                    f"The path {storable(path)} holds bytes that are no text; rename the folder or file, then import it."
                )
        told = {"images": images, "fingerprint": fingerprint, "finished_at": None}
        with self._books.writing() as connection:
            row = connection.execute(select(imports).where(imports.c.source == source)).one_or_none()
            if row is None:
                connection.execute(insert(imports).values(source=source, started_at=_now(), **told))
            else:
                connection.execute(update(imports).where(imports.c.id == row.id).values(told))
            return Import(*connection.execute(select(imports).where(imports.c.source == source)).one())

    def finish(self, import_id: int) -> None:
        with self._books.writing() as connection:
            connection.execute(update(imports).where(imports.c.id == import_id).values(finished_at=_now()))

    def one(self, import_id: int) -> Import:
        with self._books.reading() as connection:
            return by_id(connection, import_id)

    def all(self) -> list[Import]:
        """The oldest first."""
        with self._books.reading() as connection:
            return [Import(*row) for row in connection.execute(select(imports).order_by(imports.c.id))]

    def add_rows(self, import_id: int, rows: Iterable[GivenRow]) -> int:
        """Those whose key is new, as "waiting"; a key that came before keeps its state. How many were new.

        A superseded row that is in the source again waits again.
        """
        with self._books.writing() as connection:
            known = {
                row.key: row for row in connection.execute(select(_R.key, _R.id, _R.state).where(_R.import_id == import_id))
            }
            fresh = {row.key: row for row in rows if row.key not in known or known[row.key].state == "superseded"}
            _set_state(connection, [known[key].id for key in fresh if key in known], "waiting")
            new = [
                {"import_id": import_id, "key": row.key, "number": row.number, "given": row.given, "state": "waiting"}
                for row in fresh.values()
                if row.key not in known
            ]
            for some in chunks(new):
                connection.execute(insert(import_rows), some)
            return len(fresh)

    def supersede(self, import_id: int, keys: Iterable[str]) -> int:
        """Rows that wait or were set aside, and are no longer in the source (these are its keys). How many."""
        keep = set(keys)
        open_rows = select(_R.id, _R.key).where(_R.import_id == import_id, _R.state.in_(("waiting", "set_aside")))
        with self._books.writing() as connection:
            old = [row.id for row in connection.execute(open_rows) if row.key not in keep]
            _set_state(connection, old, "superseded")
            return len(old)

    def retry(self, import_id: int) -> int:
        """Rows set aside wait again: the photo may have been mended in its place. So do those whose sighting was taken back by
        an undo of what enrolled it, and not those whose sighting was deleted. How many."""
        set_aside = select(_R.id).where(_R.import_id == import_id, _R.state == "set_aside")
        with self._books.writing() as connection:
            ids = [*connection.scalars(set_aside), *_taken_back(connection, import_id)]
            _set_state(connection, ids, "waiting")
            return len(ids)

    def waiting(self, import_id: int, limit: int, *, after: int = 0) -> list[ImportRow]:
        """The next ones after row `after`, in the source's order."""
        return self._page(import_id, "waiting", after, limit)

    def rows(self, import_id: int, state: RowState | None = None) -> Iterator[ImportRow]:
        last = 0
        while page := self._page(import_id, state, last, PAGE):
            yield from page
            last = page[-1].id

    def _page(self, import_id: int, state: RowState | None, after: int, limit: int) -> list[ImportRow]:
        """In the order they were read; `after` is the last row's id."""
        query = select(_R.id, _R.number, _R.given, _R.state, _R.reason, _R.sighting_id)
        query = query.where(_R.import_id == import_id, _R.id > after)
        if state is not None:
            query = query.where(_R.state == state)
        with self._books.reading() as connection:
            return [ImportRow(*row) for row in connection.execute(query.order_by(_R.id).limit(limit))]

    def photos(self, import_id: int) -> list[tuple[str, PhotoRow]]:
        """(path in the source, photo) of rows that were enrolled, each photo once; also where the sighting was deleted."""
        query = select(photos, _R.given).select_from(import_rows.join(sightings, sightings.c.id == _R.sighting_id).join(photos))
        with self._books.reading() as connection:
            rows = connection.execute(query.where(_R.import_id == import_id).order_by(_R.id))
            return list({row.sha256: (row.given["path"], PhotoRow(*row[:-1])) for row in rows}.values())

    def counts(self, import_id: int) -> dict[RowState, int]:
        """By state; a state without rows is 0."""
        query = select(_R.state, func.count()).where(_R.import_id == import_id).group_by(_R.state)
        found: dict[RowState, int] = dict.fromkeys(("waiting", "done", "already", "set_aside", "superseded"), 0)
        with self._books.reading() as connection:
            return found | {row[0]: row[1] for row in connection.execute(query)}


def by_id(connection: Connection, import_id: int) -> Import:
    row = connection.execute(select(imports).where(imports.c.id == import_id)).one_or_none()
    if row is None:
        raise NotKnown(f"There is no import {import_id}.")
    return Import(*row)


def mark(connection: Connection, marks: Sequence[dict[str, Any]]) -> None:
    """Each {"row", "to", "why", "sighting"}."""
    statement = (
        update(import_rows)
        .where(_R.id == bindparam("row"))
        .values(state=bindparam("to"), reason=bindparam("why"), sighting_id=bindparam("sighting"))
    )
    connection.execute(statement, marks)


def events_of(connection: Connection, import_id: int) -> list[EventRow]:
    """Those that enrolled this import's rows, oldest first."""
    done = connection.scalars(select(_R.sighting_id).where(_R.import_id == import_id, _R.state == "done"))
    return events.events_of(connection, _enrolled_by(connection, done).values())


def _taken_back(connection: Connection, import_id: int) -> list[int]:
    dead = select(_R.id, _R.sighting_id).join(sightings, sightings.c.id == _R.sighting_id)
    dead = dead.where(_R.import_id == import_id, _R.state.in_(("done", "already")), ~sightings.c.live)
    row_of = {row.sighting_id: row.id for row in connection.execute(dead)}
    enrolled_by = _enrolled_by(connection, row_of)
    undone = {event.id for event in events.events_of(connection, enrolled_by.values()) if event.undone}
    return [row_of[sighting] for sighting, event in enrolled_by.items() if event in undone]


def _enrolled_by(connection: Connection, sighting_ids: Iterable[int]) -> dict[int, int]:
    """The event that each of these sightings began with."""
    found: dict[int, int] = {}
    for some in chunks(list(sighting_ids)):
        changed = select(changes.c.entity_id, func.min(changes.c.event_id).label("event")).group_by(changes.c.entity_id)
        changed = changed.where(changes.c.entity == "sighting", changes.c.field == "live", changes.c.entity_id.in_(some))
        found |= {row.entity_id: row.event for row in connection.execute(changed)}
    return found


def _set_state(connection: Connection, ids: Sequence[int], state: RowState) -> None:
    for some in chunks(ids):
        connection.execute(update(import_rows).where(_R.id.in_(some)).values(state=state, reason=None))


def _now() -> datetime:
    return datetime.now(UTC)
