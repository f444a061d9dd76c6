"""The composition root: one data folder, opened, with the encoder, the index and the catalogue that belong to it.

What only needs SQL opens the catalogue alone (`open_books`) and works beside a running process; what needs the index holds it
for itself. The data folder owns a copy of its bundle, so that a newer Flukeprint with a newer default encoder, or a
restore onto another machine, answers as before.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from catalog.catalogue import Catalogue
from catalog.desk import Desk
from catalog.errors import CatalogueMissing, CatalogueUnavailable
from catalog.open import open_catalogue
from catalog.photos import PhotoStore
from encoder.bundle import Bundle, load_bundle
from encoder.encode import Encoder, open_encoder
from encoder.reduced import reduced
from encoder.values import Limits
from errors import FlukeprintError
from indexer import registry
from indexer.calibrating import fresh_calibration
from indexer.collection import collection_of, server_options
from indexer.errors import BundleMismatch
from indexer.looking import Looking
from indexer.opining import fresh_opinion, measure_opinion
from indexer.owning import Owning
from indexer.reconcile import Follower, Reconciled, level_of, reconcile
from indexer.registry import IN_USE, SHIPPED, bundles_folder
from indexer.tending import Tending
from matching.calibration import Calibration
from matching.opinion import Opinion
from matching.second_fit import Tick
from settings import Settings
from vector_db.growth import CODES_ABOVE, HNSW_ABOVE
from vector_db.open import open_edge, open_server
from vector_db.port import VectorIndex

DEFAULT_BUNDLE = SHIPPED / "beluga-lite0"


@dataclass
class Station:
    """An open data folder. Close it, or use it as a context."""

    settings: Settings
    catalogue: Catalogue
    photos: PhotoStore
    encoder: Encoder
    index: VectorIndex
    follower: Follower
    owning: Owning
    _calibration: Calibration | None = None
    _calibrated_at: int = -1  # the event up to which the index was then
    _calibrating: threading.Lock = field(default_factory=threading.Lock)
    _adopting: threading.Lock = field(default_factory=threading.Lock)
    _opinion: Opinion | None = None
    _opined_at: int = -1
    _tending: Tending | None = None

    @property
    def bundle_id(self) -> str:
        return self.encoder.bundle_id

    def calibration(self) -> Calibration:
        """Of the catalogue as it is now; looked at again when the log has grown, fitted again after a change of a tenth."""
        with self._calibrating:
            if self._calibration is None or self._calibrated_at != self.follower.seen:
                self._calibrated_at = self.follower.seen
                self._calibration = fresh_calibration(
                    self.index, self.catalogue, self.encoder.bundle, self._calibration, new_share=self.settings.new_share
                )
            return self._calibration

    @property
    def looking(self) -> Looking:
        return Looking(self.catalogue, self.photos, limits(self.settings), self.settings.streams)

    def opinion(self) -> Opinion | None:
        """What a second look is worth in the catalogue as it is now; None where nobody has measured it."""
        with self._calibrating:
            if self._opined_at != self.follower.seen:
                self._opined_at = self.follower.seen
                self._opinion = fresh_opinion(self.index, self.catalogue, self.looking, self.bundle_id, self.settings.new_share)
            return self._opinion

    def measure_opinion(self, tick: Tick = lambda *_: None) -> Opinion:
        """The same, measured now and kept."""
        with self._calibrating:
            self.follower.follow()
            self._opined_at = self.follower.seen
            self._opinion = measure_opinion(
                self.index, self.catalogue, self.looking, self.bundle_id, self.settings.new_share, tick
            )
            return self._opinion

    def adopt_bundle(self) -> None:
        """At the first write: this bundle is the catalogue's from now on, and the data folder keeps a copy of it."""
        with self._adopting:  # the first two enrolments of a service may come at once
            if self.catalogue.fact(IN_USE) is not None:
                return
            registry.keep(self.settings, self.encoder.bundle)
            self.catalogue.set_fact(IN_USE, self.bundle_id)

    def tend(self) -> None:
        """From now on, until it is closed, the index is laid out anew as it grows; a server does that by itself."""
        if self.settings.qdrant_url is None:
            self._tending = Tending(self.index)

    def close(self) -> None:
        try:
            self.follower.close()
        finally:
            self._close()

    def _close(self) -> None:
        if self._tending is not None:
            self._tending.stop()
        self.index.close()
        if self._tending is not None:
            self._tending.join()
        self.encoder.close()
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_books(settings: Settings, *, create: bool = False) -> Catalogue:
    """The catalogue alone, for what needs only SQL; refused where there is none, unless it may be made.

    Where one was lost none is made: the index would be emptied after it, and all would seem well.
    """
    left = _left_behind(settings.data_dir)  # looked at first: a process beside this one may be making a new one
    if create:
        make_folder(settings.data_dir)
    try:
        return open_catalogue(settings.catalogue, full_sync=settings.full_sync, create=create and not left)
    except CatalogueMissing as missing:
        if not left:
            raise
        where = "at FLUKEPRINT_DATABASE_URL" if settings.database_url else "in catalogue.db"
        raise CatalogueUnavailable(
            f"The catalogue is lost: {settings.data_dir} holds {left} of one, but there is none {where}, or an empty one. "
            f"Nothing was changed. Put it back, or restore the last backup into a new folder; to begin anew, choose another "
            f"data folder, or move {left} away."
        ) from missing


