"""What is watched over time: the photos asked about beside those that are known, answers beside their verdicts, and jobs.

Reads, and the one row that is kept of each look. Like `Desk`, on an open catalogue; nothing here changes who is who.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import FromClause, func, insert, select, update

from catalog.catalogue import Catalogue
from catalog.chunks import chunks
from catalog.schema import drifts, encounters, events, feedback, identifications, individuals, jobs, photos, sightings, vectors
from catalog.values import KeptDrift, KnownPhotos, Verdicted

SAMPLE = 2_000  # sightings that stand for all: enough for tenths, and 2,000 reads by key at any size
BLOCKS = 10  # of identifications that are looked through for photos that differ
_I, _F, _S = identifications.c, feedback.c, sightings.c


class Watch:
    """On an open catalogue, and closed with it. Safe to call from several threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._books = catalogue.transactions

    def known_photos(self, bundle_id: str) -> KnownPhotos:
        """Of live sightings drawn at random, what was measured of their photos."""
        with self._books.reading() as connection:
            last = connection.scalar(select(func.max(_S.id))) or 0
            draw = np.random.default_rng(0)  # the same sightings each time: what moves then is what is asked
            ids = np.arange(1, last + 1) if last <= 2 * SAMPLE else np.unique(draw.integers(1, last + 1, 2 * SAMPLE))
            query = (
                select(vectors.c.norm, _S.brightness, _S.sharpness, photos.c.width * photos.c.height)
                .select_from(sightings.join(photos).join(vectors, vectors.c.sighting_id == _S.id))
                .where(vectors.c.bundle_id == bundle_id, _S.live)
            )
            rows = [row for some in chunks(ids.tolist()) for row in connection.execute(query.where(_S.id.in_(some)))]
        matrix = np.array([tuple(row) for row in draw.permutation(np.array(rows, dtype=np.float64).reshape(-1, 4))[:SAMPLE]])
        return KnownPhotos(*matrix.reshape(-1, 4).T)

    def asked_photos(self, bundle_id: str, most: int) -> list[dict[str, Any]]:
        """What was measured of the last photos asked about, the newest first; one that is asked again says nothing new."""
        query = select(_I.id, _I.photos).where(_I.bundle_id == bundle_id).order_by(_I.id.desc()).limit(2 * most)
        found: dict[tuple[str, str], dict[str, Any]] = {}
        before = None
        with self._books.reading() as connection:
            for _ in range(BLOCKS):  # a few photos asked about again and again must not hide the others
                kept = connection.execute(query if before is None else query.where(_I.id < before)).all()
                for photo in (one for row in kept for one in row.photos if "measured" in one):
                    found.setdefault((photo["sha256"], str(photo["box"])), photo["measured"])
                if len(found) >= most or len(kept) < 2 * most:
                    break
                before = kept[-1].id
        return list(found.values())[:most]

    def verdicts(self, bundle_id: str, most: int) -> list[Verdicted]:
        """The last answers on which somebody had a last word. Individuals that were merged meanwhile are who they are now."""
        last = select(func.max(_F.id)).group_by(_F.identification_id)
        best = _I.answer[("candidates", 0, "individual_id")].as_integer()
        query = (
            select(_I.answer["decision"].as_string(), _I.answer["probability"].as_float(), best, _F.verdict, _F.individual_id)
            .select_from(feedback.join(identifications))
            .where(_F.id.in_(last), _I.bundle_id == bundle_id)
            .order_by(_F.id.desc())
            .limit(most)
        )
        with self._books.reading() as connection:
            rows = connection.execute(query).all()
            merged = select(individuals.c.id, individuals.c.merged_into).where(individuals.c.merged_into.is_not(None))
            into = {row[0]: row[1] for row in connection.execute(merged)} if rows else {}

        def now(individual: int | None) -> int | None:
            while individual in into:
                individual = into[individual]
            return individual

        return [Verdicted(row[0], row[1], now(row[2]), row[3], now(row[4])) for row in rows]

    def sizes(self) -> dict[str, int]:
        """How much is known. Not counted row by row where a number says as much: at a million that would take a second."""
        with self._books.reading() as connection:

            def count(what: FromClause) -> int:
                return connection.scalar(select(func.count()).select_from(what)) or 0

            return {
                "individuals": count(select(individuals.c.id).where(individuals.c.live).subquery()),
                "sightings": count(select(_S.id).where(_S.live).subquery()),
                "encounters": connection.scalar(select(func.max(encounters.c.id))) or 0,
                "events": connection.scalar(select(func.max(events.c.id))) or 0,
                "identifications": connection.scalar(select(func.max(_I.id))) or 0,
            }

    def job_counts(self) -> dict[str, int]:
        with self._books.reading() as connection:
            query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
            found = dict.fromkeys(("waiting", "running", "done", "cancelled", "failed"), 0)
            return found | {row[0]: row[1] for row in connection.execute(query)}

    def last_asked(self) -> tuple[int, int]:
        """The numbers of the last identification and the last feedback: where both stand, nothing has moved."""
        with self._books.reading() as connection:
            return connection.scalar(select(func.max(_I.id))) or 0, connection.scalar(select(func.max(_F.id))) or 0

    def keep_drift(self, bundle_id: str, *, photos: int, measured: dict[str, Any]) -> bool:
        """One row for an hour of the clock, as its last look found things; whether there was anything to write."""
        now, measured = datetime.now(UTC), json.loads(json.dumps(measured))  # as it comes back
        row = {"bundle_id": bundle_id, "at": now, "photos": photos, "measured": measured}
        query = select(drifts).where(drifts.c.bundle_id == bundle_id).order_by(drifts.c.id.desc()).limit(1)
        if any(one.measured == measured for one in self.drifts(bundle_id, 1)):  # most looks: they need not wait for who writes
            return False
        with self._books.writing() as connection:  # others look too, at the same catalogue
            latest = connection.execute(query).first()
            if latest and _hour_of(latest.at) == _hour_of(now):
                connection.execute(update(drifts).where(drifts.c.id == latest.id).values(row))
            else:
                connection.execute(insert(drifts).values(row))
        return True

    def drifts(self, bundle_id: str, most: int) -> list[KeptDrift]:
        """The newest first."""
        query = select(drifts).where(drifts.c.bundle_id == bundle_id).order_by(drifts.c.id.desc()).limit(most)
        with self._books.reading() as connection:
            return [KeptDrift(row.at, row.photos, row.measured) for row in connection.execute(query)]


def _hour_of(moment: datetime) -> datetime:
    """Of UTC, whatever zone a database answers in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
