"""One photo on its way into the catalogue: prepared outside the transaction, recorded inside it.

Preparing (read, encode, write the file) is the slow part. It is safe in several threads and again after a crash, since a
photo's file is named by its content and a file that no row names harms nobody. Settling makes the files of many durable at
once, and recording is a few rows. Enrolment and bulk import are both made of these three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from catalog.errors import ValueRefused
from catalog.names import clean_date, clean_name
from catalog.photos import Incoming
from catalog.values import BoxXYWH, PhotoRow, Sighting
from catalog.write import Write
from encoder.photo import read_photo
from encoder.values import Box, Encoded
from indexer.commands import to_paste
from indexer.edits import learn_species
from indexer.errors import BundleMismatch, NotIndexed, RowRefused
from indexer.given import Given, moment
from indexer.occasions import label_on
from indexer.registry import IN_USE
from indexer.station import Station, limits
from vector_db.errors import VectorIndexError


@dataclass(frozen=True, slots=True)
class Source:
    """A photo to enrol: a file to read, or bytes at hand (an upload)."""

    name: str
    given: Given
    path: Path | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Prepared:
    given: Given  # completed from the photo's own metadata
    encoded: Encoded
    incoming: Incoming
    said: Given  # by a person or a table alone


@dataclass(frozen=True, slots=True)
class Recorded:
    state: Literal["done", "already"]
    sighting_id: int
    unlike: str = ""  # what was given with a photo that is enrolled already, and was not taken


def prepare(station: Station, source: Source) -> Prepared:
    """Read, encode and write one photo, not durable yet; a `PhotoRefused` or `RowRefused` says what is wrong with it."""
    data = source.data if source.path is None else read_photo(source.path, limits(station.settings))
    encoded = station.encoder.encode(data, source.given.box)
    given = source.given.or_from(encoded.taken)
    _refuse_wrong_clock(given)
    incoming = station.photos.receive(
        data,
        name=source.name,
        sha256=encoded.sha256,
        format=encoded.format,
        width=encoded.width,
        height=encoded.height,
        creator=encoded.taken.creator,
        source=source.path,
    )
    return Prepared(given, encoded, incoming, source.given)


def _refuse_wrong_clock(known: Given) -> None:
    """A day that a person gave was looked at before; a camera's is looked at here, so that it is this photo's matter alone."""
    try:
        clean_date(known.taken_on, today=datetime.now(UTC).date())
    except ValueRefused as refused:
        raise RowRefused(f"The camera's clock was wrong. {refused} Give the day yourself.") from refused


def settle(station: Station, prepared: Iterable[Prepared]) -> None:
    """Make their photo files durable, before any row names them."""
    station.photos.settle([each.incoming for each in prepared])


class Recorder:
    """Records prepared photos in one write, and remembers what it enrolled. Refused, where `bundles use` has changed the
    catalogue's bundle since the station was opened: no search with the new one would find them."""

    def __init__(self, write: Write, station: Station) -> None:
        in_use = write.fact(IN_USE)
        if in_use not in (None, station.bundle_id):
            raise BundleMismatch(
                f"the catalogue uses the bundle {in_use} by now, and this process began with {station.bundle_id} and still has "
                "it: nothing was enrolled. Start it again."
            )
        self._write, self._photos, self._bundle_id = write, station.photos, station.bundle_id
        self._settings = station.settings
        self._species: dict[int, str | None] = {}  # of the individuals met in this write
        self.enrolled: list[int] = []
        self.learned: list[int] = []  # sightings of before, which have a species since this write

    def record(self, name: str, prepared: Prepared, *, occasion: str, began: date | None = None) -> Recorded:
        """The rows of one sighting, or the sighting that it already is. Another animal's photo is refused, and so is a
        species that contradicts what the individual is known as; a name that is not known yet becomes an individual.

        `occasion` labels the encounter where neither the photo nor its giver tells the encounter or the day; `began` is the
        day that its encounter began on, where that is not the photo's own.
        """
        encoded, given, write = prepared.encoded, prepared.given, self._write
        name, box = clean_name(name), corners(given.box)
        individual_id = write.individual_named(name)
        known = write.sighting_by_photo(encoded.sha256, box)
        if known is not None:
            sighting = write.sightings([known])[0]
            if sighting.individual_id != individual_id:
                raise RowRefused(
                    f'This photo is enrolled already, as sighting {known} of "{sighting.individual}". '
                    f"If it shows two animals, give each its box. If it is of this one: "
                    + self._of_another(sighting, individual_id, name)
                )
            write.add_photo(prepared.incoming.row, anew=self._is_lost)  # which may lie elsewhere now
            return Recorded("already", known, prepared.said.unlike(sighting))
        individual_id, species = self._individual(individual_id, name, given.species)
        day = began or given.taken_on
        label = given.encounter or (label_on(individual_id, day) if day else occasion)
        write.add_photo(prepared.incoming.row, anew=self._is_lost)  # it may be known by another box
        sighting_id = write.add_sighting(
            individual_id,
            write.encounter(label),
            encoded.sha256,
            box,
            species=species,
            viewpoint=given.viewpoint,
            taken_on=given.taken_on,
            taken_at=moment(encoded.taken, given.taken_on),
            lat=given.lat,
            lon=given.lon,
            brightness=encoded.brightness,
            sharpness=encoded.sharpness,
        )
        write.add_vector(sighting_id, self._bundle_id, encoded.vector, encoded.norm)
        self.enrolled.append(sighting_id)
        return Recorded("done", sighting_id)

    def _of_another(self, sighting: Sighting, individual_id: int | None, name: str) -> str:
        """The command that makes it the sighting of this individual, which may be new."""
        owner = f"id:{sighting.individual_id}"
        if individual_id is not None:
            words = ["reassign", str(sighting.id), "--to", f"id:{individual_id}"]
        elif len(self._write.sightings_of(sighting.individual_id)) > 1:
            words = ["split", owner, str(sighting.id), "--name", name]
        else:
            words = ["rename", owner, name]
        return to_paste(self._settings, *words)

    def _is_lost(self, known: PhotoRow) -> bool:
        return not self._photos.looks_whole(known)

    def _individual(self, individual_id: int | None, name: str, species: str | None) -> tuple[int, str | None]:
        if individual_id is None:
            individual_id = self._write.add_individual(name, species)
            self._species[individual_id] = species
        elif individual_id not in self._species:
            self._species[individual_id] = self._write.individual(individual_id).species
        known = self._species[individual_id]
        if known is None and species is not None:
            self._write.set("individual", individual_id, species=species)
            known = self._species[individual_id] = species
            self.learned += learn_species(self._write, self._write.sightings_of(individual_id), species)
        elif species is not None and species != known:
            raise RowRefused(
                f'"{name}" is enrolled as {known}, and this photo is given as {species}: leave the species out, or give '
                "another name."
            )
        return individual_id, known


def hand_over(station: Station, event_id: int, sighting_ids: Sequence[int]) -> None:
    """What SQL has committed goes into the index; where that fails the next start mends it, and nothing is lost."""
    try:
        station.follower.wrote(event_id, sighting_ids)
    except VectorIndexError as error:
        raise NotIndexed(
            f"The photos are enrolled and safe (event {event_id}), but the index did not take them: {error} "
            "They will be found after the next start."
        ) from error


def corners(box: Box | None) -> BoxXYWH | None:
    return (box.x, box.y, box.width, box.height) if box else None
