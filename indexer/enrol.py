"""Enrol photos of one individual: a new one, or one that is known by this name or number.

Acknowledged means: the photos lie in their folder, SQL has committed with full sync, and the index has taken the points. A
photo that cannot be used is said to be so and the others go on; where none can be used, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from catalog.errors import NameRefused
from catalog.names import clean_name, shown
from encoder.errors import PhotoRefused
from indexer.errors import RowRefused
from indexer.given import moment
from indexer.occasions import NEAR
from indexer.sightings import Prepared, Recorder, Source, hand_over, prepare, settle
from indexer.station import Station

State = Literal["enrolled", "already", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo."""

    photo: str
    state: State
    sighting_id: int | None = None
    reason: str | None = None  # why it is refused; what was given with one that is enrolled already, and was not taken


@dataclass(frozen=True, slots=True)
class Enrolment:
    individual_id: int | None  # None where no photo could be used and the name is not known
    name: str
    created: bool
    event_id: int | None  # None where nothing was written
    photos: tuple[Outcome, ...]


def enrol(
    station: Station,
    whom: str | int,
    sources: Sequence[Source],
    *,
    who: str,
    new: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Enrolment:
    """The photos of one call are one encounter, unless what is given with them says otherwise, or their days do: each day is
    one then, but a night with less than an hour about midnight; a photo that tells no day goes with the only one that there is.

    `whom` is a name, or the number of an individual that is known, whatever it is called by then. `new` refuses a name that is
    known. `check` is called when nobody else can write any more, and may refuse.
    """
    whom = clean_name(whom) if isinstance(whom, str) else whom
    ready = [_prepared(station, source) for source in sources]
    if usable := [item for item in ready if isinstance(item, Prepared)]:
        station.adopt_bundle()
        settle(station, usable)
    with station.catalogue.write("enrol", who=who, what="") as write:
        name = whom if isinstance(whom, str) else write.individual(whom).name
        known = write.individual_named(name)
        created = known is None
        if new and known is not None:
            raise NameRefused(
                f"The name {shown(name)} is taken by individual {known}; choose another, or add the photos to that one."
            )
        check()
        recorder = Recorder(write, station)
        occasion = f"enrolled in event {write.event_id}"
        began = _began(usable)
        outcomes = tuple(
            item if isinstance(item, Outcome) else _recorded(recorder, name, item, occasion, began(item)) for item in ready
        )
        individual_id = write.individual_named(name)
        count = len(recorder.enrolled)
        write.what = f'enrolled {count} photo{"s" if count != 1 else ""} of {"new " if created else ""}individual "{name}"'
    if not recorder.enrolled:
        return Enrolment(individual_id, name, False, None, outcomes)
    hand_over(station, write.event_id, recorder.enrolled + recorder.learned)
    return Enrolment(individual_id, name, created, write.event_id, outcomes)


def _prepared(station: Station, source: Source) -> Prepared | Outcome:
    try:
        return prepare(station, source)
    except (PhotoRefused, RowRefused) as error:
        return Outcome(source.name, "refused", reason=str(error))


def _began(usable: Sequence[Prepared]) -> Callable[[Prepared], date | None]:
    """The day on which a photo's encounter began; None where its call does not tell."""
    days: dict[date, list[datetime]] = {item.given.taken_on: [] for item in usable if item.given.taken_on}
    for item in usable:
        if item.given.taken_on and (at := moment(item.encoded.taken, item.given.taken_on)):
            days[item.given.taken_on].append(at)
    first: dict[date, date] = {}
    for day in sorted(days):
        before = days.get(day - timedelta(days=1))
        one_night = bool(before and days[day] and min(days[day]) - max(before) <= NEAR)
        first[day] = first[day - timedelta(days=1)] if one_night else day
    only = first[min(first)] if len(set(first.values())) == 1 else None
    return lambda item: first[item.given.taken_on] if item.given.taken_on else only


def _recorded(recorder: Recorder, name: str, item: Prepared, occasion: str, began: date | None) -> Outcome:
    try:
        done = recorder.record(name, item, occasion=occasion, began=began)
    except RowRefused as error:
        return Outcome(item.incoming.row.name, "refused", reason=str(error))
    state: State = "enrolled" if done.state == "done" else "already"
    return Outcome(item.incoming.row.name, state, done.sighting_id, done.unlike or None)
