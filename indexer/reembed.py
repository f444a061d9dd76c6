"""Another bundle for a catalogue: every live sighting encoded again, the index built beside the old, then one switch.

The old bundle answers until the switch, which is a single fact in SQL. Vectors are committed in batches, so a run that was
stopped goes on where it was; and they stay afterwards, so that going back takes seconds. A sighting whose photo is gone could
not be found by the new bundle: it is named, and nothing is switched. Where the bundle is in use already, what it lacks is
encoded: sightings that an undo brought back, or that another process enrolled in the moment of the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueError
from catalog.photos import PhotoStore
from catalog.values import PhotoRow, Sighting
from encoder.encode import Encoder, open_encoder
from encoder.errors import BundleRefused, PhotoRefused
from encoder.header import read_header
from encoder.reduced import in_copy
from encoder.values import Box, Encoded
from indexer import registry
from indexer.calibrating import fresh_calibration
from indexer.errors import BundleNotUsed
from indexer.reconcile import reconcile
from indexer.station import bundle_for, limits, open_index, photo_store
from settings import Settings
from vector_db.port import VectorIndex

BATCH = 64
NAMED = 3
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Used:
    bundle_id: str
    before: str | None
    encoded: int  # by this run
    sightings: int
    calibration: str  # on what it was fitted


def use(
    settings: Settings, catalogue: Catalogue, wanted: str, *, who: str, on_progress: Progress = lambda _done, _of: None
) -> Used:
    """From now on this bundle answers. The one before, and its vectors, stay until they are removed."""
    one = registry.find(settings, catalogue, wanted)
    before = None if one.in_use else catalogue.fact(registry.IN_USE)
    if one.in_use and not catalogue.without_vector(one.bundle.id):
        raise BundleNotUsed(f"{one.bundle.id} is in use already.")
    if settings.bundle is not None and not one.in_use:
        raise BundleNotUsed("FLUKEPRINT_BUNDLE names a bundle, which would refuse the other one: unset it first.")
    bundle = registry.add(settings, one.bundle.folder).bundle
    catalogue.register_bundle(bundle.id, sha256=bundle.sha256, dimension=bundle.dimension)
    store = photo_store(settings)
    encoded = 0
    with ExitStack() as closing:
        encoder = open_encoder(bundle.folder, runtime=settings.runtime, streams=settings.streams, limits=limits(settings))
        closing.callback(encoder.close)
        encode = partial(encode_missing, catalogue, store, encoder, streams=settings.streams, who=who, on_progress=on_progress)
        if not one.in_use:
            encoded += encode()
            old = _old_index(settings, catalogue) if before else None  # on this machine nobody enrols meanwhile
            if old is not None:
                closing.callback(old.close)
            encoded += encode()
        index = open_index(settings, catalogue, bundle)
        closing.callback(index.close)
        index.optimise()
        fitted = fresh_calibration(index, catalogue, bundle, None, new_share=settings.new_share)
        catalogue.set_fact(registry.IN_USE, bundle.id)
        try:
            encoded += encode()  # what others enrolled until then, who may beside a Qdrant server, and are refused from here on
        finally:
            reconcile(index, catalogue, bundle.id)
    return Used(bundle.id, before, encoded, len(catalogue.live_ids(bundle.id)), fitted.source)


def _old_index(settings: Settings, catalogue: Catalogue) -> VectorIndex | None:
    """None where the bundle before is damaged or gone: without it nobody can open that index to enrol."""
    try:
        return open_index(settings, catalogue, bundle_for(settings, catalogue))
    except BundleRefused:
        return None


def encode_missing(
    catalogue: Catalogue, store: PhotoStore, encoder: Encoder, *, streams: int, who: str, on_progress: Progress
) -> int:
    """Vectors for all live sightings that lack one of this encoder's bundle. How many were made."""
    missing = catalogue.without_vector(encoder.bundle_id)
    refused: list[str] = []
    done = made = 0
    with ThreadPoolExecutor(streams) as pool:
        for batch in _batches(missing):
            known = catalogue.sightings(batch)
            looks = list(pool.map(lambda one: _encoded(catalogue, store, encoder, one), known.values()))
            with catalogue.write("re-encode", who=who, what="") as write:
                there = write.encoded(known, encoder.bundle_id)  # by another run, beside this one
                for sighting, look in zip(known, looks, strict=True):
                    if sighting in there:
                        continue
                    if isinstance(look, Encoded):
                        write.add_vector(sighting, encoder.bundle_id, look.vector, look.norm)
                        made += 1
                    else:
                        refused.append(f"sighting {sighting}: {look}")
            done += len(batch)
            on_progress(done, len(missing))
    if refused:
        shown = "; ".join(refused[:NAMED]) + (f"; and {len(refused) - NAMED} more" if len(refused) > NAMED else "")
        kept = "" if catalogue.fact(registry.IN_USE) == encoder.bundle_id else ", and nothing was switched"
        raise BundleNotUsed(
            f"{len(refused)} sightings could not be encoded again{kept}: {shown} "
            "Put the photos back or delete these sightings, and run this again: what was encoded is kept."
        )
    return made


def _batches(ids: Sequence[int]) -> Iterator[list[int]]:
    waiting = iter(ids)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _encoded(catalogue: Catalogue, store: PhotoStore, encoder: Encoder, sighting: Sighting) -> Encoded | str:
    photo = catalogue.photo(sighting.photo_sha256)
    if photo is None:
        return "its photo is not known."
    try:
        data = store.read(photo)
        return encoder.encode(data, box_in(photo, sighting, data), copy=photo.kept == "reduced")
    except (CatalogueError, PhotoRefused) as error:
        return str(error)


def box_in(photo: PhotoRow, sighting: Sighting, data: bytes) -> Box | None:
    """The sighting's box in the pixels of the photo as it was kept, which may be smaller than it was given."""
    if sighting.box is None:
        return None
    box = Box(*sighting.box)
    return in_copy(box, (photo.width, photo.height), read_header(data)) if photo.kept == "reduced" else box
