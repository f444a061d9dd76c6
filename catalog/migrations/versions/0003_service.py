"""What a service keeps beside the catalogue: keys, answered requests, jobs, feedback. The other tables stay as they are.

Revision ID: 0003_service
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_service"
down_revision = "0002_local_features"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("used_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("sha256", name="uq_keys_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "requests",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("made", sa.String(16)),
        sa.Column("number", KEY),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.JSON),
        sa.PrimaryKeyConstraint("token", name="pk_requests"),
    )
    _jobs()
    op.create_table(
        "feedback",
        sa.Column("id", KEY, nullable=False),
        sa.Column("identification_id", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("individual_id", KEY),
        sa.Column("remark", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.ForeignKeyConstraint(["identification_id"], ["identifications.id"], name="fk_feedback_identification_id"),
        sa.ForeignKeyConstraint(["individual_id"], ["individuals.id"], name="fk_feedback_individual_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_identification_id", "feedback", ["identification_id"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("upload", sa.String(64), nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_rows",
        sa.Column("id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("photos", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made", KEY),
        sa.Column("answer", sa.JSON),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_job_rows"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_rows_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_rows_job_id_state", "job_rows", ["job_id", "state"])
