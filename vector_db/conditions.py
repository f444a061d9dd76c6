"""A filter as plain conditions that both engines understand, and facts as the payload that they match.

Owns what a filter means at its edges; both engines build their own objects from these few tuples, so that they
cannot drift apart. Holds no numpy, because the worker process imports it.

The engine's geographic index answers wrongly in three cases, each measured against brute force over the sphere: a
coordinate of exactly 90 or 180 degrees wraps round, a box across the antimeridian loses points when it is wide, and
the edge of a box is outside it. Hence coordinates are kept a hair inside the globe, such a box is asked as two, and
boxes are a hair wider than they say. A hair is 1e-9 degrees, a tenth of a millimetre.
"""

from __future__ import annotations

from datetime import date
from math import copysign, isfinite
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from vector_db.errors import FactRefused

if TYPE_CHECKING:  # the worker knows conditions and payloads, never these
    from vector_db.port import Facts, Filter, GeoBox, Place

Payload = dict[str, Any]

SPECIES, VIEWPOINT, TAKEN, PLACE = "species", "viewpoint", "taken", "place"
HAIR = 1e-9
MILLIMETRE = 0.001
MAX_ID = 2**63 - 1


class Equal(NamedTuple):
    key: str
    value: str


class Between(NamedTuple):
    """Both ends included; None is open."""

    key: str
    low: int | None
    high: int | None


class Around(NamedTuple):
    lat: float
    lon: float
    metres: float


class Box(NamedTuple):
    south: float
    west: float
    north: float
    east: float


class AnyBox(NamedTuple):
    """In one of them; none crosses the antimeridian."""

    boxes: tuple[Box, ...]


class Among(NamedTuple):
    ids: tuple[int, ...]


class NotAmong(NamedTuple):
    ids: tuple[int, ...]


Condition = Equal | Between | Around | AnyBox | Among | NotAmong


def conditions(where: Filter) -> tuple[Condition, ...]:
    """Everything that must hold for a point to match."""
    found: list[Condition] = []
    if where.species is not None:
        found.append(Equal(SPECIES, _text(where.species)))
    if where.viewpoint is not None:
        found.append(Equal(VIEWPOINT, _text(where.viewpoint)))
    if where.after is not None or where.before is not None:
        found.append(Between(TAKEN, _day(where.after), _day(where.before)))
    if where.near is not None:
        centre = _inside(where.near.centre)
        if not isfinite(where.near.km) or where.near.km < 0:
            raise FactRefused(f"A search radius of {where.near.km} km cannot be; give a number of kilometres, 0 or more.")
        found.append(Around(*centre, where.near.km * 1000 + MILLIMETRE))
    if where.within is not None:
        found.append(AnyBox(_boxes(where.within)))
    if where.among is not None:
        found.append(Among(tuple(sorted(checked_id(id) for id in where.among))))
    if where.exclude:
        found.append(NotAmong(tuple(sorted(checked_id(id) for id in where.exclude))))
    return tuple(found)


def payload_of(facts: Facts) -> Payload:
    """What a point carries; an absent fact is an absent key."""
    payload: Payload = {}
    if facts.species is not None:
        payload[SPECIES] = _text(facts.species)
    if facts.viewpoint is not None:
        payload[VIEWPOINT] = _text(facts.viewpoint)
    if facts.taken is not None:
        payload[TAKEN] = _day(facts.taken)
    if facts.place is not None:
        lat, lon = _inside(facts.place)
        payload[PLACE] = {"lat": lat, "lon": lon}
    return payload


def facts_of(payload: Payload | None) -> Facts:
    """The facts that `payload_of` was given."""
    from vector_db.port import Facts, Place

    given = payload or {}
    day, spot = given.get(TAKEN), given.get(PLACE)
    return Facts(
        species=given.get(SPECIES),
        viewpoint=given.get(VIEWPOINT),
        taken=None if day is None else date(day // 10000, day // 100 % 100, day % 100),
        place=None if spot is None else Place(_outside(spot["lat"], 90), _outside(spot["lon"], 180)),
    )


def checked_id(given: int) -> int:
    try:
        id = -1 if isinstance(given, bool) else index(given)
    except TypeError:
        id = -1
    if not 0 <= id <= MAX_ID:
        raise FactRefused(f"A point's id is {given!r}; expected a sighting's id, a whole number from 0.")
    return id


def _text(given: str) -> str:
    try:
        given.encode()
    except UnicodeEncodeError as error:  # half a character, which no engine takes
        raise FactRefused(
            f"The text {given!r} cannot be written ({error.reason}). Give it again without that character."
        ) from error
    return given


def _day(day: date | None) -> int | None:
    """20240501: a number that sorts, and that a person can read in the engine's own tools."""
    return None if day is None else day.year * 10000 + day.month * 100 + day.day


def _inside(place: Place) -> tuple[float, float]:
    if not (abs(place.lat) <= 90 and abs(place.lon) <= 180):  # also refuses NaN
        raise FactRefused(
            f"There is no place at latitude {place.lat}, longitude {place.lon}; "
            "give degrees, latitude from -90 to 90 and longitude from -180 to 180."
        )
    return _kept(place.lat, 90 - HAIR), _kept(place.lon, 180 - HAIR)


def _kept(degrees: float, limit: float) -> float:
    return max(-limit, min(limit, float(degrees)))


def _outside(degrees: float, limit: int) -> float:
    return copysign(limit, degrees) if abs(degrees) >= limit - HAIR else degrees


def _boxes(box: GeoBox) -> tuple[Box, ...]:
    for corner in (box.south, box.north):
        if not abs(corner) <= 90:
            raise FactRefused(f"A box cannot reach to latitude {corner}; give degrees from -90 to 90.")
    for corner in (box.west, box.east):
        if not abs(corner) <= 180:
            raise FactRefused(f"A box cannot reach to longitude {corner}; give degrees from -180 to 180.")
    if box.south > box.north:
        raise FactRefused(f"A box from south {box.south} to north {box.north} is empty; give south before north.")
    half = HAIR / 2  # short of the globe's own edges still
    south, north = _kept(box.south, 90 - HAIR) - half, _kept(box.north, 90 - HAIR) + half
    west, east = _kept(box.west, 180 - HAIR) - half, _kept(box.east, 180 - HAIR) + half
    if box.west <= box.east:
        return (Box(south, west, north, east),)
    end = 180 - half
    return (Box(south, west, north, end), Box(south, -end, north, east))