@contextmanager
def beginning(settings: Settings) -> Iterator[Callable[[], None]]:
    """Around what may begin a catalogue: where it is refused there is none afterwards, so that a mistyped path answers nothing.

    An error is a refusal, and so is a call of what is handed out. Taken away is only a folder that was made here, while
    nothing stands in it.
    """
    folder, made = settings.data_dir, False
    if settings.database_url is None:
        with suppress(OSError):  # it is there; or it cannot be made, which opening it will say
            folder.mkdir(parents=True)
            made = True

    def refused() -> None:
        if made and folder.is_dir() and _is_bare(settings):
            for left in (*folder.glob("catalogue.db*"), *(folder / name for name in ("index", "photos", "bundles"))):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)
            with suppress(OSError):  # something else lies in it
                folder.rmdir()

    try:
        yield refused
    except BaseException:
        refused()
        raise


def _is_bare(settings: Settings) -> bool:
    try:
        with open_books(settings) as books:
            counts = books.counts()
            said = counts.events or counts.identifications or books.imports.all() or Desk(books).keys() or books.fact(IN_USE)
            return not said
    except CatalogueMissing:
        return True
    except FlukeprintError:  # whatever it is, it is no longer ours to take away
        return False


def _left_behind(folder: Path) -> str:
    """What only a catalogue leaves in a data folder. Not bundles: they may be added before the first photo."""
    found = {"photos": any(folder.glob("photos/??/*")), "index": any(folder.glob("index/*"))}
    return " and ".join(f"{name}/" for name, there in found.items() if there)


def open_station(settings: Settings, *, streams: int = 1, create: bool = True) -> Station:
    """Open everything, heal the index if it needs it, and hold it until closed. `create=False`: only where a catalogue is."""
    with ExitStack() as opened:  # closed again where one of the later steps fails
        catalogue = opened.enter_context(open_books(settings, create=create))
        bundle = bundle_for(settings, catalogue)
        catalogue.register_bundle(bundle.id, sha256=bundle.sha256, dimension=bundle.dimension)
        index = open_index(settings, catalogue, bundle)
        opened.callback(index.close)
        encoder = open_encoder(
            bundle.folder,
            runtime=settings.runtime,
            streams=streams,
            threads=settings.threads,
            batch=min(settings.batch, streams),  # no more can come together
            limits=limits(settings),
        )
        opened.callback(encoder.close)
        follower = Follower(index, catalogue, bundle.id)
        follower.follow()
        owning = Owning(catalogue, follower)
        station = Station(settings, catalogue, photo_store(settings), encoder, index, follower, owning)
        opened.pop_all()
        return station


def open_index(settings: Settings, catalogue: Catalogue, bundle: Bundle) -> VectorIndex:
    """This bundle's collection, holding exactly what the catalogue says."""

    def heal(index: VectorIndex) -> None:
        healed.append(reconcile(index, catalogue, bundle.id))

    healed: list[Reconciled] = []
    index: VectorIndex
    if (options := server_options(settings)) is None:
        index = open_edge(
            settings.data_dir / "index" / bundle.id,
            collection=bundle.id,
            dimension=bundle.dimension,
            on_open=heal,
            codes_above=CODES_ABOVE if settings.codes_above is None else settings.codes_above,
            hnsw_above=HNSW_ABOVE if settings.hnsw_above is None else settings.hnsw_above,
        )
    else:
        name = collection_of(catalogue, bundle.id)
        index = open_server(options, collection=name, dimension=bundle.dimension, on_open=heal)
    try:
        if level := healed[-1].level:  # else the first `follow` would put every point again
            catalogue.set_fact(level_of(bundle.id), str(level))
    except BaseException:
        index.close()
        raise
    return index


def bundle_for(settings: Settings, catalogue: Catalogue | None) -> Bundle:
    """The catalogue's own bundle; for a new catalogue, or none, the one that is set, or the one that Flukeprint ships."""
    in_use = catalogue.fact(IN_USE) if catalogue is not None else None
    own = bundles_folder(settings) / in_use if in_use else DEFAULT_BUNDLE
    bundle = load_bundle(settings.bundle or own)
    if in_use and bundle.id != in_use:
        raise BundleMismatch(
            f"the catalogue in {settings.data_dir} was made with the bundle {in_use}, and FLUKEPRINT_BUNDLE names {bundle.id}: "
            "vectors of two bundles cannot be compared. Unset FLUKEPRINT_BUNDLE, or use another data folder for it."
        )
    return bundle


def limits(settings: Settings) -> Limits:
    return Limits(settings.max_photo_bytes, settings.max_photo_pixels)


def photo_store(settings: Settings) -> PhotoStore:
    def reduce(data: bytes) -> bytes | None:
        return reduced(data, settings.photo_long_side, limits(settings))

    return PhotoStore(settings.data_dir / "photos", settings.keep_photos, reduce)


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogueUnavailable(
            f"the data folder {folder} cannot be made: {error.strerror}. Choose another with --data-dir or FLUKEPRINT_DATA_DIR."
        ) from error
