"""The first tables.

Revision ID: 0001
"""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    facts = op.create_table(
        "facts",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_facts"),
    )
    op.create_table(
        "bundles",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("first_used", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bundles"),
    )
    _individuals_and_sightings()
    _vectors_and_events()
    _imports()
    _answers()
    _append_only("events", "changes")
    op.bulk_insert(facts, [{"key": "catalogue", "value": uuid4().hex}])


def _individuals_and_sightings() -> None:
    op.create_table(
        "individuals",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("species", sa.String(200)),
        sa.Column("merged_into", KEY),
        sa.Column("live", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("id", name="pk_individuals"),
        sa.ForeignKeyConstraint(["merged_into"], ["individuals.id"], name="fk_individuals_merged_into"),
    )
    op.create_index(
        "uq_individuals_live_name",
        "individuals",
        ["name"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "encounters",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_encounters"),
        sa.UniqueConstraint("label", name="uq_encounters_label"),
    )
    op.create_table(
        "photos",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("kept", sa.String(16), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("creator", sa.Text),
        sa.PrimaryKeyConstraint("sha256", name="pk_photos"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sightings",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("individual_id", KEY, nullable=False),
        sa.Column("encounter_id", KEY, nullable=False),
        sa.Column("photo_sha256", sa.String(64), nullable=False),
        sa.Column("box", sa.String(64), nullable=False),
        sa.Column("species", sa.String(200)),
        sa.Column("viewpoint", sa.String(200)),
        sa.Column("taken_on", sa.Date),
        sa.Column("taken_at", sa.DateTime(timezone=False)),
        sa.Column("lat", sa.Float),
        sa.Column("lon", sa.Float),
        sa.Column("brightness", sa.Float, nullable=False),
        sa.Column("sharpness", sa.Float, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
        sa.ForeignKeyConstraint(["individual_id"], ["individuals.id"], name="fk_sightings_individual_id"),
        sa.ForeignKeyConstraint(["encounter_id"], ["encounters.id"], name="fk_sightings_encounter_id"),
        sa.ForeignKeyConstraint(["photo_sha256"], ["photos.sha256"], name="fk_sightings_photo_sha256"),
    )
    op.create_index("ix_sightings_individual_id", "sightings", ["individual_id"])
    op.create_index("ix_sightings_encounter_id", "sightings", ["encounter_id"])
    op.create_index(
        "uq_sightings_live_photo_box",
        "sightings",
        ["photo_sha256", "box"],
        unique=True,
        sqlite_where=sa.text("live = 1"),
        postgresql_where=sa.text("live"),
    )


def _vectors_and_events() -> None:
    op.create_table(
        "vectors",
        sa.Column("bundle_id", sa.String(128), nullable=False),
        sa.Column("sighting_id", KEY, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("norm", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("bundle_id", "sighting_id", name="pk_vectors"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_vectors_bundle_id"),
        sa.ForeignKeyConstraint(["sighting_id"], ["sightings.id"], name="fk_vectors_sighting_id"),
    )
    op.create_table(
        "events",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("undoes", KEY),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("undoes", name="uq_events_undoes"),
        sa.ForeignKeyConstraint(["undoes"], ["events.id"], name="fk_events_undoes"),
    )
    op.create_table(
        "changes",
        sa.Column("event_id", KEY, autoincrement=False, nullable=False),
        sa.Column("entity", sa.String(16), nullable=False),
        sa.Column("entity_id", KEY, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(32), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "entity", "entity_id", "field", name="pk_changes"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_changes_event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_changes_what", "changes", ["entity", "entity_id", "field"])


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("images", sa.Text),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.UniqueConstraint("source", name="uq_imports_source"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "import_rows",
        sa.Column("id", KEY, nullable=False),
        sa.Column("import_id", KEY, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("given", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("sighting_id", KEY),
        sa.PrimaryKeyConstraint("id", name="pk_import_rows"),
        sa.UniqueConstraint("import_id", "key", name="uq_import_rows_import_id_key"),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name="fk_import_rows_import_id"),
        sa.ForeignKeyConstraint(["sighting_id"], ["sightings.id"], name="fk_import_rows_sighting_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_rows_import_id_state", "import_rows", ["import_id", "state"])


def _answers() -> None:
    op.create_table(
        "identifications",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("bundle_id", sa.String(128), nullable=False),
        sa.Column("photos", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identifications"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_identifications_bundle_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "calibrations",
        sa.Column("id", KEY, nullable=False),
        sa.Column("bundle_id", sa.String(128), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sightings", sa.Integer, nullable=False),
        sa.Column("fitted", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calibrations"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_calibrations_bundle_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_calibrations_bundle_id", "calibrations", ["bundle_id"])


def _append_only(*tables: str) -> None:
    """The log is refused every UPDATE and DELETE by the database itself."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_to_rewrite() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        for table in tables:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite()"
            )
        return
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
            )
