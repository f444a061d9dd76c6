"""What a service keeps beside the catalogue, in the same database: keys, answered requests, jobs, feedback.

Nothing here changes who is who. `Catalogue` is the books; this is the desk at which strangers ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from catalog import answers, individuals, jobs, keys
from catalog.catalogue import Catalogue, Note
from catalog.errors import ValueRefused
from catalog.names import required_label, storable
from catalog.schema import feedback, requests
from catalog.values import ApiKey, Feedback, Job, JobRow, JobRowState, Request

REQUESTS_KEPT = timedelta(days=2)  # a retry comes within minutes
USED_EVERY = timedelta(minutes=1)  # how exactly "last used" is known, so that asking does not mean writing


class Desk:
    """On an open catalogue, and closed with it. Safe to call from several threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._books = catalogue.transactions

    # Keys.

    def add_key(self, key: str, role: str, name: str | None = None, *, expires_at: datetime | None = None) -> ApiKey:
        with self._books.writing() as connection:
            return keys.add(connection, key=key, role=role, name=name, now=_now(), expires_at=expires_at)

    def take_key_from_file(self, key: str) -> ApiKey:
        """The admin's, which a deployment's file holds."""
        with self._books.writing() as connection:
            return keys.take_from_file(connection, key=key, now=_now())

    def keys(self) -> list[ApiKey]:
        """All there ever were, the oldest first."""
        with self._books.reading() as connection:
            return keys.all_keys(connection)

    def revoke_key(self, key_id: int) -> ApiKey:
        """Again is fine."""
        with self._books.writing() as connection:
            key = keys.by_id(connection, key_id)
            if key.revoked_at is None:
                keys.mark(connection, key_id, revoked_at=_now())
            return keys.by_id(connection, key_id)

    def used_key(self, key: ApiKey) -> None:
        now = _now()
        if key.used_at is None or now - key.used_at > USED_EVERY:
            with self._books.casually() as connection:
                keys.mark(connection, key.id, used_at=now)

    # Requests with an Idempotency-Key.

    def begin_request(self, token: str, fingerprint: str) -> Request | None:
        """None where it is new and begins now; else as far as it came before."""
        with self._books.casually() as connection:
            row = connection.execute(select(requests).where(requests.c.token == token)).one_or_none()
            if row is not None:
                return Request(*row)
            now = _now()
            connection.execute(delete(requests).where(requests.c.at < now - REQUESTS_KEPT))
            connection.execute(insert(requests).values(token=token, fingerprint=fingerprint, at=now))
            return None

    def request(self, token: str) -> Request | None:
        with self._books.reading() as connection:
            row = connection.execute(select(requests).where(requests.c.token == token)).one_or_none()
        return None if row is None else Request(*row)

    def note_of(self, token: str) -> Note:
        """To be done in the transaction of the write that this request is for."""
        return lambda connection, made, number: _made(connection, token, made, number)

    def end_request(self, token: str, status: int, answer: Any) -> None:
        with self._books.casually() as connection:
            connection.execute(update(requests).where(requests.c.token == token).values(status=status, answer=answer))

    def drop_request(self, token: str) -> None:
        """It came to nothing, and may be tried anew."""
        with self._books.casually() as connection:
            connection.execute(delete(requests).where(requests.c.token == token, requests.c.made.is_(None)))

    # Jobs.

    def add_job(self, job: dict[str, Any], rows: Sequence[dict[str, Any]], *, token: str | None = None) -> int:
        with self._books.writing() as connection:
            number = jobs.add(connection, job | {"who": required_label(job["who"], "user"), "created_at": _now()}, rows)
            if token is not None:
                _made(connection, token, "job", number)
            return number

    def job(self, job_id: int) -> Job:
        with self._books.reading() as connection:
            return jobs.by_id(connection, job_id)

    def open_jobs(self) -> list[Job]:
        with self._books.reading() as connection:
            return jobs.open_jobs(connection)

    def start_job(self, job_id: int) -> None:
        with self._books.writing() as connection:
            jobs.set_state(connection, job_id, "running")

    def finish_job(self, job_id: int, state: str, reason: str | None = None) -> None:
        with self._books.writing() as connection:
            jobs.set_state(connection, job_id, state, now=_now(), reason=reason)

    def cancel_job(self, job_id: int, *, at_work: bool = False) -> Job:
        """`at_work`: somebody does its first waiting row now. That one stays, and they end the job after it."""
        with self._books.writing() as connection:
            return jobs.cancel(connection, job_id, _now(), at_work=at_work)

    def job_rows(self, job_id: int, *, after: int = 0, limit: int = 100, state: JobRowState | None = None) -> list[JobRow]:
        with self._books.reading() as connection:
            return jobs.rows(connection, job_id, after, limit, state)

    def job_counts(self, job_id: int) -> dict[JobRowState, int]:
        with self._books.reading() as connection:
            return jobs.counts(connection, job_id)

    def note_of_row(self, row_id: int, state: JobRowState) -> Note:
        """To be done in the transaction of the write that this row stands for."""
        return lambda connection, _, number: jobs.mark(connection, row_id, state, made=number)

    def mark_job_row(self, row_id: int, state: JobRowState, *, answer: Any = None, reason: str | None = None) -> None:
        with self._books.casually() as connection:
            told = {"answer": answer, "reason": None if reason is None else storable(reason)}
            jobs.mark(connection, row_id, state, **told)

    # Feedback.

    def add_feedback(
        self,
        identification_id: int,
        verdict: str,
        *,
        who: str,
        individual: int | str | None = None,
        remark: str | None = None,
        token: str | None = None,
    ) -> Feedback:
        with self._books.writing() as connection:
            answer = answers.identification(connection, identification_id).answer
            who_it_is = None if individual is None else individuals.find(connection, individual).id
            _refuse_contradiction(connection, answer, verdict, who_it_is)
            given = {
                "identification_id": identification_id,
                "at": _now(),
                "who": required_label(who, "user"),
                "verdict": verdict,
                "individual_id": who_it_is,
                "remark": None if remark is None else storable(remark),
            }
            key = connection.execute(insert(feedback).values(given)).inserted_primary_key
            assert key is not None  # one row, so there is one
            if token is not None:
                _made(connection, token, "feedback", key[0])
            return _feedback(connection, key[0])

    def feedback(self, feedback_id: int) -> Feedback:
        with self._books.reading() as connection:
            return _feedback(connection, feedback_id)

    def verdicts(self) -> dict[str, int]:
        """How often each was given, counting the last word on each identification only."""
        last = select(func.max(feedback.c.id)).group_by(feedback.c.identification_id)
        query = select(feedback.c.verdict, func.count()).where(feedback.c.id.in_(last)).group_by(feedback.c.verdict)
        with self._books.reading() as connection:
            return {"confirm": 0, "reject": 0, "new": 0} | {row[0]: row[1] for row in connection.execute(query)}


