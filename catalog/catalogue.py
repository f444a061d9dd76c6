"""The catalogue as the other rooms see it: reads that answer in plain values, and `write`, the one way to change it.

Safe to call from several threads. Each read is a transaction of its own and goes on beside a write. The reads themselves are
written in the modules named after what they read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from sqlalchemy import URL, ColumnElement, Connection, Engine

from catalog import answers, events, health, individuals, local_features, sightings, vectors
from catalog.errors import CatalogueUnavailable
from catalog.faults import place, translated
from catalog.imports import Imports
from catalog.names import required_label
from catalog.transactions import Transactions
from catalog.values import (
    BoxXYWH,
    Bundle,
    Calibration,
    Change,
    Counts,
    Entity,
    EventRow,
    Health,
    Identification,
    Ids,
    Indexable,
    Individual,
    IndividualSummary,
    Owner,
    PhotoRow,
    Sighting,
    Vectors,
)
from catalog.write import Write

PAGE = 1000
Made = Literal["event", "identification"]
Note = Callable[[Connection, Made, int], None]  # in a write's own transaction: what it made, and its number


class Catalogue:
    """Made by `catalog.open.open_catalogue`; close it, or use it as a context."""

    def __init__(self, address: URL, engine: Engine) -> None:
        self.transactions = Transactions(address, engine)  # for the rest of this room
        self.imports = Imports(self.transactions)
        self._note: Note | None = None

    def noting(self, note: Note) -> Catalogue:
        """This catalogue, whose writes also do what `note` says, in the same transaction: both happen, or neither."""
        view = copy.copy(self)
        view._note = note
        return view

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.transactions.close()

    @property
    def place(self) -> str:
        """Where it is, for a message: the file, or the server's address without its password."""
        return place(self.transactions.address)

    # Writing.

    @contextmanager
    def write(self, verb: str, *, who: str, what: str) -> Iterator[Write]:
        """One transaction, one event. When the block ends, it is durable; when it raises, nothing has happened."""
        with self.transactions.writing() as connection, self._event(connection, verb, who, what) as write:
            yield write

    @contextmanager
    def writes(self, verb: str, *, who: str) -> Iterator[Callable[[], AbstractContextManager[Write]]]:
        """One transaction of several events, each begun by a call and ended before the next: all of them, or nothing."""
        with self.transactions.writing() as connection:
            yield lambda: self._event(connection, verb, who, "")

    @contextmanager
    def _event(self, connection: Connection, verb: str, who: str, what: str) -> Iterator[Write]:
        write = Write(connection, verb, who, what)
        yield write
        write.finish()
        if self._note is not None and write.changed:
            self._note(connection, "event", write.event_id)

    def snapshot(self, path: Path) -> None:
        """A consistent copy of the whole catalogue, as one SQLite file that must not be there yet (for `backup`)."""
        if self.transactions.durable.dialect.name != "sqlite":
            raise CatalogueUnavailable(f"The catalogue {self.place} is on a server; back it up with pg_dump.")
        if path.exists():
            raise CatalogueUnavailable(
                f"The catalogue cannot be copied to {path}: there is a file already. Choose another name."
            )
        target = self.transactions.address.set(database=str(path))  # what fails here fails there
        with translated(target), closing(self.transactions.durable.raw_connection()) as connection:
            connection.cursor().execute("VACUUM INTO ?", (str(path),))

    # Individuals and sightings.

    def owners(self, sighting_ids: Sequence[int]) -> dict[int, Owner]:
        """Whose they are, for the live ones among them."""
        with self.transactions.reading() as connection:
            return sightings.owners(connection, sighting_ids)

    def find_individual(self, id_or_name: int | str) -> Individual:
        """The live individual; "id:12" and "name:12" say which is meant where digits are both."""
        with self.transactions.reading() as connection:
            return individuals.find(connection, id_or_name)

    def find_any_individual(self, id_or_name: int | str) -> Individual:
        """The same, where none is live also one that was merged or deleted."""
        with self.transactions.reading() as connection:
            return individuals.find_any(connection, id_or_name)

    def individual(self, individual_id: int) -> Individual:
        """Live or not."""
        with self.transactions.reading() as connection:
            return individuals.by_id(connection, individual_id)

    def individual_summary(self, individual_id: int) -> IndividualSummary:
        with self.transactions.reading() as connection:
            return individuals.summary(connection, individual_id)

    def whole_individual(self, individual_id: int) -> tuple[IndividualSummary, list[Sighting]]:
        """The live individual of this number, and its live sightings, as of one moment."""
        with self.transactions.at_once() as connection:
            individuals.find(connection, individual_id)
            return individuals.summary(connection, individual_id), sightings.of_individual(connection, individual_id)

    def page_of_individuals(
        self,
        search: str | None = None,
        species: str | None = None,
        *,
        limit: int,
        offset: int = 0,
        order: individuals.Order = "name",
        descending: bool = False,
    ) -> tuple[list[IndividualSummary], int]:
        """Some of the live ones, with how many sightings and encounters each has, and how many there are in all."""
        with self.transactions.at_once() as connection:
            found = individuals.listing(
                connection, search, species, limit=limit, offset=offset, order=order, descending=descending
            )
            return found, individuals.count(connection, search, species)

    def individuals(self, search: str | None = None, species: str | None = None) -> list[IndividualSummary]:
        """All of them, by name."""
        with self.transactions.reading() as connection:
            return individuals.listing(connection, search, species)

    def sightings_of(self, individual_id: int) -> list[Sighting]:
        """The live ones."""
        with self.transactions.reading() as connection:
            individuals.by_id(connection, individual_id)
            return sightings.of_individual(connection, individual_id)

    def species(self) -> frozenset[str]:
        """Those that individuals are said to be of."""
        with self.transactions.reading() as connection:
            return individuals.species(connection)

    def sighting(self, sighting_id: int) -> Sighting:
        """Live or not."""
        with self.transactions.reading() as connection:
            return sightings.by_id(connection, sighting_id)

    def sightings(self, sighting_ids: Sequence[int]) -> dict[int, Sighting]:
        """Those there are, live or not."""
        with self.transactions.reading() as connection:
            return sightings.by_ids(connection, sighting_ids)

    def sighting_by_photo(self, sha256: str, box: BoxXYWH | None = None) -> int | None:
        """The live sighting of this photo and box."""
        return self.sightings_by_photo([(sha256, box)]).get((sha256, box))

    def sightings_by_photo(self, photos: Iterable[tuple[str, BoxXYWH | None]]) -> dict[tuple[str, BoxXYWH | None], int]:
        keys = {(sha256, box): (sha256, sightings.box_text(box)) for sha256, box in photos}
        with self.transactions.reading() as connection:
            found = sightings.live_ids_by_photo(connection, keys.values())
        return {given: found[key] for given, key in keys.items() if key in found}

    def photos_of(self, sighting_ids: Sequence[int]) -> dict[int, tuple[PhotoRow, BoxXYWH | None]]:
        """Of the sightings there are, live or not: the photo, and the box of it."""
        with self.transactions.reading() as connection:
            return sightings.photos_of(connection, sighting_ids)

    def photo(self, sha256: str) -> PhotoRow | None:
        with self.transactions.reading() as connection:
            return sightings.photo(connection, sha256)

    def photos(self) -> Iterator[PhotoRow]:
        """All, by hash."""
        last = ""
        while True:
            with self.transactions.reading() as connection:
                page = sightings.all_photos(connection, last, PAGE)
            if not page:
                return
            yield from page
            last = page[-1].sha256

    def photos_since(self, sighting_id: int) -> set[str]:
        """The hashes of those that no sighting up to this one is of."""
        with self.transactions.reading() as connection:
            return sightings.photos_since(connection, sighting_id)

    def last_sighting_id(self) -> int:
        """0 where there is none."""
        with self.transactions.reading() as connection:
            return sightings.last_id(connection)

    # Vectors, of live sightings, ascending by id. Arrays are read-only: they lie on the bytes that were read.

    def live_ids(self, bundle_id: str) -> Ids:
        """Live sightings that have a vector of this bundle."""
        with self.transactions.reading() as connection:
            return vectors.live_ids(connection, bundle_id)

    def enrolled(self, bundle_id: str) -> Ids:
        """(n, 5): sighting, individual, encounter, day, second (of the era; 0 where not known) of every live sighting that
        has a vector of this bundle."""
        with self.transactions.reading() as connection:
            return vectors.enrolled(connection, bundle_id)

    def vectors(
        self, bundle_id: str, sighting_ids: Iterable[int] | None = None, *, deleted: bool = False
    ) -> Iterator[tuple[Ids, Vectors]]:
        """Blocks of (ids, matrix): all, or those among the ids given. `deleted`: of deleted sightings too."""
        for among in self._blocks(bundle_id, sighting_ids):
            with self.transactions.reading() as connection:
                ids, matrix = vectors.block(connection, bundle_id, among, deleted=deleted)
            if len(ids):
                yield ids, matrix

    def indexable(self, bundle_id: str, sighting_ids: Iterable[int] | None = None) -> Iterator[Indexable]:
        """What the index holds of each: vector and facts. All, or those among the ids given."""
        for among in self._blocks(bundle_id, sighting_ids):
            with self.transactions.reading() as connection:
                block = vectors.indexable(connection, bundle_id, among)
            yield from block

    def _blocks(self, bundle_id: str, sighting_ids: Iterable[int] | None) -> Iterator[ColumnElement[bool]]:
        return vectors.ranges(self.live_ids(bundle_id)) if sighting_ids is None else vectors.lists(sighting_ids)

    # Local features: a cache.

    def local_features(self, sighting_ids: Sequence[int]) -> dict[int, bytes]:
        """As they were packed, of those that are kept."""
        with self.transactions.reading() as connection:
            return local_features.packed(connection, sighting_ids)

    def put_local_features(self, features: Mapping[int, bytes]) -> None:
        """In place of what is kept. A power cut may take the last ones: they can be made again."""
        with self.transactions.casually() as connection:
            local_features.put(connection, features)

    # Events.

    def history(
        self, entity: Entity | None = None, entity_id: int | None = None, *, limit: int = 50, before: int | None = None
    ) -> list[EventRow]:
        """The newest first; of one individual or sighting where it is named."""
        with self.transactions.reading() as connection:
            return events.history(connection, entity, entity_id, limit=limit, before=before)

    def event(self, event_id: int) -> EventRow:
        with self.transactions.reading() as connection:
            return events.event(connection, event_id)

    def last_event_id(self) -> int:
        """0 where nothing has happened yet. Cheap: a search asks it each time, to notice what other processes did."""
        if (quick := self.transactions.quick) is not None:
            with translated(self.transactions.address):
                return quick.last_event_id()
        with self.transactions.reading() as connection:
            return events.last_id(connection)

    def sightings_changed(self, after_event: int) -> list[int]:
        """Live sightings that later events enrolled, brought back, or gave other facts: their points need an update."""
        with self.transactions.reading() as connection:
            return events.changed_sightings(connection, after_event)

    def changes_of(self, event_id: int) -> list[Change]:
        with self.transactions.reading() as connection:
            return events.changes_of(connection, event_id)

    # Identifications, calibrations, bundles, facts.

    def keep_identification(self, *, who: str, bundle_id: str, photos: Sequence[dict[str, Any]], answer: dict[str, Any]) -> int:
        """Its number. A power cut may take the last ones: an answer given is no enrolment acknowledged."""
        who = required_label(who, "user")
        if (quick := self.transactions.quick) is not None and self._note is None:
            with self.transactions.turn():
                return quick.keep_identification(_now(), who, bundle_id, photos, answer)
        with self.transactions.casually() as connection:
            row = {"at": _now(), "who": who, "bundle_id": bundle_id}
            number = answers.keep_identification(connection, row | {"photos": list(photos), "answer": answer})
            if self._note is not None:
                self._note(connection, "identification", number)
            return number

    def identification(self, identification_id: int) -> Identification:
        with self.transactions.reading() as connection:
            return answers.identification(connection, identification_id)

    def latest_calibration(self, bundle_id: str) -> Calibration | None:
        with self.transactions.reading() as connection:
            return answers.latest_calibration(connection, bundle_id)

    def put_calibration(self, bundle_id: str, *, sightings: int, fitted: dict[str, Any]) -> None:
        with self.transactions.writing() as connection:
            answers.put_calibration(connection, _now(), bundle_id, sightings, fitted)

    def register_bundle(self, bundle_id: str, *, sha256: str, dimension: int) -> None:
        """Before its first vector. Again is fine; with other content it is refused."""
        with self.transactions.reading() as connection:
            known = answers.is_registered(connection, bundle_id, sha256, dimension)
        if not known:
            with self.transactions.writing() as connection:
                answers.register_bundle(connection, _now(), bundle_id, sha256, dimension)

    def forget_vectors(self, bundle_id: str) -> None:
        """All that this bundle has made, and how it was calibrated. The photos can be encoded again."""
        with self.transactions.writing() as connection:
            answers.forget_vectors(connection, bundle_id)

    def bundles(self) -> list[Bundle]:
        """In the order of their first use."""
        with self.transactions.reading() as connection:
            return vectors.all_bundles(connection)

    def fact(self, key: str) -> str | None:
        with self.transactions.reading() as connection:
            return answers.fact(connection, key)

    def set_fact(self, key: str, value: str | None) -> None:
        """None forgets it."""
        with self.transactions.writing() as connection:
            answers.set_fact(connection, key, value)

    # Health.

    def counts(self) -> Counts:
        with self.transactions.reading() as connection:
            return health.counts(connection)

    def check(self, bundle_id: str | None = None) -> Health:
        """Whether the file is whole and the rows agree; with a bundle, also which live sightings it has not encoded."""
        with self.transactions.reading() as connection:
            return health.check(connection, bundle_id)

    def without_vector(self, bundle_id: str) -> list[int]:
        """Live sightings that this bundle has not encoded."""
        with self.transactions.reading() as connection:
            return health.without_vector(connection, bundle_id)


def _now() -> datetime:
    return datetime.now(UTC)
