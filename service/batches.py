"""`/v1/batches` and `/v1/jobs`: many encounters to identify, or many individuals to enrol, while nobody waits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Path as InPath
from fastapi import Query, Request
from pydantic import Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from catalog.errors import EditConflict, NotKnown
from catalog.values import Job, JobKind
from indexer.errors import TableRefused
from service import schemas
from service.archive import read_members
from service.asking import options_of
from service.document import form, gives
from service.errors import Busy, RequestRefused, UploadRefused
from service.forms import LONGEST_FIELD, MOST_FIELDS, Sent, file_name, media_type
from service.house import House, caller_of, house_of
from service.jobs import claimed, upload_path
from service.keyring import Caller
from service.plan import plan
from service.questions import OptionsAsked
from service.result import HEADS, as_csv, row_json
from service.retries import Attempt, Reply, fingerprint, once
from service.route import role, router
from service.shape import NUMBER

routes = router("batches")
JobId = Annotated[int, InPath(ge=1, le=NUMBER)]
MOST_FILES = 500  # in a form; more go as an archive
MultiPartParser.spool_max_size = 65_536  # not a megabyte of each: of 500 that would be half a gigabyte in memory
FORMS = 4  # that are read at once: up to 80 MB each in memory, of 500 files and 500 fields
FORMS_RETRY_S = 5
LISTENERS = 64
LOOK_EVERY_S, SAY_SOMETHING_EVERY_S = 0.5, 15.0
ENDED = ("done", "cancelled", "failed")
JOB_SCHEMA = {"$ref": "#/components/schemas/Job"}
EVENT: dict[str, Any] = {  # each event of the stream
    "schema": {
        "type": "object",
        "properties": {
            "event": {"enum": ["progress", "end"]},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": JOB_SCHEMA},
        },
        "required": ["event", "data"],
    },
    "example": {"event": "end", "data": json.dumps(schemas.JOB)},
}
CSV: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": f"{','.join(HEADS['identify'])}\n1,day 1,a.jpg,refused,,,,,,,,,The photo is damaged.\n",
}


class BatchAsked(OptionsAsked):
    """What to do with the archive; the rest is as in /v1/identify. Enrolling takes `species` of it, of all that is enrolled."""

    kind: JobKind = Field("identify", description="identify: a folder is an encounter; enrol: a folder is an individual.")


@dataclass(frozen=True, slots=True)
class Received:
    """An upload, durable under its name."""

    name: str
    sha256: str
    fields: dict[str, list[str]]


@routes.post(
    "/v1/batches",
    operation_id="batch_send",
    summary="A ZIP, or many photos, to identify or to enrol",
    status_code=202,
    response_model=schemas.Job,
    responses=gives(UploadRefused, TableRefused),
    openapi_extra=role("editor", **form(BatchAsked, files="archive", one=True, raw=("application/zip",), or_files="photos")),
)
async def batch_send(request: Request) -> Response:
    house, caller = house_of(request), caller_of(request)
    received = await _receive(request, house)
    file, kept = upload_path(house, received.name), False
    try:
        asked = Sent(received.fields, []).asked(BatchAsked)
        options_of(asked)
        if asked.kind == "enrol":
            _refuse_options(asked)

        def work(attempt: Attempt) -> Reply:
            nonlocal kept
            rows = plan(asked.kind, file, read_members(file, house.settings), most=house.settings.max_photos)
            options = asked.model_dump(mode="json", exclude={"kind"})
            job = {"kind": asked.kind, "who": caller.name, "upload": received.name, "options": options}
            number = house.desk.add_job(job, rows, token=attempt.token)
            kept = True
            return Reply(job_json(house, house.desk.job(number)), 202)

        print_of = hashlib.sha256(f"{received.sha256} {sorted(received.fields.items())}".encode()).hexdigest()
        answer = await once(request, print_of, work, lambda number: Reply(job_json(house, house.desk.job(number)), 202))
        request.app.state.worker.wake()
        return answer
    except asyncio.CancelledError:  # a thread may yet make the job of it; an upload of none is swept away at a later start
        kept = True
        raise
    finally:
        if not kept:
            file.unlink(missing_ok=True)


@routes.get(
    "/v1/jobs/{job_id}",
    operation_id="job_get",
    summary="How far a job is",
    response_model=schemas.Job,
    responses=gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def job_get(request: Request, job_id: JobId) -> Response:
    house = house_of(request)
    return JSONResponse(await house.gate.books.run(lambda: job_json(house, house.desk.job(job_id))))


@routes.post(
    "/v1/jobs/{job_id}/cancel",
    operation_id="job_cancel",
    summary="Stop a job; what it has done stays",
    description="A row that is at work is done before the job ends: until then it is `running`, with that row `waiting`.",
    response_model=schemas.Job,
    responses=gives(NotKnown, EditConflict),
    openapi_extra=role("editor"),
)
async def job_cancel(request: Request, job_id: JobId) -> Response:
    house = house_of(request)

    def work(_: Attempt) -> Reply:
        file = upload_path(house, house.desk.job(job_id).upload)
        with claimed(file) as idle:
            job = house.desk.cancel_job(job_id, at_work=not idle)
            if idle:  # whoever is at it removes it
                file.unlink(missing_ok=True)
        return Reply(job_json(house, job))

    return await once(request, fingerprint(job_id), work)


@routes.get(
    "/v1/jobs/{job_id}/result",
    operation_id="job_result",
    summary="What became of each row so far, as JSON by pages or as one CSV",
    response_model=schemas.JobResult,
    responses=gives(NotKnown) | {200: {"description": "The rows.", "content": {"text/csv": CSV}}},
    openapi_extra=role("viewer"),
)
async def job_result(
    request: Request,
    job_id: JobId,
    format: Literal["json", "csv"] = "json",
    after: Annotated[int, Query(ge=0, le=NUMBER, description="The `next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    house = house_of(request)
    job = await house.gate.books.run(lambda: house.desk.job(job_id))
    if format == "csv":
        return StreamingResponse(as_csv(house, job), media_type="text/csv; charset=utf-8")

    def read() -> dict[str, Any]:
        rows = house.desk.job_rows(job_id, after=after, limit=limit)
        told = [row_json(house.station.catalogue, job, row) for row in rows]
        return {"job": job_json(house, job), "rows": told, "next": rows[-1].id if len(rows) == limit else None}

    return JSONResponse(await house.gate.books.run(read))


@routes.get(
    "/v1/jobs/{job_id}/events",
    operation_id="job_events",
    summary="A job's progress as it happens, as server-sent events; the last is `end`",
    response_class=StreamingResponse,
    responses=gives(NotKnown) | {200: {"description": "Events, each with the job.", "content": {"text/event-stream": EVENT}}},
    openapi_extra=role("viewer"),
)
async def job_events(request: Request, job_id: JobId) -> Response:
    house = house_of(request)
    first = await house.gate.books.run(lambda: house.desk.job(job_id))
    if request.scope.get("flukeprint.head"):  # whoever asks for no events waits for none
        return StreamingResponse((), media_type="text/event-stream")
    return Listening(_events(house, first, caller_of(request)), media_type="text/event-stream")


class Listening(StreamingResponse):
    """Counted before its first byte, and until its last, or no bound would hold."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state
        if state.listeners >= LISTENERS:
            raise Busy(f"{LISTENERS} clients listen to jobs already. Ask for the job itself now and then instead.")
        state.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            state.listeners -= 1


