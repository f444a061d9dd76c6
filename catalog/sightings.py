"""Reading sightings, on the connection that is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from catalog.chunks import chunks
from catalog.errors import NotKnown, ValueRefused
from catalog.schema import encounters, individuals, photos, sightings
from catalog.values import BoxXYWH, Owner, PhotoRow, Sighting

_S = sightings.c
# Made once: every identification asks it, and making it takes as long as answering it.
_OWNERS = (
    select(_S.id, _S.individual_id, individuals.c.name, individuals.c.species, _S.encounter_id, photos.c.name)
    .select_from(sightings.join(individuals).join(photos))
    .where(_S.id.in_(bindparam("ids", expanding=True)), _S.live)
)


def box_text(box: BoxXYWH | None) -> str:
    """As it stands in the column: empty is the whole photo."""
    if box is None:
        return ""
    x, y, width, height = box
    if x < 0 or y < 0 or width < 1 or height < 1:
        raise ValueRefused(f"The box {x},{y},{width},{height} cannot be; give x,y,width,height in pixels of the upright photo.")
    return f"{x},{y},{width},{height}"


def box_of(text: str) -> BoxXYWH | None:
    if not text:
        return None
    x, y, width, height = (int(part) for part in text.split(","))
    return x, y, width, height


def owners(connection: Connection, sighting_ids: Iterable[int]) -> dict[int, Owner]:
    """Whose they are, for the live ones among them."""
    found: dict[int, Owner] = {}
    for some in chunks([int(i) for i in sighting_ids]):
        for row in connection.execute(_OWNERS, {"ids": some}).all():
            found[row[0]] = Owner(*row[1:])
    return found


def _whole() -> Select[Any]:
    return select(
        sightings, individuals.c.name.label("individual"), encounters.c.label, photos.c.name.label("photo")
    ).select_from(sightings.join(individuals).join(encounters).join(photos))


def _sighting(row: Row[Any]) -> Sighting:
    return Sighting(
        id=row.id,
        individual_id=row.individual_id,
        individual=row.individual,
        encounter_id=row.encounter_id,
        encounter=row.label,
        photo_sha256=row.photo_sha256,
        photo=row.photo,
        box=box_of(row.box),
        species=row.species,
        viewpoint=row.viewpoint,
        taken_on=row.taken_on,
        taken_at=row.taken_at,
        lat=row.lat,
        lon=row.lon,
        brightness=row.brightness,
        sharpness=row.sharpness,
        live=row.live,
    )


def by_id(connection: Connection, sighting_id: int) -> Sighting:
    """Live or not."""
    row = connection.execute(_whole().where(_S.id == sighting_id)).one_or_none()
    if row is None:
        raise NotKnown(f'There is no sighting {sighting_id}; "show" lists those of an individual.')
    return _sighting(row)


def by_ids(connection: Connection, sighting_ids: Sequence[int]) -> dict[int, Sighting]:
    """Those there are, live or not."""
    found: dict[int, Sighting] = {}
    for some in chunks(list(sighting_ids)):
        for row in connection.execute(_whole().where(_S.id.in_(some))):
            found[row.id] = _sighting(row)
    return found


def of_individual(connection: Connection, individual_id: int) -> list[Sighting]:
    """The live ones, oldest entry first."""
    return [
        _sighting(row) for row in connection.execute(_whole().where(_S.individual_id == individual_id, _S.live).order_by(_S.id))
    ]


def ids_of_individual(connection: Connection, individual_id: int) -> list[int]:
    return list(connection.scalars(select(_S.id).where(_S.individual_id == individual_id, _S.live).order_by(_S.id)))


def live_ids_by_photo(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(photo's sha256, box as text) to the live sighting of it."""
    wanted = set(pairs)
    found: dict[tuple[str, str], int] = {}
    for some in chunks(sorted({sha256 for sha256, _ in wanted})):
        for row in connection.execute(select(_S.photo_sha256, _S.box, _S.id).where(_S.live, _S.photo_sha256.in_(some))):
            if (row.photo_sha256, row.box) in wanted:
                found[row.photo_sha256, row.box] = row.id
    return found


def photos_of(connection: Connection, sighting_ids: Sequence[int]) -> dict[int, tuple[PhotoRow, BoxXYWH | None]]:
    """Of those there are, live or not."""
    found: dict[int, tuple[PhotoRow, BoxXYWH | None]] = {}
    for some in chunks(list(sighting_ids)):
        query = select(photos, _S.id, _S.box).select_from(sightings.join(photos)).where(_S.id.in_(some))
        for row in connection.execute(query):
            found[row.id] = PhotoRow(*row[:-2]), box_of(row.box)
    return found


def photo(connection: Connection, sha256: str) -> PhotoRow | None:
    row = connection.execute(select(photos).where(photos.c.sha256 == sha256)).one_or_none()
    return None if row is None else PhotoRow(*row)


def photos_since(connection: Connection, sighting_id: int) -> set[str]:
    """Hashes of the photos whose first sighting came after this one."""
    first = select(_S.photo_sha256).group_by(_S.photo_sha256).having(func.min(_S.id) > sighting_id)
    return set(connection.scalars(first))


def last_id(connection: Connection) -> int:
    return connection.scalar(select(func.max(_S.id))) or 0


def all_photos(connection: Connection, after: str, limit: int) -> list[PhotoRow]:
    query = select(photos).where(photos.c.sha256 > after).order_by(photos.c.sha256).limit(limit)
    return [PhotoRow(*row) for row in connection.execute(query)]
