"""The log: who did what when, and what each event changed or rested on. It only grows; triggers see to that.

Everything here reads, on the connection it is handed; `Write` is what appends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Date, DateTime, Row, Select, and_, func, select

from catalog.chunks import chunks
from catalog.errors import NotKnown
from catalog.schema import changes, events, individuals, sightings
from catalog.values import Change, Entity, EventRow

INDEXED = ("live", "species", "viewpoint", "taken_on", "lat", "lon")  # a sighting's fields that its point in the index carries
TABLES = {"individual": individuals, "sighting": sightings}
_LAST = select(func.max(events.c.id))


def to_json(value: Any) -> str:
    return json.dumps(value.isoformat() if isinstance(value, date) else value, ensure_ascii=False)


def from_json(entity: Entity, field: str, text: str) -> Any:
    value = json.loads(text)
    if value is None:
        return None
    kind = TABLES[entity].c[field].type
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(kind, Date) else value


def history(
    connection: Connection,
    entity: Entity | None = None,
    entity_id: int | None = None,
    *,
    limit: int = 50,
    before: int | None = None,
) -> list[EventRow]:
    """The newest events first; of one individual or sighting where it is named; older than event `before`.

    An undo is of those that the event it undoes is of.
    """
    query = select(events).order_by(events.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.id < before)
    if entity is not None:
        touched = select(changes.c.event_id.label("id")).where(changes.c.entity == entity, changes.c.entity_id == entity_id)
        links = touched.cte("links", recursive=True)
        links = links.union(select(events.c.id).where(events.c.undoes == links.c.id))
        query = query.where(events.c.id.in_(select(links.c.id)))
    return _rows(connection, connection.execute(query).all())


def event(connection: Connection, event_id: int) -> EventRow:
    found = _rows(connection, connection.execute(select(events).where(events.c.id == event_id)).all())
    if not found:
        raise NotKnown(f'There is no event {event_id}; "history" lists them.')
    return found[0]


def events_of(connection: Connection, event_ids: Iterable[int]) -> list[EventRow]:
    """These events, oldest first."""
    found: list[EventRow] = []
    for some in chunks(sorted(set(event_ids))):
        found += _rows(connection, connection.execute(select(events).where(events.c.id.in_(some)).order_by(events.c.id)).all())
    return found


def _rows(connection: Connection, rows: Iterable[Row[Any]]) -> list[EventRow]:
    """With what became of each. An undo that was itself undone does not count, hence the chains."""
    rows = list(rows)
    undone_by: dict[int, int] = {}
    ask = [row.id for row in rows]
    while ask:  # one round a link of the longest chain of undo, redo, undo …
        found: dict[int, int] = {}
        for some in chunks(ask):
            pairs = connection.execute(select(events.c.undoes, events.c.id).where(events.c.undoes.in_(some)))
            found |= {pair.undoes: pair.id for pair in pairs}
        undone_by |= found
        ask = list(found.values())
    return [
        EventRow(row.id, row.at, row.who, row.verb, row.what, row.undoes, undone_by.get(row.id), _is_undone(row.id, undone_by))
        for row in rows
    ]


def _is_undone(event_id: int, undone_by: dict[int, int]) -> bool:
    links = 0
    while event_id in undone_by:
        event_id = undone_by[event_id]
        links += 1
    return links % 2 == 1


def chain(connection: Connection, event_id: int) -> list[int]:
    """The event, the undo of it, the undo of that (which did it again), and so on."""
    links = [event_id]
    while (after := connection.scalar(select(events.c.id).where(events.c.undoes == links[-1]))) is not None:
        links.append(after)
    return links


def root(connection: Connection, event_id: int) -> int:
    """The event that is no undo, at the beginning of this one's chain."""
    while (earlier := connection.scalar(select(events.c.undoes).where(events.c.id == event_id))) is not None:
        event_id = earlier
    return event_id


def last_id(connection: Connection) -> int:
    return connection.scalar(_LAST) or 0


def changed_sightings(connection: Connection, after: int) -> list[int]:
    query = (
        select(changes.c.entity_id)
        .distinct()
        .join(sightings, sightings.c.id == changes.c.entity_id)
        .where(changes.c.entity == "sighting", changes.c.field.in_(INDEXED), changes.c.event_id > after, sightings.c.live)
        .where(changes.c.before != changes.c.after)
    )
    return list(connection.scalars(query))


def changes_of(connection: Connection, event_id: int) -> list[Change]:
    rows = connection.execute(select(changes).where(changes.c.event_id == event_id))
    return [
        Change(
            row.entity,
            row.entity_id,
            row.field,
            from_json(row.entity, row.field, row.before),
            from_json(row.entity, row.field, row.after),
        )
        for row in rows
    ]


def values_before(connection: Connection, entity: Entity, entity_id: int, field: str) -> list[Any]:
    """What this field was before it was changed, each time, the newest first."""
    c = changes.c
    query = select(c.before).where(c.entity == entity, c.entity_id == entity_id, c.field == field, c.before != c.after)
    return [from_json(entity, field, text) for text in connection.scalars(query.order_by(c.event_id.desc()))]


def undo_pairs(connection: Connection, after: int) -> list[tuple[int, int]]:
    """(undo, what it undoes) for every undo later than `after`, newest first."""
    query = select(events.c.id, events.c.undoes).where(events.c.id > after, events.c.undoes.is_not(None))
    return [(row.id, row.undoes) for row in connection.execute(query.order_by(events.c.id.desc()))]


_LATER = changes.alias("later")


def touching_what_it_changed(connection: Connection, event_id: int) -> set[int]:
    """The later events that changed or rested on a field that this event changed."""
    query = _on_the_same_fields(event_id).where(changes.c.before != changes.c.after, _LATER.c.event_id > event_id)
    return set(connection.scalars(query))


def changing_what_it_rested_on(connection: Connection, event_id: int, after: int) -> set[int]:
    """The events later than `after` that changed a field that this event rested on."""
    query = _on_the_same_fields(event_id).where(changes.c.before == changes.c.after, _LATER.c.event_id > after)
    return set(connection.scalars(query.where(_LATER.c.before != _LATER.c.after)))


def _on_the_same_fields(event_id: int) -> Select[tuple[int]]:
    same = and_(*(_LATER.c[name] == changes.c[name] for name in ("entity", "entity_id", "field")))
    return select(_LATER.c.event_id).distinct().join_from(changes, _LATER, same).where(changes.c.event_id == event_id)


def changing(connection: Connection, entity: Entity, entity_id: int, fields: Iterable[str]) -> set[int]:
    """The events that changed one of these fields of this row; the greatest gave it its present value."""
    query = select(changes.c.event_id).where(
        changes.c.entity == entity,
        changes.c.entity_id == entity_id,
        changes.c.field.in_(list(fields)),
        changes.c.before != changes.c.after,
    )
    return set(connection.scalars(query))
