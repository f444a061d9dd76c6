"""The tables. SQL is the truth; everything else can be made again from it.

Nothing is ever removed from `individuals`, `sightings` or `events`: a deleted row is a tombstone (`live` is false).
Every change to an individual or a sighting is a row of `changes` under the event that made it, with the value before and
after, so that one mechanism undoes them all. Words are those of the README: an individual is one animal, a sighting
one photo (or one box of a photo) of it, an encounter the sightings of one occasion.

The rows that `Write` makes are numbered by it, under the writers' lock: the largest id plus one. None is ever removed,
so none is ever used again, in SQLite and PostgreSQL alike, and a row's id is known before it is sent.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
    true,
)

from catalog.names import MAX_LABEL, MAX_NAME

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows up only for INTEGER keys


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone: it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def _key(*, counted: bool = True) -> Column[int]:
    """`counted`: by the database; otherwise `Write` gives the number."""
    return Column("id", Id, primary_key=True, autoincrement=counted)


def _live(*columns: str, name: str) -> Index:
    """Unique among the live rows; a tombstone keeps its values and stands in nobody's way."""
    return Index(name, *columns, unique=True, sqlite_where=text("live = 1"), postgresql_where=text("live"))


facts = Table(  # one row a key: catalogue id, bundle in use, when the index was last purged
    "facts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

bundles = Table(
    "bundles",
    metadata,
    Column("id", String(128), primary_key=True),  # name-version-sha8
    Column("sha256", String(64), nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("first_used", Instant, nullable=False),
)

individuals = Table(
    "individuals",
    metadata,
    _key(counted=False),
    Column("name", String(MAX_NAME), nullable=False),
    Column("species", String(MAX_LABEL)),
    Column("merged_into", Id, ForeignKey("individuals.id")),
    Column("live", Boolean, nullable=False, server_default=true()),
    _live("name", name="uq_individuals_live_name"),
)

encounters = Table(
    "encounters",
    metadata,
    _key(counted=False),
    Column("label", String(MAX_LABEL), nullable=False, unique=True),
)

photos = Table(
    "photos",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the bytes as they were given
    Column("kept", String(16), nullable=False),  # "original", "reduced", "reference"
    Column("path", Text, nullable=False),  # below photos/, or the absolute path of a reference
    Column("name", Text, nullable=False),  # the file name it came with
    Column("format", String(16), nullable=False),
    Column("bytes", BigInteger, nullable=False),  # as they were given
    Column("width", Integer, nullable=False),  # upright
    Column("height", Integer, nullable=False),
    Column("creator", Text),
    sqlite_with_rowid=False,  # found by hash only: one look-up rather than two
)

sightings = Table(
    "sightings",
    metadata,
    _key(counted=False),
    Column("individual_id", Id, ForeignKey("individuals.id"), nullable=False, index=True),
    Column("encounter_id", Id, ForeignKey("encounters.id"), nullable=False, index=True),
    Column("photo_sha256", String(64), ForeignKey("photos.sha256"), nullable=False),
    Column("box", String(64), nullable=False),  # "x,y,w,h"; empty is the whole photo
    Column("species", String(MAX_LABEL)),
    Column("viewpoint", String(MAX_LABEL)),
    Column("taken_on", Date),
    Column("taken_at", DateTime(timezone=False)),  # as the camera's clock said, where it did
    Column("lat", Float),
    Column("lon", Float),
    Column("brightness", Float, nullable=False),
    Column("sharpness", Float, nullable=False),
    Column("live", Boolean, nullable=False, server_default=true()),
    _live("photo_sha256", "box", name="uq_sightings_live_photo_box"),
)

vectors = Table(
    "vectors",
    metadata,
    Column("bundle_id", String(128), ForeignKey("bundles.id"), primary_key=True),
    Column("sighting_id", Id, ForeignKey("sightings.id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # dimension little-endian float32, unit norm
    Column("norm", Float, nullable=False),  # before normalisation
)

events = Table(
    "events",
    metadata,
    _key(counted=False),
    Column("at", Instant, nullable=False),
    Column("who", String(MAX_NAME), nullable=False),
    Column("verb", String(32), nullable=False),
    Column("what", Text, nullable=False),  # one sentence for a person
    Column("undoes", Id, ForeignKey("events.id"), unique=True),
)

changes = Table(
    "changes",
    metadata,
    Column("event_id", Id, ForeignKey("events.id"), primary_key=True, autoincrement=False),
    Column("entity", String(16), primary_key=True),  # "individual", "sighting"
    Column("entity_id", Id, primary_key=True, autoincrement=False),
    Column("field", String(32), primary_key=True),
    Column("before", Text, nullable=False),  # JSON
    Column("after", Text, nullable=False),  # equal to before: the event rested on this value without changing it
    Index("ix_changes_what", "entity", "entity_id", "field"),
    sqlite_with_rowid=False,
)

identifications = Table(
    "identifications",
    metadata,
    _key(),
    Column("at", Instant, nullable=False),
    Column("who", String(MAX_NAME), nullable=False),
    Column("bundle_id", String(128), ForeignKey("bundles.id"), nullable=False),
    Column("photos", JSON, nullable=False),  # [{"sha256", "name", "box", "measured"}]
    Column("answer", JSON, nullable=False),  # as the command's --json gives it
    sqlite_autoincrement=True,
)

imports = Table(
    "imports",
    metadata,
    _key(),
    Column("source", Text, nullable=False, unique=True),  # absolute path of the folder or table
    Column("images", Text),  # absolute path that a table's rows are relative to
    Column("fingerprint", String(64), nullable=False),  # of the rows as last read
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    sqlite_autoincrement=True,
)

import_rows = Table(
    "import_rows",
    metadata,
    _key(),
    Column("import_id", Id, ForeignKey("imports.id"), nullable=False),
    Column("key", String(64), nullable=False),  # hash of the row's own content: a mended row is a new row
    Column("number", Integer, nullable=False),  # where it stood in the source, from 1
    Column("given", JSON, nullable=False),  # the row as it was read
    Column("state", String(16), nullable=False),  # "waiting", "done", "already", "set_aside", "superseded"
    Column("reason", Text),
    Column("sighting_id", Id, ForeignKey("sightings.id")),
    UniqueConstraint("import_id", "key"),
    Index("ix_import_rows_import_id_state", "import_id", "state"),
    sqlite_autoincrement=True,
)

calibrations = Table(
    "calibrations",
    metadata,
    _key(),
    Column("bundle_id", String(128), ForeignKey("bundles.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("sightings", Integer, nullable=False),  # live ones when it was fitted
    Column("fitted", JSON, nullable=False),
    sqlite_autoincrement=True,
)

local_features = Table(  # a cache: made again from the photo where it is absent or damaged
    "local_features",
    metadata,
    Column("sighting_id", Id, ForeignKey("sightings.id"), primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),  # as encoder.local packs them: 22 kB at the most
)

# What a service keeps beside the catalogue. No row of these changes who is who.

keys = Table(
    "keys",
    metadata,
    _key(),
    Column("name", String(MAX_LABEL), nullable=False),  # who stands in the log
    Column("role", String(16), nullable=False),  # "viewer", "editor", "admin"
    Column("sha256", String(64), nullable=False, unique=True),  # of the key, which is random and long: no salt is needed
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("used_at", Instant),  # to the minute
    sqlite_autoincrement=True,
)

requests = Table(  # what was asked with an Idempotency-Key, so that a retry is answered and not done again
    "requests",
    metadata,
    Column("token", String(64), primary_key=True),  # hash of who asked, the route and their Idempotency-Key
    Column("fingerprint", String(64), nullable=False),  # of what was asked
    Column("at", Instant, nullable=False),
    Column("made", String(16)),  # "event", "identification", "job", "feedback": written with it in one transaction
    Column("number", Id),  # its id
    Column("status", Integer),  # of the answer; None until it was given
    Column("answer", JSON),
)

jobs = Table(
    "jobs",
    metadata,
    _key(),
    Column("kind", String(16), nullable=False),  # "identify", "enrol"
    Column("state", String(16), nullable=False),  # "waiting", "running", "done", "cancelled", "failed"
    Column("who", String(MAX_NAME), nullable=False),
    Column("upload", String(64), nullable=False),  # its archive's name below uploads/
    Column("options", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("reason", Text),  # why it failed
    sqlite_autoincrement=True,
)

job_rows = Table(  # one encounter to identify, or some photos of one individual to enrol
    "job_rows",
    metadata,
    _key(),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    Column("number", Integer, nullable=False),  # from 1
    Column("name", Text, nullable=False),  # the encounter's folder, or the individual's name
    Column("photos", JSON, nullable=False),  # [{"member", "name", …}]
    Column("state", String(16), nullable=False),  # "waiting", "done", "refused", "cancelled"
    Column("made", Id),  # the event or identification, written with it in one transaction
    Column("answer", JSON),
    Column("reason", Text),
    Index("ix_job_rows_job_id_state", "job_id", "state"),
    sqlite_autoincrement=True,
)

feedback = Table(
    "feedback",
    metadata,
    _key(),
    Column("identification_id", Id, ForeignKey("identifications.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("who", String(MAX_NAME), nullable=False),
    Column("verdict", String(16), nullable=False),  # "confirm", "reject", "new"
    Column("individual_id", Id, ForeignKey("individuals.id")),  # who it is, where that is known
    Column("remark", Text),
    sqlite_autoincrement=True,
)

drifts = (
    Table(  # how far what is asked about had moved from what is known, and how well probabilities held, when it was looked at
        "drifts",
        metadata,
        _key(),
        Column("bundle_id", String(128), ForeignKey("bundles.id"), nullable=False, index=True),
        Column("at", Instant, nullable=False),
        Column("photos", Integer, nullable=False),  # recent ones that were compared
        Column("measured", JSON, nullable=False),
        sqlite_autoincrement=True,
    )
)

APPEND_ONLY = ("events", "changes")  # triggers refuse to update or delete a row of them
