"""Long work of a service, row by row, so that a job that was killed goes on where it was.

Functions on the connection that is handed in. A row is marked in the transaction that makes what it stands for, an event or
an identification, so that it is never done twice and never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from catalog.chunks import chunks
from catalog.errors import EditConflict, NotKnown
from catalog.names import storable
from catalog.schema import job_rows, jobs
from catalog.values import Job, JobRow, JobRowState

_J, _R = jobs.c, job_rows.c
OPEN = ("waiting", "running")


def add(connection: Connection, job: dict[str, Any], rows: Sequence[dict[str, Any]]) -> int:
    key = connection.execute(insert(jobs).values(job | {"state": "waiting"})).inserted_primary_key
    assert key is not None  # one row, so there is one
    numbered = [
        {"job_id": key[0], "number": number, "state": "waiting", "reason": None} | row | {"name": storable(row["name"])}
        for number, row in enumerate(rows, start=1)
    ]
    for some in chunks(numbered):
        connection.execute(insert(job_rows), some)
    return int(key[0])


def by_id(connection: Connection, job_id: int) -> Job:
    row = connection.execute(select(jobs).where(_J.id == job_id)).one_or_none()
    if row is None:
        raise NotKnown(f"There is no job {job_id}.")
    return Job(*row)


def open_jobs(connection: Connection) -> list[Job]:
    """Those that are not at their end, the oldest first."""
    return [Job(*row) for row in connection.execute(select(jobs).where(_J.state.in_(OPEN)).order_by(_J.id))]


def set_state(
    connection: Connection, job_id: int, state: str, *, now: datetime | None = None, reason: str | None = None
) -> None:
    """From an open state only: what is at its end stays there."""
    values = {"state": state, "finished_at": now, "reason": None if reason is None else storable(reason)}
    connection.execute(update(jobs).where(_J.id == job_id, _J.state.in_(OPEN)).values(values))


def cancel(connection: Connection, job_id: int, now: datetime, *, at_work: bool = False) -> Job:
    """`at_work`: somebody does its first waiting row now. That one stays, and they end the job after it."""
    job = by_id(connection, job_id)
    if job.state == "cancelled":
        return job
    if job.state not in OPEN:
        raise EditConflict(f"Job {job_id} is {job.state} already, so there is nothing to cancel; see its result.")
    waiting = [_R.job_id == job_id, _R.state == "waiting"]
    if at_work:
        first = connection.execute(select(func.min(_R.id)).where(*waiting)).scalar()
        waiting.append(_R.id != first)
    else:
        set_state(connection, job_id, "cancelled", now=now)
    connection.execute(update(job_rows).where(*waiting).values(state="cancelled"))
    return by_id(connection, job_id)


def rows(connection: Connection, job_id: int, after: int, limit: int, state: JobRowState | None = None) -> list[JobRow]:
    """In their order; `after` is the last row's id."""
    query = select(job_rows).where(_R.job_id == job_id, _R.id > after).order_by(_R.id).limit(limit)
    if state is not None:
        query = query.where(_R.state == state)
    return [JobRow(*row) for row in connection.execute(query)]


def mark(connection: Connection, row_id: int, state: JobRowState, **values: Any) -> None:
    """A row that waits."""
    connection.execute(update(job_rows).where(_R.id == row_id).values({"state": state} | values))


def counts(connection: Connection, job_id: int) -> dict[JobRowState, int]:
    query = select(_R.state, func.count()).where(_R.job_id == job_id).group_by(_R.state)
    found: dict[JobRowState, int] = dict.fromkeys(("waiting", "done", "refused", "cancelled"), 0)
    return found | {row[0]: row[1] for row in connection.execute(query)}
