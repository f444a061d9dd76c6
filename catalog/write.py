"""The only way to change individuals and sightings: one transaction, one event, and every change recorded.

Whatever was changed or rested on is recorded under the event, in the same transaction. A write that changed no
individual and no sighting leaves no event. Nothing here commits: `Catalogue.write` does, when its block ends well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select, update

from catalog import answers, events, individuals, schema, sightings, vectors
from catalog.chunks import chunks
from catalog.errors import EditConflict, NameRefused, NotKnown, ValueRefused
from catalog.names import clean_date, clean_label, clean_name, clean_place, listed, required_label, shown, storable
from catalog.outbox import Anew, Outbox
from catalog.values import BoxXYWH, Entity, Individual, PhotoRow, RowState, Sighting, Vector

_SETTABLE: dict[Entity, frozenset[str]] = {
    "individual": frozenset({"name", "species", "merged_into", "live"}),
    "sighting": frozenset(
        {"individual_id", "encounter_id", "species", "viewpoint", "taken_on", "taken_at", "lat", "lon", "live"}
    ),
}
Key = tuple[Entity, int, str]


class Write:
    """Handed out by `Catalogue.write`; of no use after its block, but for `event_id` and `changed`."""

    def __init__(self, connection: Connection, verb: str, who: str, what: str) -> None:
        self._connection = connection
        self._verb = required_label(verb, "verb")
        self._who = required_label(who, "user")
        self.what = what  # one sentence for a person; may be said anew until the block ends
        self.undoes: int | None = None
        self._changes: dict[Key, tuple[Any, Any]] = {}  # before, after
        self._outbox = Outbox(connection)
        self._event_id: int | None = None
        self._ended = False
        # What has been asked or added, so that nothing is asked twice:
        self._names: dict[str, int | None] = {}
        self._labels: dict[str, int] = {}
        self._taken: dict[tuple[str, str], int | None] = {}
        self._live: set[int] = set()

    @property
    def connection(self) -> Connection:
        """For reads (and an import's own tables) inside this transaction; sees everything added so far."""
        self._outbox.send()
        return self._connection

    @property
    def event_id(self) -> int:
        """Known before the block ends; after it, only of a write that changed something."""
        if self._event_id is None:
            if self._ended:
                raise RuntimeError("this write changed nothing, so there is no event")
            self._event_id = self._outbox.number(schema.events)
        return self._event_id

    @property
    def changed(self) -> bool:
        """Whether anything is recorded so far, and so whether there will be an event."""
        return bool(self._changes)

    # Looking, inside the transaction. The plural ones ask once for many; the singular ones then answer from memory.

    def individual(self, id_or_name: int | str) -> Individual:
        """The live one, or NotKnown that says what became of it."""
        return individuals.find(self.connection, id_or_name)

    def individuals_named(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of those names that a live individual has."""
        cleaned = {name: clean_name(name) for name in names}
        ask = [name for name in set(cleaned.values()) if name not in self._names]
        found = individuals.live_ids_by_name(self._connection, ask)
        self._names |= {name: found.get(name) for name in ask}
        self._live |= set(found.values())
        known = {given: self._names[name] for given, name in cleaned.items()}
        return {given: number for given, number in known.items() if number is not None}

    def individual_named(self, name: str) -> int | None:
        return self.individuals_named([name]).get(name)

    def sightings_by_photo(self, photos: Iterable[tuple[str, BoxXYWH | None]]) -> dict[tuple[str, BoxXYWH | None], int]:
        """The live sighting of each (sha256, box) that has one."""
        keys = {(sha256, box): (sha256, sightings.box_text(box)) for sha256, box in photos}
        ask = [key for key in set(keys.values()) if key not in self._taken]
        found = sightings.live_ids_by_photo(self._connection, ask)
        self._taken |= {key: found.get(key) for key in ask}
        known = {given: self._taken[key] for given, key in keys.items()}
        return {given: number for given, number in known.items() if number is not None}

    def sighting_by_photo(self, sha256: str, box: BoxXYWH | None = None) -> int | None:
        return self.sightings_by_photo([(sha256, box)]).get((sha256, box))

    def sightings(self, sighting_ids: Sequence[int]) -> list[Sighting]:
        """All of them, live, each once; NotKnown or EditConflict names those that are not."""
        found = sightings.by_ids(self.connection, sighting_ids)
        if lost := [i for i in sighting_ids if i not in found]:
            raise NotKnown(f'There is no sighting {listed(lost)}; "show" lists those of an individual.')
        if dead := [i for i in sighting_ids if not found[i].live]:
            raise EditConflict(
                f'Already deleted: sighting {listed(dead)}; "history --sighting" shows by what, and "undo" brings it back.'
            )
        return [found[i] for i in dict.fromkeys(sighting_ids)]

    def sightings_of(self, individual_id: int) -> list[int]:
        """Ids of the live ones."""
        return sightings.ids_of_individual(self.connection, individual_id)

    def fact(self, key: str) -> str | None:
        return answers.fact(self.connection, key)

    def set_fact(self, key: str, value: str) -> None:
        """Alone it makes no event."""
        answers.set_fact(self.connection, key, value)

    def encoded(self, sighting_ids: Iterable[int], bundle_id: str) -> set[int]:
        """Those of them that have a vector of this bundle."""
        return vectors.encoded(self.connection, bundle_id, sighting_ids)

    # Adding. Each answers with the id at once; the rows go out together.

    def add_individual(self, name: str, species: str | None = None) -> int:
        name, species = clean_name(name), clean_label(species, "species")
        self._refuse_taken(name)
        number = self._outbox.number(schema.individuals)
        self._outbox.add(schema.individuals, id=number, name=name, species=species)
        self._names[name] = number
        self._live.add(number)
        self._record("individual", number, "live", False, True)
        return number

    def encounters(self, labels: Iterable[str]) -> dict[str, int]:
        """Their ids; those that are new begin here."""
        cleaned = {label: required_label(label, "encounter") for label in labels}
        table = schema.encounters.c
        for some in chunks([label for label in set(cleaned.values()) if label not in self._labels]):
            rows = self._connection.execute(select(table.label, table.id).where(table.label.in_(some)))
            self._labels |= {row.label: row.id for row in rows}
        for label in cleaned.values():
            if label not in self._labels:
                self._labels[label] = self._outbox.number(schema.encounters)
                self._outbox.add(schema.encounters, id=self._labels[label], label=label)
        return {given: self._labels[label] for given, label in cleaned.items()}

    def encounter(self, label: str) -> int:
        return self.encounters([label])[label]

    def add_photo(self, photo: PhotoRow, *, anew: Anew = False) -> None:
        """A photo that is there already stays as it is, unless it was kept by reference, or is put back (`anew`, said or told
        of the row that is known): then it is where it lies now."""
        self._outbox.add_photo(photo, anew=anew)

    def add_sighting(
        self,
        individual_id: int,
        encounter_id: int,
        photo_sha256: str,
        box: BoxXYWH | None = None,
        *,
        species: str | None = None,
        viewpoint: str | None = None,
        taken_on: date | None = None,
        taken_at: datetime | None = None,
        lat: float | None = None,
        lon: float | None = None,
        brightness: float,
        sharpness: float,
    ) -> int:
        """Of a live individual; its photo is added in the same write or before. `taken_on` follows from `taken_at`."""
        place = clean_place(lat, lon)
        already = self.sighting_by_photo(photo_sha256, box)
        if already is not None:
            raise EditConflict(f"This photo (and box) is enrolled already, as sighting {already}; delete or reassign that one.")
        self._rest_on_live(individual_id)
        number = self._outbox.number(schema.sightings)
        self._outbox.add(
            schema.sightings,
            id=number,
            individual_id=individual_id,
            encounter_id=encounter_id,
            photo_sha256=photo_sha256,
            box=sightings.box_text(box),
            species=clean_label(species, "species"),
            viewpoint=clean_label(viewpoint, "viewpoint"),
            taken_on=clean_date(taken_on if taken_on is not None else taken_at, today=_today()),
            taken_at=None if taken_at is None else taken_at.replace(tzinfo=None),
            lat=place[0],
            lon=place[1],
            brightness=_finite(brightness, "brightness"),
            sharpness=_finite(sharpness, "sharpness"),
        )
        self._taken[photo_sha256, sightings.box_text(box)] = number
        self._record("sighting", number, "live", False, True)
        return number

    def add_vector(self, sighting_id: int, bundle_id: str, vector: Vector, norm: float) -> None:
        """The vector is (dim,) of unit norm; `norm` is the one before normalisation."""
        values = np.ascontiguousarray(vector, "<f4")
        if values.ndim != 1 or not np.isfinite(values).all() or abs(float(values @ values) - 1) > 1e-3:
            raise ValueRefused(
                f"The vector of sighting {sighting_id} (shape {values.shape}) is not one row of finite numbers of length one; "
                "encode the photo again."
            )
        data = values.tobytes()
        norm = _finite(norm, "norm")
        self._outbox.add(schema.vectors, bundle_id=bundle_id, sighting_id=sighting_id, vector=data, norm=norm)

    def mark_row(self, row_id: int, state: RowState, reason: str | None = None, sighting_id: int | None = None) -> None:
        """An import's row, in this transaction; alone it makes no event."""
        self._outbox.mark(row=row_id, to=state, why=storable(reason) if reason else None, sighting=sighting_id)

    # Changing.

    def set(self, entity: Entity, entity_id: int, **fields: Any) -> None:
        """Give one row these values. One that it has already is recorded as rested on."""
        self.set_many(entity, [entity_id], **fields)

    def set_many(self, entity: Entity, entity_ids: Iterable[int], **fields: Any) -> None:
        """Give all these rows these values, in a statement or two."""
        numbers, values = list(entity_ids), _cleaned(entity, fields)
        if "name" in values and self.individual_named(values["name"]) not in (None, *numbers):
            self._refuse_taken(values["name"])
        self.restore({(entity, number, field): value for number in numbers for field, value in values.items()})

    def restore(self, values: dict[Key, Any]) -> None:
        """Give fields of rows values that they have had, as they were (for `undo`): nothing is cleaned."""
        self._outbox.send()
        self._names.clear()
        self._taken.clear()
        self._live.clear()
        for entity in _SETTABLE:
            rows: dict[int, dict[str, Any]] = {}
            for (kind, number, field), value in values.items():
                if kind == entity:
                    rows.setdefault(number, {})[field] = value
            self._update(entity, rows)

    def rely(self, entity: Entity, entity_id: int, field: str) -> None:
        """Record that this event rests on a value: an undo of what gave it that value is refused while this stands."""
        self.rely_many(entity, [entity_id], field)

    def rely_many(self, entity: Entity, entity_ids: Iterable[int], field: str) -> None:
        self._outbox.send()
        for number, row in self._current(entity, list(entity_ids), [field]).items():
            self._record(entity, number, field, row[field], row[field])

    def live_of_dead(self) -> list[tuple[int, int]]:
        """(sighting, individual) that this write would leave: a live sighting of an individual that is not."""
        self._outbox.send()
        touched = [key for key, (before, after) in self._changes.items() if before != after]
        owners = [number for entity, number, field in touched if (entity, field) == ("individual", "live")]
        seen = [number for entity, number, field in touched if entity == "sighting" and field in ("live", "individual_id")]
        s, i = schema.sightings.c, schema.individuals.c
        broken = select(s.id, i.id).select_from(schema.sightings.join(schema.individuals)).where(s.live, ~i.live)
        found: set[tuple[int, int]] = set()
        for column, numbers in ((s.individual_id, owners), (s.id, seen)):
            for some in chunks(sorted(set(numbers))):
                found |= {(row[0], row[1]) for row in self._connection.execute(broken.where(column.in_(some)))}
        return sorted(found)

    def finish(self) -> None:
        """Send what waits, check what must always hold, append the event. `Catalogue.write` calls it, then commits."""
        self._outbox.send()
        self._ended = not self._changes
        if self._ended:
            return
        if broken := self.live_of_dead():
            lost = listed([sighting for sighting, _ in broken])
            raise EditConflict(
                f"Sighting {lost} would be left with an individual that is not there any more; nothing was changed."
            )
        event = {"id": self.event_id, "at": datetime.now(UTC), "who": self._who, "verb": self._verb}
        self._connection.execute(insert(schema.events), [event | {"what": storable(self.what), "undoes": self.undoes}])
        rows = [
            {
                "event_id": self.event_id,
                "entity": entity,
                "entity_id": number,
                "field": field,
                "before": events.to_json(before),
                "after": events.to_json(after),
            }
            for (entity, number, field), (before, after) in self._changes.items()
        ]
        self._connection.execute(insert(schema.changes), rows)

    # Inside.

    def _record(self, entity: Entity, number: int, field: str, before: Any, after: Any) -> None:
        """One row of the log a field: what was first, what is last."""
        first, _ = self._changes.get((entity, number, field), (before, None))
        self._changes[entity, number, field] = (first, after)

    def _refuse_taken(self, name: str) -> None:
        holder = self.individual_named(name)
        if holder is not None:
            raise NameRefused(f"The name {shown(name)} is taken by individual {holder}; choose another, or merge the two.")

    def _rest_on_live(self, individual_id: int) -> None:
        if individual_id not in self._live:
            individuals.find(self._connection, individual_id)
            self._live.add(individual_id)
        if ("individual", individual_id, "live") not in self._changes:
            self._record("individual", individual_id, "live", True, True)

    def _current(self, entity: Entity, numbers: Sequence[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        table = events.TABLES[entity]
        columns = [table.c[field] for field in fields]
        found: dict[int, dict[str, Any]] = {}
        for some in chunks(numbers):
            for row in self._connection.execute(select(table.c.id, *columns).where(table.c.id.in_(some))):
                found[row[0]] = dict(zip(fields, row[1:], strict=True))
        if lost := [i for i in numbers if i not in found]:
            raise NotKnown(f"There is no {entity} {listed(lost)}.")
        return found

    def _update(self, entity: Entity, rows: dict[int, dict[str, Any]]) -> None:
        table = events.TABLES[entity]
        current = self._current(entity, list(rows), sorted({field for row in rows.values() for field in row}))
        for number, row in rows.items():
            for field, value in row.items():
                self._record(entity, number, field, current[number][field], value)
        # Rows that die go first: they free the name or the photo that another may take in the same event.
        ordered = sorted(rows.items(), key=lambda item: (item[1].get("live") is not False, sorted(item[1])))
        for names, group in groupby(ordered, key=lambda item: sorted(item[1])):
            values: dict[str, Any] = {name: bindparam(f"_{name}") for name in names}
            given = [{"_row": number} | {f"_{name}": row[name] for name in names} for number, row in group]
            self._connection.execute(update(table).where(table.c.id == bindparam("_row")).values(values), given)


def _cleaned(entity: Entity, fields: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(fields) - _SETTABLE[entity]):
        raise ValueRefused(
            f"The {entity} has no field {listed(unknown)}; those that can be set: {', '.join(sorted(_SETTABLE[entity]))}."
        )
    values = dict(fields)
    if "name" in values:
        values["name"] = clean_name(values["name"])
    for field in ("species", "viewpoint"):
        if field in values:
            values[field] = clean_label(values[field], field)
    if "taken_on" in values:
        values["taken_on"] = clean_date(values["taken_on"], today=_today())
    if "lat" in values or "lon" in values:
        values["lat"], values["lon"] = clean_place(values.get("lat"), values.get("lon"))
    return values


def _today() -> date:
    return datetime.now(UTC).date()


def _finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise ValueRefused(f"The {what} of a sighting is {value}; a finite number was expected. Encode the photo again.")
    return float(value)
