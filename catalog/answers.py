"""What was answered and how well it was calibrated: identifications, calibrations, bundles in use, single facts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from catalog.errors import NotKnown, ValueRefused
from catalog.schema import bundles, calibrations, facts, identifications, vectors
from catalog.values import Calibration, Identification

_KEEP = insert(identifications)  # made once, since every identification asks it


def keep_identification(connection: Connection, kept: dict[str, Any]) -> int:
    """Its columns but the number, which is the answer."""
    key = connection.execute(_KEEP, kept).inserted_primary_key
    assert key is not None  # one row, so there is one
    return int(key[0])


def identification(connection: Connection, identification_id: int) -> Identification:
    row = connection.execute(select(identifications).where(identifications.c.id == identification_id)).one_or_none()
    if row is None:
        raise NotKnown(f"There is no identification {identification_id}.")
    return Identification(*row)


def latest_calibration(connection: Connection, bundle_id: str) -> Calibration | None:
    query = select(calibrations).where(calibrations.c.bundle_id == bundle_id).order_by(calibrations.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Calibration(row.id, row.bundle_id, row.at, row.sightings, row.fitted)


def put_calibration(connection: Connection, now: datetime, bundle_id: str, sightings: int, fitted: dict[str, Any]) -> None:
    row = {"bundle_id": bundle_id, "at": now, "sightings": sightings, "fitted": fitted}
    connection.execute(insert(calibrations).values(row))


def is_registered(connection: Connection, bundle_id: str, sha256: str, dimension: int) -> bool:
    """Whether it is there; with other content it is refused, since its vectors would not be comparable."""
    known = connection.execute(select(bundles).where(bundles.c.id == bundle_id)).one_or_none()
    if known is not None and (known.sha256, known.dimension) != (sha256, dimension):
        raise ValueRefused(
            f"The bundle {bundle_id} is not the one that this catalogue was filled with: it has sha256 {sha256[:12]}…, "
            f"dimension {dimension}; expected were {known.sha256[:12]}… and {known.dimension}. Use that bundle, or rename this."
        )
    return known is not None


def register_bundle(connection: Connection, now: datetime, bundle_id: str, sha256: str, dimension: int) -> None:
    if not is_registered(connection, bundle_id, sha256, dimension):
        row = {"id": bundle_id, "sha256": sha256, "dimension": dimension, "first_used": now}
        connection.execute(insert(bundles).values(row))


def forget_vectors(connection: Connection, bundle_id: str) -> None:
    for table in (vectors, calibrations):
        connection.execute(delete(table).where(table.c.bundle_id == bundle_id))


def fact(connection: Connection, key: str) -> str | None:
    return connection.scalar(select(facts.c.value).where(facts.c.key == key))


def set_fact(connection: Connection, key: str, value: str | None) -> None:
    """None forgets it."""
    connection.execute(delete(facts).where(facts.c.key == key))
    if value is not None:
        connection.execute(insert(facts).values(key=key, value=value))
