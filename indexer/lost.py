"""Photo files that the catalogue names and that are gone or cut short: which they are, and how an import puts them back.

A photo is put back only from the very bytes that were enrolled, so vectors, sightings and rows of imports stay as they are.
Photos that a restore left out are not lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

from catalog.catalogue import Catalogue
from catalog.photos import Incoming, PhotoStore
from catalog.values import PhotoRow
from encoder.errors import PhotoRefused
from encoder.photo import read_photo
from indexer.station import Station, limits
from indexer.tables import photo_at

TOGETHER = 64  # photos that are made durable at once
PHOTOS_LEFT_OUT = "photos left out until"  # the catalogue's fact after a restore without photos: the last sighting then


def left_out(catalogue: Catalogue) -> Callable[[PhotoRow], bool]:
    """Whether a photo is of those that a restore without photos did without."""
    until = catalogue.fact(PHOTOS_LEFT_OUT)
    since = None if until is None else catalogue.photos_since(int(until))
    return lambda photo: since is not None and photo.sha256 not in since


def lost(store: PhotoStore, catalogue: Catalogue) -> Iterator[PhotoRow]:
    """Those that should be whole and here, as far as can be told without reading them."""
    done_without = left_out(catalogue)
    for photo in catalogue.photos():
        if not store.looks_whole(photo) and (store.is_there(photo) or not done_without(photo)):
            yield photo


def put_back(station: Station, import_id: int, root: Path, *, who: str) -> int:
    """Write lost photos of this import's rows anew, where their source still has them. How many."""
    count = 0
    found = _found(station, import_id, root)
    while some := list(islice(found, TOGETHER)):
        station.photos.settle(some)
        with station.catalogue.write("import", who=who, what="") as write:  # changes nobody, so it leaves no event
            for incoming in some:
                write.add_photo(incoming.row, anew=True)
        count += len(some)
    return count


def _found(station: Station, import_id: int, root: Path) -> Iterator[Incoming]:
    for path, photo in station.catalogue.imports.photos(import_id):
        source = photo_at(root, path)
        if station.photos.looks_whole(photo) or not os.path.isfile(source):  # noqa: PTH113 (which does not raise, as Path's does)
            continue
        try:
            data = read_photo(source, limits(station.settings))
        except PhotoRefused:
            continue
        if sha256(data).hexdigest() == photo.sha256:
            yield station.photos.receive(
                data,
                sha256=photo.sha256,
                name=photo.name,
                format=photo.format,
                width=photo.width,
                height=photo.height,
                creator=photo.creator,
                source=source,
            )
