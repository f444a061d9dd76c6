"""What `doctor` asks of the rows: how many there are, and whether they agree with each other."""

from __future__ import annotations

from sqlalchemy import Connection, Table, and_, func, select

from catalog import vectors as reading
from catalog.schema import encounters, events, identifications, individuals, photos, sightings, vectors
from catalog.values import Counts, Health


def counts(connection: Connection) -> Counts:
    def rows(table: Table, *, live: bool | None = None) -> int:
        query = select(func.count()).select_from(table)
        return connection.scalar(query if live is None else query.where(table.c.live.is_(live))) or 0

    return Counts(
        individuals=rows(individuals, live=True),
        sightings=rows(sightings, live=True),
        encounters=rows(encounters),
        photos=rows(photos),
        events=rows(events),
        identifications=rows(identifications),
        tombstones=rows(individuals, live=False) + rows(sightings, live=False),
        vectors=reading.count(connection),
    )


def without_vector(connection: Connection, bundle_id: str) -> list[int]:
    """Live sightings that this bundle has not encoded, ascending."""
    has = and_(vectors.c.sighting_id == sightings.c.id, vectors.c.bundle_id == bundle_id)
    query = (
        select(sightings.c.id).select_from(sightings.outerjoin(vectors, has)).where(sightings.c.live, vectors.c.norm.is_(None))
    )
    return list(connection.scalars(query.order_by(sightings.c.id)))


def live_of_dead(connection: Connection) -> list[int]:
    query = select(sightings.c.id).select_from(sightings.join(individuals)).where(sightings.c.live, ~individuals.c.live)
    return list(connection.scalars(query.order_by(sightings.c.id)))


def check(connection: Connection, bundle_id: str | None) -> Health:
    damage: list[str] = []
    orphans: list[str] = []
    if connection.dialect.name == "sqlite":  # a PostgreSQL server checks its pages and keys itself
        damage = [line for line in connection.exec_driver_sql("PRAGMA quick_check(20)").scalars() if line != "ok"]
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        orphans = [f"{row[0]} row {row[1]} points at a row of {row[2]} that is not there" for row in broken]
    lacking = without_vector(connection, bundle_id) if bundle_id is not None else []
    return Health(damage, orphans, live_of_dead(connection), lacking)
