"""The one worker of a service's jobs: row by row, behind whoever asks at the desk, and from where it was after a restart.

A row is acknowledged when it is marked, in the transaction that makes its identification or its sightings. One that was
interrupted is done again: enrolling twice is once, and an identification that was kept is not made anew. When the service
leaves, the row at work breaks off between two photos, and waits for the next start.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from catalog.values import Job, JobRow, JobRowState
from encoder.errors import PhotoRefused
from errors import FlukeprintError
from indexer.enrol import enrol
from indexer.errors import NotIndexed
from indexer.given import given
from indexer.sightings import Source
from matching.identify import QueryPhoto
from service.archive import read_member
from service.asking import Watched, identified, options_of
from service.errors import ClientGone
from service.house import House
from service.problems import kind_of
from service.questions import OptionsAsked
from service.retries import Attempt

UPLOADS = "uploads"
LOOK_EVERY_S = 0.1
PAUSES_S = (1, 2, 5, 10, 30)  # between tries of a row that fails for the moment, as while a database starts again
OLD_S = 3600.0  # a younger upload may be one that is coming in, to another process
T = TypeVar("T")
log = logging.getLogger("flukeprint.jobs")


class Worker:
    """Runs in the event loop; the work itself is in the encoder's lane."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    async def run(self) -> None:
        """Until the service leaves. Nothing that fails ends the worker itself."""
        house = self._house
        while not house.leaving:
            self._wake.clear()
            job, begun = None, False
            try:
                waiting = await self._in_books(house.desk.open_jobs)
                for job in waiting:
                    with claimed(upload_path(house, job.upload)) as begun:
                        if begun:
                            await self._job(job)
                            break
                if not waiting:
                    await self._wake.wait()
                elif not begun:
                    await self._pause(PAUSES_S[0])  # another process is at them, and may die of it
            except Exception as error:  # a job's failure is its own: the next one goes on
                await self._failed(job, error)

    async def _failed(self, job: Job | None, error: Exception) -> None:
        log.error("job %s: %s", job and job.id, error, exc_info=None if isinstance(error, FlukeprintError) else error)
        try:
            if job is None:
                raise error
            reason = _told(error)
            await self._in_books(lambda: self._house.desk.finish_job(job.id, "failed", reason))
        except Exception:  # then the catalogue does not answer at all, and the job goes on when it does
            await self._pause(PAUSES_S[-1])

    async def _job(self, job: Job) -> None:
        house, desk, file = self._house, self._house.desk, upload_path(self._house, job.upload)
        await self._in_books(lambda: desk.start_job(job.id))
        while rows := await self._in_books(lambda: desk.job_rows(job.id, limit=1, state="waiting")):  # others may be cancelled
            if house.leaving or not await self._tried(job, rows[0], file) or house.leaving:
                return
        counts = await self._in_books(lambda: desk.job_counts(job.id))
        await self._in_books(lambda: desk.finish_job(job.id, "cancelled" if counts["cancelled"] else "done"))
        file.unlink(missing_ok=True)

    async def _tried(self, job: Job, row: JobRow, file: Path) -> bool:
        """Whether the job goes on after this row. What fails for the moment is tried again before it is a row's fault."""
        for pause_s in PAUSES_S:
            try:
                return await self._house.gate.encode.run_patiently(lambda: self._row(job, row, file, last=False))
            except FlukeprintError as error:
                if not _for_the_moment(error):
                    raise
                log.warning("job %s, row %s, tried again in %s s: %s", job.id, row.number, pause_s, error)
                await self._pause(pause_s)
                if self._house.leaving:
                    return False
        return await self._house.gate.encode.run_patiently(lambda: self._row(job, row, file, last=True))

    async def _in_books(self, work: Callable[[], T]) -> T:
        return await self._house.gate.books.run_patiently(work)

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._house.leaving and time.monotonic() < until:
            await asyncio.sleep(LOOK_EVERY_S)

    def _row(self, job: Job, row: JobRow, file: Path, *, last: bool) -> bool:
        """Whether the job goes on. What fails for the moment is raised, but on the last try."""
        house, desk, state = self._house, self._house.desk, "done"
        if house.leaving:  # it has stood in its lane until now
            return False
        try:
            with zipfile.ZipFile(file) as archive:
                if job.kind == "identify":
                    self._identify(job, row, archive)  # which marks the row itself
                else:
                    state = self._enrol(job, row, archive)
        except ClientGone:  # the service leaves: the row waits for the next start
            return False
        except FileNotFoundError:
            desk.finish_job(job.id, "failed", "Its upload is not there any more. Send it again.")
            return False
        except Exception as error:  # one row's failure is its own
            if _for_the_moment(error) and not last:
                raise
            if not _tells(error):
                log.error("job %s, row %s: %s", job.id, row.number, error, exc_info=error)
            desk.mark_job_row(row.id, "refused", reason=_told(error))
            house.measures.rows.labels("refused").inc()
        else:
            house.measures.rows.labels(state).inc()
        return True

    def _identify(self, job: Job, row: JobRow, archive: zipfile.ZipFile) -> None:
        photos = [QueryPhoto(photo["name"], self._read(archive, photo)) for photo in row.photos]
        options = options_of(OptionsAsked.model_validate(job.options))
        books = self._house.station.catalogue.noting(self._house.desk.note_of_row(row.id, "done"))
        identified(self._house, photos, options, Attempt(books, None, self._house.gone), who=job.who)

    def _enrol(self, job: Job, row: JobRow, archive: zipfile.ZipFile) -> JobRowState:
        """What the row is marked with: refused where nothing came of any of its photos."""
        house, outcomes, sources = self._house, list[dict[str, Any]](), list[Source]()
        for photo in row.photos:
            try:
                data = self._read(archive, photo)
                said = {name: value for name, value in photo.get("given", {}).items() if name != "date"}
                facts = given(taken_on=photo.get("given", {}).get("date"), **({"species": job.options.get("species")} | said))
                if isinstance(data, PhotoRefused):
                    raise data
                sources.append(Source(photo["name"], facts, data=data))
            except FlukeprintError as error:
                outcomes.append({"photo": photo["name"], "state": "refused", "sighting_id": None, "reason": str(error)})
        books = house.station.catalogue.noting(house.desk.note_of_row(row.id, "waiting"))
        encoder = Watched(house.station.encoder, house.gone)
        station = replace(house.station, catalogue=books, encoder=encoder)  # type: ignore[arg-type]
        done = enrol(station, row.name, sources, who=job.who)
        told = asdict(done)
        told["photos"] = outcomes + list(told["photos"])
        told["event_id"] = done.event_id or row.made  # an interrupted try of this row has enrolled them
        refused = all(photo["state"] == "refused" for photo in told["photos"])
        state: JobRowState = "refused" if refused else "done"
        house.desk.mark_job_row(row.id, state, answer=told, reason=told["photos"][0]["reason"] if refused else None)
        for photo in told["photos"]:  # now: a row that could not be marked is done again
            house.measures.photos.labels(photo["state"]).inc()
        return state

    def _read(self, archive: zipfile.ZipFile, photo: dict[str, Any]) -> bytes | PhotoRefused:
        try:
            return read_member(archive, photo["member"], self._house.settings.max_photo_bytes)
        except PhotoRefused as refusal:
            return refusal


