"""What became of a job's rows: as JSON, and as a CSV with a line for each photo that a spreadsheet may open safely."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

from catalog.catalogue import Catalogue
from catalog.values import Job, JobRow
from service.house import House

PAGE = 200
HEADS = {
    "identify": (
        "row", "encounter", "photo", "state", "decision", "probability", "individual_id", "individual", "species",
        "individual_probability", "new_probability", "identification_id", "reason",
    ),
    "enrol": ("row", "individual", "photo", "state", "individual_id", "sighting_id", "event_id", "reason"),
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row_json(books: Catalogue, job: Job, row: JobRow) -> dict[str, Any]:
    answer = row.answer
    if job.kind == "identify" and row.made is not None:
        answer = books.identification(row.made).answer | {"identification_id": row.made}
    photos = [photo["name"] for photo in row.photos]
    told = {"number": row.number, "name": row.name, "photos": photos, "state": row.state}
    return told | {"answer": answer, "reason": row.reason}


async def as_csv(house: House, job: Job) -> AsyncIterator[str]:
    """Page by page, as the rows stand."""
    yield _line(HEADS[job.kind])
    after = 0
    while True:
        rows = await house.gate.books.run(lambda after=after: house.desk.job_rows(job.id, after=after, limit=PAGE))  # type: ignore[misc]
        if not rows:
            return
        after = rows[-1].id
        told = await house.gate.books.run(lambda rows=rows: _told(house, job, rows))  # type: ignore[misc]
        lines = _identified if job.kind == "identify" else _enrolled
        yield "".join(_line(line) for row in told for line in lines(row))


def _told(house: House, job: Job, rows: list[JobRow]) -> list[dict[str, Any]]:
    return [row_json(house.station.catalogue, job, row) for row in rows]


def _identified(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    answer = row["answer"] or {}
    best: dict[str, Any] = next(iter(answer.get("candidates", ())), {})
    refused = {photo["name"]: photo["refused"] for photo in answer.get("photos", ())}
    for photo in row["photos"] or [""]:
        reason = refused.get(photo) or row["reason"]
        yield (
            row["number"], row["name"], photo, "refused" if reason else row["state"], answer.get("decision"),
            answer.get("probability"), best.get("individual_id"), best.get("name"), best.get("species"),
            best.get("probability"), answer.get("new_probability"), answer.get("identification_id"), reason,
        )  # fmt: skip


def _enrolled(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    answer = row["answer"] or {}
    for photo in answer.get("photos", ()):
        known = (answer["individual_id"], photo["sighting_id"], answer["event_id"])
        yield (row["number"], row["name"], photo["photo"], photo["state"], *known, photo["reason"])
    if not answer:
        for name in row["photos"] or [""]:
            yield (row["number"], row["name"], name, row["state"], None, None, None, row["reason"])


def _line(cells: tuple[Any, ...]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow(["" if cell is None else _safe(cell) for cell in cells])
    return out.getvalue()


def _safe(cell: Any) -> Any:
    """A name that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