def _refuse_contradiction(connection: Connection, answer: Any, verdict: str, individual: int | None) -> None:
    """The first candidate stands for the answer, unless that says "new"; one that was merged is who it is now."""
    decision, candidates = answer.get("decision"), answer.get("candidates")
    said = None
    if candidates and decision != "new":
        said = individuals.heir(connection, candidates[0]["individual_id"])
    if verdict == "new" and individual is not None:
        raise ValueRefused('An individual was named with the verdict "new"; leave it out, or say "reject".')
    if verdict == "confirm" and said is None and decision != "new":
        raise ValueRefused('The answer named nobody, so there is nothing to confirm; say "new", or "reject" with who it is.')
    if verdict == "confirm" and individual is not None and individual != said:
        named = "a new animal" if said is None else f"individual {said}"
        raise ValueRefused(f'The answer was {named}, and individual {individual} was named; say "reject" with that individual.')
    if verdict == "reject" and individual is not None and individual == said:
        raise ValueRefused(f'The answer was individual {said}, who was named as the right one too; say "confirm".')


def _made(connection: Connection, token: str, made: str, number: int) -> None:
    connection.execute(update(requests).where(requests.c.token == token).values(made=made, number=number))


def _feedback(connection: Connection, feedback_id: int) -> Feedback:
    return Feedback(*connection.execute(select(feedback).where(feedback.c.id == feedback_id)).one())


def _now() -> datetime:
    return datetime.now(UTC)