def _tells(error: Exception) -> bool:
    return isinstance(error, FlukeprintError) and kind_of(type(error)).tells


def _told(error: Exception) -> str:
    return str(error) if _tells(error) else "The service failed; its log says why."


def _for_the_moment(error: Exception) -> bool:
    """What is kept, but not indexed, is mended by the next start alone: it is said so, and not tried again."""
    if isinstance(error, NotIndexed) or not isinstance(error, FlukeprintError):
        return False
    return kind_of(type(error)).status == 503


@contextmanager
def claimed(upload: Path) -> Iterator[bool]:
    """Whether its job is this process's to work on: another service on the same data folder may be at it."""
    try:
        held = upload.open("rb")
    except FileNotFoundError:  # which the first row will say
        yield True
        return
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except BlockingIOError:
            mine = False
        yield mine


def uploads(house: House) -> Path:
    """What comes in lies here until it is read; there at start."""
    return house.settings.data_dir / UPLOADS


def upload_path(house: House, name: str) -> Path:
    return uploads(house) / f"{name}.zip"


def sweep(house: House) -> None:
    """At start: uploads that no open job names were left by a request that was killed, or by a job at its end."""
    named = {f"{job.upload}.zip" for job in house.desk.open_jobs()}
    folder = uploads(house)
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in named and time.time() - file.stat().st_mtime > OLD_S:
            file.unlink(missing_ok=True)