async def _events(house: House, job: Job, caller: Caller) -> AsyncIterator[bytes]:
    """Until the job's end; without one, where the service leaves or the caller's key opens nothing any more."""
    last, silent_s = b"", 0.0
    while not house.leaving and await house.keyring.still(caller):
        told = await house.gate.books.run(lambda: job_json(house, house.desk.job(job.id)))
        name = "end" if told["state"] in ENDED else "progress"
        event = f"event: {name}\ndata: {json.dumps(told)}\n\n".encode()
        if event != last:
            last, silent_s = event, 0.0
            yield event
        if name == "end":
            return
        if silent_s >= SAY_SOMETHING_EVERY_S:
            silent_s = 0.0
            yield b": still at it\n\n"
        await asyncio.sleep(LOOK_EVERY_S)
        silent_s += LOOK_EVERY_S


def job_json(house: House, job: Job) -> dict[str, Any]:
    counts = house.desk.job_counts(job.id)
    ended = job.finished_at and job.finished_at.isoformat()
    told = {"id": job.id, "kind": job.kind, "state": job.state, "who": job.who, "created_at": job.created_at.isoformat()}
    return told | {"finished_at": ended, "reason": job.reason, "rows": {"total": sum(counts.values())} | counts}


async def _receive(request: Request, house: House) -> Received:
    """The archive onto the disk, under a name of ours; or photos, put into an archive."""
    fields: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        fields.setdefault(name, []).append(value)
    received = Received(uuid4().hex, "", fields)
    file = upload_path(house, received.name)
    try:
        if media_type(request) == "application/zip":
            with file.open("wb") as out:
                async for chunk in request.stream():
                    await house.gate.books.run(lambda chunk=chunk: out.write(chunk))  # type: ignore[misc]
        elif media_type(request) == "multipart/form-data":
            await _take_form(request, house, file, fields)
        else:
            raise UploadRefused("Send multipart/form-data with `archive` or `photos`, or a ZIP as application/zip.")
        return replace(received, sha256=await house.gate.books.run(lambda: _settled(file)))
    except BaseException:
        file.unlink(missing_ok=True)
        raise


