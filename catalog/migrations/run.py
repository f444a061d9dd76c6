"""Alembic, in process and quiet: it is imported with this module, so import this only when there is something to migrate."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep, StampStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from catalog.errors import CatalogueUnavailable

FOLDER = Path(__file__).parent


def scripts() -> ScriptDirectory:
    return ScriptDirectory(FOLDER)


def upgrade(connection: Connection, head: str) -> None:
    """Bring the tables from where they are to `head`, inside the caller's transaction."""
    script = scripts()

    def steps(revision: tuple[str, ...], _: MigrationContext) -> list[StampStep | RevisionStep]:
        return list(script._upgrade_revs(head, revision))  # type: ignore[arg-type]

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise CatalogueUnavailable(
                f"The catalogue could not be brought to revision {head}: {len(broken)} rows point at nothing."
            )
