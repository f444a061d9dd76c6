"""What a person or a table says of a photo, made sound once: dates, coordinates, labels, boxes.

Where a person says nothing, the photo's own metadata speak: date and place by EXIF. What is given wins, since cameras'
clocks err and spreadsheets are corrected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import TypeVar

from catalog.errors import CatalogueRefused
from catalog.names import clean_date, clean_label, clean_place, shown
from catalog.values import Sighting
from encoder.values import Box, Taken
from indexer.errors import RowRefused

T = TypeVar("T")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.:]?(0[1-9]|1[0-2])[-_.:]?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of a photo beside its pixels; None where nothing was said."""

    species: str | None = None
    encounter: str | None = None
    taken_on: date | None = None
    lat: float | None = None
    lon: float | None = None
    viewpoint: str | None = None
    box: Box | None = None

    def unlike(self, kept: Sighting) -> str:
        """What is said here and stands otherwise in the catalogue, for a person; empty where nothing does.

        >>> given(viewpoint="left").unlike(sighting)
        'its viewpoint stays "right" ("left" was given)'
        """
        place, stands = (self.lat, self.lon), (kept.lat, kept.lon)
        pairs = [
            ("species", self.species, kept.species),
            ("encounter", self.encounter, kept.encounter),
            ("date", self.taken_on, kept.taken_on),
            ("place", None if None in place else place, None if None in stands else stands),
            ("viewpoint", self.viewpoint, kept.viewpoint),
        ]
        differing = [(what, said, stands) for what, said, stands in pairs if said is not None and said != stands]
        return ", ".join(f"its {what} stays {_told(stands)} ({_told(said)} was given)" for what, said, stands in differing)

    def or_from(self, taken: Taken) -> Given:
        """This, with date and place filled in from the photo's own metadata."""
        place = (self.lat, self.lon) if self.lat is not None else (taken.lat, taken.lon)
        day = self.taken_on or (taken.at.date() if taken.at else None)
        return Given(self.species, self.encounter, day, *place, self.viewpoint, self.box)


def given(
    *,
    species: str | None = None,
    encounter: str | None = None,
    taken_on: str | None = None,
    lat: str | float | None = None,
    lon: str | float | None = None,
    viewpoint: str | None = None,
    box: str | None = None,
) -> Given:
    """`Given` from words, or a refusal that says which of them cannot be: all of them.

    >>> given(taken_on="2019-08-05", box="10,20,300,200").box
    Box(x=10, y=20, width=300, height=200)
    """
    faults: list[CatalogueRefused | RowRefused] = []

    def tried(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except (CatalogueRefused, RowRefused) as error:
            if str(error) not in map(str, faults):
                faults.append(error)
            return None

    known = tried(lambda: clean_label(species, "species"))
    occasion = tried(lambda: clean_label(encounter, "encounter"))
    when = tried(lambda: day(taken_on))
    place = tried(lambda: clean_place(lat, lon))
    if place is None and lon not in (None, ""):  # it was the latitude, maybe: of the longitude by itself
        tried(lambda: clean_place(0.0, lon))
    side = tried(lambda: clean_label(viewpoint, "viewpoint"))
    cut = tried(lambda: crop(box))
    if faults:
        raise type(faults[0])(" ".join(map(str, faults))) from faults[0]
    return Given(known, occasion, when, *(place or (None, None)), side, cut)


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{degrees:g}" for degrees in value)
    return "unknown" if value is None else shown(value)


def day(text: str | None) -> date | None:
    """A date as tables and cameras write it: `2019-08-05`, with a time after it, `2019:08:05`, or `20190805`.

    A day that is yet to come is refused: it is a typing error or a camera's wrong clock.
    """
    return clean_date(_iso(text), today=date.today())


def bound(text: str | None) -> date | None:
    """A day to compare with, written alike; it may be yet to come, as the end of a season is."""
    return clean_date(_iso(text))


def _iso(text: str | None) -> str:
    text = (text or "").strip()
    found = _DATE.match(text)
    if found is not None and re.fullmatch(r"([T ].*)?", text[found.end() :]):
        return "-".join(found.groups())
    return text


def day_in(path: str) -> date | None:
    """A date that stands in a folder's or file's name, the deepest first; None where there is none.

    Many cameras' names are numbers only: one that would be a day yet to come is none.
    """
    for part in reversed(re.split(r"[/\\]", path)):
        for found in _DATE.finditer(part):
            with suppress(ValueError):
                day = date(*map(int, found.groups()))
                if day <= date.today():
                    return day
    return None


def crop(text: str | None) -> Box | None:
    text = (text or "").strip().strip("[]()")
    if not text or text == "-":
        return None
    parts = re.split(r"[,;\s]+", text)
    try:
        numbers = [float(part) for part in parts]
        if len(numbers) != 4 or not all(map(isfinite, numbers)) or min(numbers[:2]) < 0 or min(numbers[2:]) < 1:
            raise ValueError
    except ValueError:
        raise RowRefused(
            f"The box {text[:60]!r} is not one: write X,Y,WIDTH,HEIGHT in pixels of the upright photo, like 10,20,300,200."
        ) from None
    return Box(*(int(number) for number in numbers))


def box_text(box: Box | None) -> str:
    """The box as the catalogue keeps it; empty is the whole photo."""
    return f"{box.x},{box.y},{box.width},{box.height}" if box else ""


def moment(taken: Taken, day_given: date | None) -> datetime | None:
    """The camera's clock, where it agrees with the day that stands."""
    return taken.at if taken.at and (day_given is None or taken.at.date() == day_given) else None
