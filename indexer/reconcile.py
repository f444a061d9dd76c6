"""The index follows the catalogue: what is live in SQL is a point, and nothing else is.

`reconcile` closes every gap at once: it runs each time the index opens, also after its engine was killed, and refills an
index that was damaged or lost, from the catalogue's vectors. `Follower` closes the small gap that SQL-only verbs of
another process leave (a deletion undone, say), by looking at the log's newest number before each search.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from catalog.catalogue import Catalogue
from catalog.sightings import Indexable
from vector_db.port import Facts, Place, Point, VectorIndex

BLOCK = 1000
Progress = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, slots=True)
class Reconciled:
    added: int
    removed: int


def reconcile(index: VectorIndex, catalogue: Catalogue, bundle_id: str, *, on_progress: Progress | None = None) -> Reconciled:
    """Make the index hold exactly the live sightings of this bundle. Doing it twice is doing it once."""
    want, have = catalogue.live_ids(bundle_id), index.ids()
    missing = np.setdiff1d(want, have, assume_unique=True)
    stray = np.setdiff1d(have, want, assume_unique=True)
    if stray.size:
        index.delete(stray.tolist())
    put(index, catalogue, bundle_id, missing.tolist(), on_progress=on_progress)
    return Reconciled(added=int(missing.size), removed=int(stray.size))


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
    """Hand these sightings to the index, as the catalogue has them."""
    wanted = list(ids)
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        index.upsert([point_of(row) for row in catalogue.indexable(bundle_id, block)])
        if on_progress is not None:
            on_progress(start + len(block), len(wanted))


def point_of(row: Indexable) -> Point:
    place = Place(row.lat, row.lon) if row.lat is not None and row.lon is not None else None
    return Point(row.id, row.vector, Facts(row.species, row.viewpoint, row.taken_on, place))


class Follower:
    """Notices sightings that another process brought back to life since we last looked."""

    def __init__(self, index: VectorIndex, catalogue: Catalogue, bundle_id: str, *, seen: int) -> None:
        """`seen` is the log's newest number from before the index was reconciled."""
        self._index, self._catalogue, self._bundle_id, self._seen = index, catalogue, bundle_id, seen
        self._lock = threading.Lock()

    def wrote(self, event_id: int) -> None:
        """This event's sightings are in the index already, put there by us; others' before it may not be."""
        with self._lock:
            if event_id == self._seen + 1:
                self._seen = event_id

    def follow(self) -> None:
        newest = self._catalogue.last_event_id()
        if newest == self._seen:
            return
        with self._lock:
            if self._seen < newest:
                put(self._index, self._catalogue, self._bundle_id, self._catalogue.sightings_revived(self._seen))
                self._seen = newest
