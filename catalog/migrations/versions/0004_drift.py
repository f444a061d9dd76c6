"""Drift as it was looked at over time.

Revision ID: 0004_drift
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_drift"
down_revision = "0003_service"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "drifts",
        sa.Column("id", KEY, nullable=False),
        sa.Column("bundle_id", sa.String(128), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("photos", sa.Integer, nullable=False),
        sa.Column("measured", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drifts"),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_drifts_bundle_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_drifts_bundle_id", "drifts", ["bundle_id"])
