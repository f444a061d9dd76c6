"""Local features of sightings, kept for second opinions.

Revision ID: 0002_local_features
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_local_features"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "local_features",
        sa.Column("sighting_id", KEY, autoincrement=False, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sighting_id", name="pk_local_features"),
        sa.ForeignKeyConstraint(["sighting_id"], ["sightings.id"], name="fk_local_features_sighting_id"),
    )
