"""The index follows the catalogue: what is live in SQL is a point, and nothing else is.

`reconcile` compares ids, and so closes every gap of whole points: it runs each time the index opens, also after its engine
was killed, and refills an index that was damaged or lost, from the catalogue's vectors. `Follower` closes the gaps of
facts: verbs that need only SQL work beside a process that holds the index, and it catches up with them by the log's number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from catalog.catalogue import Catalogue
from catalog.values import Indexable
from vector_db.port import Facts, Place, Point, VectorIndex

BLOCK = 1000
Progress = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, slots=True)
class Reconciled:
    added: int
    removed: int
    level: int | None  # of the log, which an index that was empty is level with now; None where it held points


def reconcile(index: VectorIndex, catalogue: Catalogue, bundle_id: str, *, on_progress: Progress | None = None) -> Reconciled:
    """Make the index hold exactly the live sightings of this bundle. Doing it twice is doing it once.

    Other processes may use the same server meanwhile. They write SQL first and the index second, so the index is read first:
    what is a point by then and not live afterwards was deleted. Of the points that are dropped, those are put again that an
    undo brought back in between. One that dies in between is put all the same: no answer has it, and the next start drops it.
    """
    level = catalogue.last_event_id()
    have = index.ids()
    want = catalogue.live_ids(bundle_id)
    missing = np.setdiff1d(want, have, assume_unique=True)
    stray = np.setdiff1d(have, want, assume_unique=True)
    if stray.size:
        index.delete(stray.tolist())
    put(index, catalogue, bundle_id, [*missing.tolist(), *stray.tolist()], on_progress=on_progress)
    return Reconciled(added=int(missing.size), removed=int(stray.size), level=None if have.size else level)


def rebuild(index: VectorIndex, catalogue: Catalogue, bundle_id: str, *, on_progress: Progress | None = None) -> int:
    """Drop every point and make all of them anew. How many there are."""
    index.clear()
    reconcile(index, catalogue, bundle_id, on_progress=on_progress)
    index.flush()
    index.optimise()
    return index.count()


def put(
    index: VectorIndex,
    catalogue: Catalogue,
    bundle_id: str,
    ids: Iterable[int],
    *,
    on_progress: Progress | None = None,
) -> None:
    """Hand these sightings to the index, as the catalogue has them: those of them that are live."""
    wanted = list(ids)
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        index.upsert([point_of(row) for row in catalogue.indexable(bundle_id, block)])
        if on_progress is not None:
            on_progress(start + len(block), len(wanted))


def point_of(row: Indexable) -> Point:
    place = Place(row.lat, row.lon) if row.lat is not None and row.lon is not None else None
    return Point(row.id, row.vector, Facts(row.species, row.viewpoint, row.taken_on, place))


def level_of(bundle_id: str) -> str:
    """The catalogue's fact that says up to which event this bundle's index has followed the log. `reconcile` cannot write it:
    it may run within a write, where a worker is replaced."""
    return f"index level {bundle_id[-48:]}"


class Follower:
    """Keeps the index level with the log: knows up to which event it is, and catches up with what others did since."""

    def __init__(self, index: VectorIndex, catalogue: Catalogue, bundle_id: str) -> None:
        self._index, self._catalogue, self._bundle_id = index, catalogue, bundle_id
        self._key = level_of(bundle_id)
        self._stored = self.seen = int(catalogue.fact(self._key) or 0)
        self._lock = threading.Lock()

    def wrote(self, event_id: int, sighting_ids: Iterable[int]) -> None:
        """Put this event's sightings, as they are by now; others' before it may be to do still.

        Read and put under the lock: facts that were read before another's edit must not come after those of `follow`.
        """
        with self._lock:
            put(self._index, self._catalogue, self._bundle_id, sighting_ids)
            if event_id == self.seen + 1:
                self.seen = event_id

    def follow(self) -> None:
        """One small query where nothing happened; else the changed sightings' points are put again."""
        newest = self._catalogue.last_event_id()
        if newest == self.seen:
            return
        with self._lock:
            if self.seen < newest:
                put(self._index, self._catalogue, self._bundle_id, self._catalogue.sightings_changed(self.seen))
                self.seen = newest

    def close(self) -> None:
        """Remember how far the index is. Where a crash forgets it, a few points are put again at the next start."""
        if self.seen != self._stored:
            self._index.flush()
            self._catalogue.set_fact(self._key, str(self.seen))
