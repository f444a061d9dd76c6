"""Reading vectors: ids and matrices, in blocks, of live sightings.

Each block is a query of its own, so that a reader that takes minutes over them holds no transaction open (SQLite's
log could not be folded back meanwhile).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, func, select

from catalog.chunks import chunks
from catalog.schema import bundles, sightings, vectors
from catalog.values import Bundle, Ids, Indexable, Vectors

_V, _S = vectors.c, sightings.c
BLOCK = 4096  # 8 MB of 512 float32


def _of(bundle_id: str, *columns: ColumnElement[Any]) -> Select[Any]:
    both = vectors.join(sightings, _V.sighting_id == _S.id)
    return select(*columns).select_from(both).where(_V.bundle_id == bundle_id).order_by(_V.sighting_id)


def _live_of(bundle_id: str, *columns: ColumnElement[Any]) -> Select[Any]:
    return _of(bundle_id, *columns).where(_S.live)


def live_ids(connection: Connection, bundle_id: str) -> Ids:
    """Ascending."""
    return np.fromiter(connection.scalars(_live_of(bundle_id, _V.sighting_id)), np.int64)


def enrolled(connection: Connection, bundle_id: str) -> Ids:
    """See `Catalogue.enrolled`."""
    columns = (_V.sighting_id, _S.individual_id, _S.encounter_id, _S.taken_on, _S.taken_at)
    rows = connection.execute(_live_of(bundle_id, *columns)).all()
    told = [(*row[:3], _day(row[3]), _second(row[4])) for row in rows]
    return np.array(told, np.int64).reshape(len(rows), 5)


def _day(taken_on: date | None) -> int:
    return 0 if taken_on is None else taken_on.toordinal()


def _second(taken_at: datetime | None) -> int:
    return 0 if taken_at is None else (taken_at - datetime.min) // timedelta(seconds=1)


def count(connection: Connection) -> dict[str, int]:
    query = select(_V.bundle_id, func.count()).select_from(vectors.join(sightings)).where(_S.live).group_by(_V.bundle_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def encoded(connection: Connection, bundle_id: str, sighting_ids: Iterable[int]) -> set[int]:
    """Those of them that this bundle has encoded, live or not."""
    found: set[int] = set()
    for some in chunks(list(sighting_ids)):
        query = select(_V.sighting_id).where(_V.bundle_id == bundle_id, _V.sighting_id.in_(some))
        found.update(connection.scalars(query))
    return found


def ranges(ids: Ids) -> Iterator[ColumnElement[bool]]:
    """Conditions that cover all these ascending ids, a block each."""
    for start in range(0, len(ids), BLOCK):
        yield _V.sighting_id.between(int(ids[start]), int(ids[start : start + BLOCK][-1]))


def lists(sighting_ids: Iterable[int]) -> Iterator[ColumnElement[bool]]:
    """Conditions that name just these ids, a block each."""
    for piece in chunks(sorted({int(i) for i in sighting_ids}), BLOCK):
        yield _V.sighting_id.in_(piece)


def block(connection: Connection, bundle_id: str, among: ColumnElement[bool], *, deleted: bool) -> tuple[Ids, Vectors]:
    """Where nothing is found, both are empty. `deleted`: of deleted sightings too."""
    of = _of if deleted else _live_of
    rows = connection.execute(of(bundle_id, _V.sighting_id, _V.vector).where(among)).all()
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    matrix = np.frombuffer(b"".join(row[1] for row in rows), "<f4").astype(np.float32, copy=False)
    return ids, matrix.reshape(len(rows), -1) if rows else matrix.reshape(0, 0)


def indexable(connection: Connection, bundle_id: str, among: ColumnElement[bool]) -> list[Indexable]:
    query = _live_of(bundle_id, _V.sighting_id, _V.vector, _S.species, _S.viewpoint, _S.taken_on, _S.lat, _S.lon)
    return [
        Indexable(row[0], np.frombuffer(row[1], "<f4").astype(np.float32, copy=False), *row[2:])
        for row in connection.execute(query.where(among))
    ]


def all_bundles(connection: Connection) -> list[Bundle]:
    return [Bundle(*row) for row in connection.execute(select(bundles).order_by(bundles.c.first_used, bundles.c.id))]