async def _take_form(request: Request, house: House, file: Path, fields: dict[str, list[str]]) -> None:
    state = request.app.state
    if state.forms >= FORMS:
        told = f"{FORMS} forms of batches are being read already. Nothing was done; try again in a moment, or send a ZIP."
        raise Busy(told, retry_after_s=FORMS_RETRY_S)
    state.forms += 1
    try:
        await _read_form(request, house, file, fields)
    finally:
        state.forms -= 1


async def _read_form(request: Request, house: House, file: Path, fields: dict[str, list[str]]) -> None:
    most = min(MOST_FILES, house.settings.max_archive_entries)
    try:
        async with request.form(max_files=most, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD) as parts:
            photos: list[UploadFile] = []
            archives: list[UploadFile] = []
            for name, part in parts.multi_items():
                if not isinstance(part, UploadFile):
                    fields.setdefault(name, []).append(part)
                elif name in ("archive", "photos"):
                    (archives if name == "archive" else photos).append(part)
                else:
                    raise UploadRefused(f"A file came as `{name[:60]}`; send `archive`, or `photos`.")
            if len(archives) + bool(photos) != 1:
                raise UploadRefused("Send one ZIP as `archive`, or photos as `photos`, and not both.")
            await house.gate.books.run(lambda: _copy(archives, file) if archives else _pack(photos, file))
    except MultiPartException as error:
        raise UploadRefused(f"The form cannot be read: {error.message}") from error


def _copy(archives: list[UploadFile], file: Path) -> None:
    with file.open("wb") as out:
        shutil.copyfileobj(archives[0].file, out)


def _pack(photos: list[UploadFile], file: Path) -> None:
    """Each under the name that the client gave it, so that a table may name it, and answers do."""
    paths = [_path_of(photo.filename or "") for photo in photos]
    twice = next((path for at, path in enumerate(paths) if path in paths[:at]), None)
    if twice and any(path.lower().endswith(".csv") for path in paths):
        raise UploadRefused(f'Two photos are called "{twice[:60]}", which a table cannot tell apart. Give each its own name.')
    with zipfile.ZipFile(file, "w") as archive:
        for path, photo in zip(_told_apart(paths), photos, strict=True):
            archive.writestr(zipfile.ZipInfo(path), photo.file.read())  # without the time: sent again, it is the same bytes


def _path_of(given: str) -> str:
    """A path that an archive may have: its folders stay, and nothing in it is hidden or leads elsewhere."""
    parts = [part for part in given.replace("\\", "/").split("/") if part.strip(".")]
    path = "/".join(file_name(part).lstrip(".") for part in parts) or "photo"
    return path[:2].replace(":", "_") + path[2:]  # which would be a drive


def _told_apart(paths: list[str]) -> Iterator[str]:
    """The second of two that are alike is numbered, and remains a photo of its own."""
    taken: set[str] = set()
    for path in paths:
        free, number, known = path, 1, PurePosixPath(path)
        while free in taken:
            number += 1
            free = str(known.with_stem(f"{known.stem} ({number})"))
        taken.add(free)
        yield free


def _refuse_options(asked: BatchAsked) -> None:
    if given := sorted(asked.model_fields_set - {"kind", "species"}):
        raise RequestRefused(
            f"{', '.join(given)} came with kind=enrol, which takes species alone: it is for photos to identify. "
            "Leave it out; place, day and viewpoint of photos to enrol go into a CSV in the archive."
        )


def _settled(file: Path) -> str:
    """Its hash, once it is durable."""
    with file.open("rb") as written:
        os.fsync(written.fileno())
        return hashlib.file_digest(written, "sha256").hexdigest()
