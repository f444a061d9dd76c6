"""Reading individuals, on the connection that is handed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, String, false, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from catalog.chunks import chunks
from catalog.errors import NotKnown
from catalog.names import clean_name, folded, shown
from catalog.schema import individuals, sightings
from catalog.values import Individual, IndividualSummary

_I = individuals.c
Order = Literal["name", "id", "sightings", "encounters"]


class _Folded(FunctionElement[str]):
    """`names.folded` in SQL: on SQLite itself (`engine.py`), on PostgreSQL what its locale knows, and the two letters that
    are written otherwise in capitals."""

    type = String()
    inherit_cache = True


@compiles(_Folded)
def _on_sqlite(element: _Folded, compiler: SQLCompiler, **more: Any) -> str:
    return f"folded({compiler.process(element.clauses, **more)})"


@compiles(_Folded, "postgresql")
def _on_postgresql(element: _Folded, compiler: SQLCompiler, **more: Any) -> str:
    name, (final, other) = compiler.process(element.clauses, **more), ("\u03c2", "\u03c3")  # sigmas
    return f"replace(replace(lower({name}), 'ß', 'ss'), '{final}', '{other}')"


def _individual(row: Row[Any]) -> Individual:
    return Individual(row.id, row.name, row.species, row.live, row.merged_into)


def by_id(connection: Connection, individual_id: int) -> Individual:
    """Live or not."""
    row = connection.execute(select(individuals).where(_I.id == individual_id)).one_or_none()
    if row is None:
        raise NotKnown(f'There is no individual {individual_id}; "individuals" lists them.')
    return _individual(row)


def live_ids_by_name(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in chunks(list(names)):
        rows = connection.execute(select(_I.name, _I.id).where(_I.live, _I.name.in_(some)))
        found |= {row.name: row.id for row in rows}
    return found


def find(connection: Connection, given: int | str) -> Individual:
    """The live individual of this id or name."""
    return _live(connection, find_any(connection, given))


def find_any(connection: Connection, given: int | str) -> Individual:
    """Live or not, the live one first. Digits are a name first, then an id; both at once is refused.

    "id:12" and "name:12" say which is meant.
    """
    if isinstance(given, int):
        return by_id(connection, given)
    kind, _, rest = given.partition(":")
    if kind.lower() == "id":
        if not _is_id(rest):
            raise NotKnown(f'"id:" wants a number after it, and {shown(rest)} is none.')
        return by_id(connection, int(rest))
    name = clean_name(rest if kind.lower() == "name" else given)
    by_name = live_ids_by_name(connection, [name]).get(name)
    as_id = int(name) if _is_id(name) and kind.lower() != "name" else None
    has_id = as_id is not None and connection.scalar(select(_I.id).where(_I.id == as_id)) is not None
    if by_name is not None:
        if has_id and as_id != by_name:
            raise NotKnown(
                f'{shown(name)} is the name of individual {by_name} and the id of another; say "name:{name}" or "id:{name}".'
            )
        return by_id(connection, by_name)
    if as_id is not None and has_id:
        return by_id(connection, as_id)
    gone = connection.execute(select(individuals).where(_I.name == name).order_by(_I.id.desc()).limit(1)).one_or_none()
    if gone is not None:
        return _individual(gone)
    raise NotKnown(f'There is no individual {shown(name)}; "individuals" lists them.')


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # 64 bits


def _live(connection: Connection, individual: Individual) -> Individual:
    if individual.live:
        return individual
    raise NotKnown(gone(connection, individual))


def heir(connection: Connection, individual_id: int) -> int:
    """Whom this individual has been merged into, if anybody; else itself."""
    while (into := by_id(connection, individual_id).merged_into) is not None:
        individual_id = into
    return individual_id


def gone(connection: Connection, individual: Individual) -> str:
    """Why a tombstone is one, for a message."""
    who, way = f'Individual {individual.id} ("{individual.name}")', '"history" shows by which event, and "undo" brings it back.'
    if individual.merged_into is None:
        return f"{who} has been deleted; {way}"
    heir = by_id(connection, individual.merged_into)
    return f'{who} has been merged into individual {heir.id} ("{heir.name}"); {way}'


def listing(
    connection: Connection,
    search: str | None = None,
    species: str | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
    order: Order = "name",
    descending: bool = False,
) -> list[IndividualSummary]:
    """The live ones by name. `search`: a part of the name in any case: see `names.folded`."""
    chosen = _chosen(select(_I.id, _I.name, _I.species), search, species)
    if order in {"sightings", "encounters"}:
        return _counted(connection, chosen, order, descending=descending, limit=limit, offset=offset)
    by = _I.name if order == "name" else _I.id
    some = chosen.order_by(by.desc() if descending else by).limit(limit).offset(offset or None).subquery()
    seen = sightings.c
    query = (
        select(some.c.id, some.c.name, some.c.species, func.count(seen.id), func.count(seen.encounter_id.distinct()))
        .select_from(some.outerjoin(sightings, (seen.individual_id == some.c.id) & seen.live))
        .group_by(some.c.id, some.c.name, some.c.species)
    )
    column = some.c.name if order == "name" else some.c.id
    return [IndividualSummary(*row) for row in connection.execute(query.order_by(column.desc() if descending else column))]


def _chosen(query: Select[Any], search: str | None, species: str | None) -> Select[Any]:
    query = query.where(_I.live)
    if search and "\0" in search:  # where SQLite's text ends; no name has one
        return query.where(false())
    if search:
        query = query.where(_Folded(_I.name).contains(folded(search), autoescape=True))
    return query if species is None else query.where(_I.species == species)


def _counted(
    connection: Connection, chosen: Select[Any], order: Order, *, descending: bool, limit: int | None, offset: int
) -> list[IndividualSummary]:
    """Ordered by a count, which has to be made of all of them first."""
    some, seen = chosen.subquery(), sightings.c
    numbers = {"sightings": func.count(seen.id), "encounters": func.count(seen.encounter_id.distinct())}
    by = numbers[order].desc() if descending else numbers[order]
    query = (
        select(some.c.id, some.c.name, some.c.species, numbers["sightings"], numbers["encounters"])
        .select_from(some.outerjoin(sightings, (seen.individual_id == some.c.id) & seen.live))
        .group_by(some.c.id, some.c.name, some.c.species)
        .order_by(by, some.c.name)
    )
    return [IndividualSummary(*row) for row in connection.execute(query.limit(limit).offset(offset or None))]


def count(connection: Connection, search: str | None = None, species: str | None = None) -> int:
    """How many `listing` would list without a limit."""
    return connection.scalar(_chosen(select(func.count()).select_from(individuals), search, species)) or 0


def species(connection: Connection) -> frozenset[str]:
    """Those that live individuals are said to be of."""
    named = select(_I.species).where(_I.live, _I.species.is_not(None)).distinct()
    return frozenset(connection.execute(named).scalars())


def summary(connection: Connection, individual_id: int) -> IndividualSummary:
    seen = sightings.c
    query = select(func.count(seen.id), func.count(seen.encounter_id.distinct())).where(
        seen.individual_id == individual_id, seen.live
    )
    who = by_id(connection, individual_id)
    photos, occasions = connection.execute(query).one()
    return IndividualSummary(who.id, who.name, who.species, photos, occasions)
