"""Local features as they were packed: a cache beside the sightings, which a second opinion fills and reads.

Nothing rests on a row of it: one that is gone or damaged is made again from the kept photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from catalog.chunks import chunks
from catalog.schema import local_features

_L = local_features.c


def packed(connection: Connection, sighting_ids: Sequence[int]) -> dict[int, bytes]:
    """Those there are."""
    found: dict[int, bytes] = {}
    for some in chunks(list(sighting_ids)):
        for row in connection.execute(select(_L.sighting_id, _L.packed).where(_L.sighting_id.in_(some))):
            found[row.sighting_id] = row.packed
    return found


def put(connection: Connection, features: Mapping[int, bytes]) -> None:
    """In place of what was there."""
    for some in chunks(list(features)):
        connection.execute(delete(local_features).where(_L.sighting_id.in_(some)))
        connection.execute(insert(local_features), [{"sighting_id": one, "packed": features[one]} for one in some])
