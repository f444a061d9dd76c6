"""The bulk way in: many rows, every one with a state in the catalogue, that may be killed at any moment and goes on.

A pipeline of three: the rows wait in SQL; `streams` threads read, decode, encode and write photos (all of it outside Python's
lock); one writer makes the files durable and commits them in batches, sightings and row states in one transaction, and hands
the points to the index. So a crash loses at most the work of one batch, never a row. One bad photo is one row set aside with
its reason; those are tried again at the next run, since the photo may have been mended in its place. A photo that was lost
since is put back from the source.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import CatalogueRefused
from catalog.names import clean_name, shown
from catalog.values import GivenRow, ImportRow
from encoder.errors import PhotoRefused
from encoder.photo import read_photo
from indexer.errors import RowRefused, TableRefused
from indexer.given import Given, day_in, given
from indexer.lost import put_back
from indexer.occasions import label_of_one
from indexer.sightings import Prepared, Recorded, Recorder, Source, corners, hand_over, prepare, settle
from indexer.station import Station, limits
from indexer.tables import LeftOut, Row, as_csv, flaw, photo_at, read_source
from indexer.tending import lay_out

BATCH = 64  # rows a commit: its fsync and the index's round trip then cost less than 1 % of encoding
BATCH_S = 2.0  # or so many seconds, so that little is lost on slow photos
LONGEST_PATH = 4096  # Linux's PATH_MAX
AHEAD = 16  # photos under way for each stream: enough that none waits while a batch is written, as paths until their turn comes
Refusal = PhotoRefused | CatalogueRefused | RowRefused
Progress = Callable[["Progressed"], None]


@dataclass(frozen=True, slots=True)
class Progressed:
    done: int  # rows that are settled, of earlier runs too
    total: int
    set_aside: int


@dataclass(frozen=True, slots=True)
class Unlike:
    """A row of a photo that was enrolled already, given with other facts, which were not taken."""

    row: int
    photo: str
    sighting_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    import_id: int
    rows: int
    repeated: int  # said before in the same source, word for word: nothing was done for them
    enrolled: int  # by this run
    already: int  # known before: an earlier run's rows, or photos enrolled otherwise
    set_aside: int
    put_back: int  # photos known before, whose file was lost and is there again
    individuals: int  # now in the catalogue
    seconds: float
    unlike: tuple[Unlike, ...]  # of this run
    separator: str  # of a table's cells, as it was read
    columns_left_out: tuple[str, ...]  # headings of a table that were not read
    columns_lacking: tuple[str, ...]  # what none of its columns says
    left_out: LeftOut  # photos of a folder that are no rows
    not_laid_out: str | None = None  # why the index could not be built for fast search, where it could not


@dataclass(frozen=True, slots=True)
class Work:
    """A row whose photo is prepared."""

    identity: str
    prepared: Prepared


def import_rows(
    station: Station, source: Path, *, images: Path | None = None, who: str, on_progress: Progress | None = None
) -> Summary:
    """Enrol a folder an individual, or a table whose paths are relative to `images` (its own folder, where not given)."""
    began = time.monotonic()
    source = source.absolute()
    if images is not None and not images.is_dir():
        raise TableRefused(f"--images {images} is no folder: give the one that the table's paths are relative to.")
    read = read_source(source)
    rows = list({row.key: row for row in read}.values())
    root = source if source.is_dir() else (images or source.parent).absolute()
    station.adopt_bundle()
    import_id = _begin(station, source, root, rows)
    before = station.catalogue.imports.counts(import_id)
    settled, set_aside, enrolled, unlike = len(rows) - before["waiting"], 0, 0, list[Unlike]()
    if on_progress is not None:
        on_progress(Progressed(settled, len(rows), 0))
    back = put_back(station, import_id, root, who=who)
    with closing(_prepared(station, root, import_id)) as prepared:  # what was prepared and not committed leaves nothing behind
        for batch in _batches(prepared):
            done, refused = _commit(station, batch, f"import {import_id}: {source.name}", who, unlike)
            enrolled, set_aside, settled = enrolled + done, set_aside + refused, settled + len(batch)
            if on_progress is not None:
                on_progress(Progressed(settled, len(rows), set_aside))
    station.index.flush()
    station.catalogue.imports.finish(import_id)
    not_laid_out = lay_out(station.index)
    station.calibration()
    return Summary(
        import_id=import_id,
        rows=len(read.rows),
        repeated=len(read.rows) - len(rows),
        enrolled=enrolled,
        already=len(rows) - enrolled - set_aside,
        set_aside=set_aside,
        put_back=back,
        individuals=station.catalogue.counts().individuals,
        seconds=time.monotonic() - began,
        unlike=tuple(unlike),
        separator=read.separator,
        columns_left_out=read.columns_left_out,
        columns_lacking=read.columns_lacking,
        left_out=read.left_out,
        not_laid_out=not_laid_out,
    )


def set_aside_csv(station: Station, import_id: int, separator: str = ",") -> str:
    """The rows that could not be enrolled, each with its reason: to be mended and imported again with the same --images."""
    rows = station.catalogue.imports.rows(import_id, "set_aside")
    return as_csv(((row.number, row.given, row.reason or "") for row in rows), separator)


def _begin(station: Station, source: Path, root: Path, rows: Sequence[Row]) -> int:
    """Write down every row before the first photo is read; those of an earlier run keep their state."""
    keys = [row.key for row in rows]
    fingerprint = hashlib.sha256("".join(keys).encode()).hexdigest()
    catalogue = station.catalogue
    import_id = catalogue.imports.start(str(source), images=str(root), fingerprint=fingerprint).id
    catalogue.imports.add_rows(
        import_id, (GivenRow(key, row.number, dict(row.given)) for key, row in zip(keys, rows, strict=True))
    )
    catalogue.imports.supersede(import_id, keys)
    catalogue.imports.retry(import_id)
    return import_id


def _prepared(station: Station, root: Path, import_id: int) -> Generator[tuple[ImportRow, Work | Refusal]]:
    """Waiting rows, prepared by all cores, in their order; at most a few a stream are under way."""
    streams = station.settings.streams
    with ThreadPoolExecutor(streams + 1, thread_name_prefix="encode") as pool:  # one more, since reading a file may wait
        under_way: deque[tuple[ImportRow, Future[Work | Refusal]]] = deque()
        try:
            for row in _waiting(station, import_id):
                under_way.append((row, pool.submit(_work, station, root, row)))
                if len(under_way) >= streams * AHEAD:
                    yield _first(under_way)
            while under_way:
                yield _first(under_way)
        finally:  # nothing is left here, unless it ends early
            for _, future in under_way:
                if not future.cancel() and future.exception() is None:
                    _drop(future.result())


def _first(under_way: deque[tuple[ImportRow, Future[Work | Refusal]]]) -> tuple[ImportRow, Work | Refusal]:
    row, future = under_way[0]  # it stays there until it is done: waiting may be interrupted
    outcome = future.result()
    under_way.popleft()
    return row, outcome


def _drop(outcome: Work | Refusal) -> None:
    if isinstance(outcome, Work):
        outcome.prepared.incoming.drop()


def _waiting(station: Station, import_id: int) -> Iterator[ImportRow]:
    last = 0
    while page := station.catalogue.imports.waiting(import_id, 1000, after=last):
        yield from page
        last = page[-1].id


def _work(station: Station, root: Path, row: ImportRow) -> Work | Refusal:
    try:
        said = row.given
        if why := flaw(said):
            raise RowRefused(why)
        path, identity, facts = _understood(station, root, said)
        photo = photo_at(root, path)
        prepared = prepare(station, Source(photo.name, facts, photo))
        return Work(identity, replace(prepared, given=_dated(prepared.given, path)))
    except (PhotoRefused, CatalogueRefused, RowRefused) as error:
        return error


def _understood(station: Station, root: Path, said: Mapping[str, str]) -> tuple[str, str, Given]:
    """Path, identity and facts of a row, or all that is wrong with them, so that it need be mended only once."""
    path, identity, facts = said.get("path", ""), said.get("identity", ""), Given()
    faults: list[str] = []
    if not path or not identity:
        lacking = " and no ".join(name for name, value in (("path", path), ("identity", identity)) if not value)
        faults.append(f"The row has no {lacking}: fill it in, or leave the row out.")
    if len(path) > LONGEST_PATH:
        faults.append(f"The path {shown(path)} is longer than any path can be: mend the row.")
    if identity:
        try:
            identity = clean_name(identity)
        except CatalogueRefused as error:
            faults.append(str(error))
    try:
        facts = given(
            species=said.get("species"),
            encounter=said.get("encounter"),
            taken_on=said.get("date"),
            lat=said.get("lat"),
            lon=said.get("lon"),
            viewpoint=said.get("viewpoint"),
            box=said.get("box"),
        )
    except (CatalogueRefused, RowRefused) as error:
        faults.append(str(error))
    if faults:
        if 0 < len(path) <= LONGEST_PATH:  # else it is looked at when it is prepared
            try:
                read_photo(photo_at(root, path), limits(station.settings))
            except PhotoRefused as error:
                faults.append(str(error))
        raise RowRefused(" ".join(faults))
    return path, identity, facts


def _dated(known: Given, path: str) -> Given:
    """Where neither table nor camera tells the day, a folder's or file's name may."""
    return known if known.taken_on else replace(known, taken_on=day_in(path))


def _batches(items: Iterable[tuple[ImportRow, Work | Refusal]]) -> Iterator[list[tuple[ImportRow, Work | Refusal]]]:
    batch: list[tuple[ImportRow, Work | Refusal]] = []
    began = time.monotonic()
    try:
        for item in items:
            batch.append(item)
            if len(batch) >= BATCH or time.monotonic() - began > BATCH_S:
                whole, batch = batch, []
                yield whole
                began = time.monotonic()
    except BaseException:
        for _, outcome in batch:
            _drop(outcome)
        raise
    if batch:
        yield batch


def _commit(
    station: Station, batch: Sequence[tuple[ImportRow, Work | Refusal]], of: str, who: str, unlike: list[Unlike]
) -> tuple[int, int]:
    """The photos to disk, one transaction, then the index. How many were enrolled, and how many set aside; `unlike` grows."""
    refused = 0
    works = [work for _, work in batch if isinstance(work, Work)]
    settle(station, (work.prepared for work in works))
    with station.catalogue.write("import", who=who, what="") as write:
        recorder = Recorder(write, station)
        write.individuals_named(work.identity for work in works)
        write.sightings_by_photo((work.prepared.encoded.sha256, corners(work.prepared.given.box)) for work in works)
        for row, work in batch:
            outcome = _recorded(recorder, work) if isinstance(work, Work) else work
            if isinstance(outcome, Recorded):
                write.mark_row(row.id, outcome.state, sighting_id=outcome.sighting_id)
                if outcome.unlike:
                    unlike.append(Unlike(row.number, row.given["path"], outcome.sighting_id, outcome.unlike))
            else:
                refused += 1
                write.mark_row(row.id, "set_aside", str(outcome))
        count = len(recorder.enrolled)
        write.what = f"imported {count} {'photo' if count == 1 else 'photos'} ({of})"
    if recorder.enrolled:
        hand_over(station, write.event_id, recorder.enrolled + recorder.learned)
    return len(recorder.enrolled), refused


def _recorded(recorder: Recorder, work: Work) -> Recorded | Refusal:
    try:
        return recorder.record(work.identity, work.prepared, occasion=label_of_one(work.prepared.encoded.sha256))
    except (CatalogueRefused, RowRefused) as error:
        return error
