"""Taking an event back, whatever it was: its recorded changes, turned round, as a new event.

Nothing is erased: the undo stands in the history and can itself be undone, which does the event again. An undo is
refused when it would contradict what has happened since, and names those events: a later event that still stands changed or
rested on a field that this one changed; a name or a photo is in use again; a sighting would be left with an
individual that is not there. Taking an enrolment back leaves tombstones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection

from catalog import events, imports, individuals, sightings
from catalog.catalogue import Catalogue
from catalog.errors import EditConflict
from catalog.names import shown
from catalog.values import EventRow
from catalog.write import Key, Write
from indexer.edits import Done


@dataclass(frozen=True, slots=True)
class UndoneImport:
    import_id: int
    event_ids: tuple[int, ...]  # the undos, in the order in which they were made
    photos: int  # that it had enrolled
    what: str  # one sentence for a person


def undo(catalogue: Catalogue, event_id: int, *, who: str) -> Done:
    """Take this event back; of an undo: do the event again. An event that was undone and done again can be undone again."""
    with catalogue.write("undo", who=who, what="") as write:
        values = _undo(write, event_id)
    stale = sorted({number for entity, number, field in values if entity == "sighting" and field in events.INDEXED})
    return Done(write.event_id, write.what, None, tuple(stale))


def undo_import(catalogue: Catalogue, import_id: int, *, who: str) -> UndoneImport:
    """Take back every event of an import that stands, from the top: all of them, or none where a later event contradicts."""
    with catalogue.writes("undo", who=who) as begin:
        with begin() as looking:  # changes nothing, so it leaves no event
            source = imports.by_id(looking.connection, import_id).source
            standing = [event.id for event in imports.events_of(looking.connection, import_id) if not event.undone]
        if not standing:
            raise EditConflict(f"Nothing that import {import_id} ({shown(Path(source).name)}) enrolled stands any more.")
        undone, photos = list[int](), 0
        for event_id in reversed(standing):
            with begin() as write:
                photos += sum((entity, field) == ("sighting", "live") for entity, _, field in _undo(write, event_id))
            undone.append(write.event_id)
    count = f"{photos} {'photo' if photos == 1 else 'photos'}, {len(undone)} {'event' if len(undone) == 1 else 'events'}"
    return UndoneImport(import_id, tuple(undone), photos, f"Undid import {import_id} of {source}: {count}.")


def _undo(write: Write, event_id: int) -> dict[Key, Any]:
    """The values that it gave back."""
    connection = write.connection
    asked = events.event(connection, event_id)
    links = events.chain(connection, event_id)
    if asked.undone:
        raise EditConflict(
            f"Event {event_id} ({asked.verb}) has been undone already, by event {links[-1]}; undo that to do it again."
        )
    target = events.event(connection, links[-1])
    first = events.event(connection, events.root(connection, target.id))
    again = first.undone  # then the target is the undo that took it back
    changes = events.changes_of(connection, target.id)
    values: dict[Key, Any] = {(c.entity, c.entity_id, c.field): c.before for c in changes if c.changed}
    if not values:
        raise EditConflict(f"Event {event_id} ({asked.verb}) changed nothing, so there is nothing to undo.")
    _refuse_what_followed(connection, target, first, again=again)
    _refuse_taken_names(connection, target, values)
    _refuse_taken_photos(connection, target, values)
    write.restore(values)
    _refuse_live_of_dead(write, target)
    write.undoes = target.id
    did = f"Did event {first.id} again" if again else f"Undid event {first.id}"
    write.what = f"{did} ({first.verb}): {first.what}"
    return values


def _refuse_what_followed(connection: Connection, target: EventRow, first: EventRow, *, again: bool) -> None:
    cancelled: set[int] = set()
    for undoing, undone in events.undo_pairs(connection, target.id):  # newest first: an undo that was undone cancels nothing
        if undoing not in cancelled and undone > target.id:
            cancelled |= {undoing, undone}
    if since := events.touching_what_it_changed(connection, target.id) - cancelled:
        _refuse(connection, target, "what it changed was changed or built on since", since)
    if again and (since := events.changing_what_it_rested_on(connection, first.id, target.id) - cancelled):
        _refuse(connection, target, f"what event {first.id} ({first.verb}) rested on was changed since", since)


def _refuse_taken_names(connection: Connection, target: EventRow, values: dict[Key, Any]) -> None:
    for number in {number for entity, number, field in values if entity == "individual" and field in ("live", "name")}:
        one = individuals.by_id(connection, number)
        name = values.get(("individual", number, "name"), one.name)
        holder = individuals.live_ids_by_name(connection, [name]).get(name)
        lives = values.get(("individual", number, "live"), one.live)
        if lives and holder not in (None, number) and values.get(("individual", holder, "live"), True):
            since = events.changing(connection, "individual", holder, ["name", "live"])
            _refuse(connection, target, f"the name {shown(name)} is now that of individual {holder}", {max(since)})


def _refuse_taken_photos(connection: Connection, target: EventRow, values: dict[Key, Any]) -> None:
    revived = [
        number for (entity, number, field), value in values.items() if entity == "sighting" and field == "live" and value
    ]
    photos = {
        number: (one.photo_sha256, sightings.box_text(one.box)) for number, one in sightings.by_ids(connection, revived).items()
    }
    taken = sightings.live_ids_by_photo(connection, photos.values())
    for number, photo in photos.items():
        holder = taken.get(photo, number)
        if holder != number and values.get(("sighting", holder, "live"), True):
            since = events.changing(connection, "sighting", holder, ["live"])
            _refuse(connection, target, f"the photo of sighting {number} is enrolled anew, as sighting {holder}", {max(since)})


def _refuse_live_of_dead(write: Write, target: EventRow) -> None:
    broken = write.live_of_dead()
    if not broken:
        return
    connection = write.connection
    since: set[int] = set()
    for sighting, individual in broken:  # the newest event on either side; the target's own is the other
        moved = events.changing(connection, "sighting", sighting, ["live", "individual_id"])
        died = events.changing(connection, "individual", individual, ["live"])
        since |= {max(found) for found in (moved, died) if found and max(found) > target.id}
    sighting, individual = broken[0]
    _refuse(connection, target, f"live sighting {sighting} would be left with individual {individual}, which is not", since)


def _refuse(connection: Connection, target: EventRow, why: str, event_ids: set[int]) -> NoReturn:
    named = [f"event {e.id} ({e.verb}): {e.what}" for e in reversed(events.events_of(connection, event_ids))]
    few = "; ".join(named[:10] + ([f"and {len(named) - 10:,} more"] if len(named) > 10 else []))
    first = f" Undo first, from the top: {few}" if named else ""  # damage has no event
    raise EditConflict(f"Event {target.id} ({target.verb}) cannot be undone: {why}. Nothing was changed.{first}")
