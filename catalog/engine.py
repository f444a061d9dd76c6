"""Connections as this catalogue needs them, on SQLite and on PostgreSQL.

SQLite: WAL, so that reads go on beside one writer; foreign keys on; a write begins IMMEDIATE and waits its turn rather
than failing half-way; `synchronous` FULL, so that a commit that returned survives a power cut. PostgreSQL: the same promises
in its own words. A connection that is not `durable` may lose its last commits in a power cut, never a part of one.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from catalog.errors import CatalogueUnavailable
from catalog.faults import WAIT_S, place
from catalog.names import folded

PAGE_BYTES = 8192  # three vectors of 512 float32 a page; at SQLite's 4096 it is one: 100,000 sightings in 335 MB, not 473
BEGIN = "flukeprint_begin"  # execution option: how a SQLite transaction begins


def make_engine(url: URL, *, durable: bool, foreign_keys: bool = True) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, durable=durable, foreign_keys=foreign_keys)
    return _server(url, durable=durable)


def _sqlite(url: URL, *, durable: bool, foreign_keys: bool) -> Engine:
    # isolation_level None: the driver begins nothing by itself. No bound on the pool: a connection is a file handle.
    # Each keeps up to 2 MB of pages, so the one used last is used next.
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": WAIT_S}, max_overflow=-1, pool_use_lifo=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        for pragma in (
            f"page_size = {PAGE_BYTES}",  # says something to a new file only
            "journal_mode = WAL",
            f"synchronous = {'FULL' if durable else 'NORMAL'}",
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
            "recursive_triggers = ON",  # or INSERT OR REPLACE would rewrite the log past its triggers
        ):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.create_function("folded", 1, folded, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # By the driver itself: as a statement of SQLAlchemy's it took a sixth of a short read's time.
        driver: Any = connection.connection.dbapi_connection
        driver.execute(f"BEGIN {connection.get_execution_options().get(BEGIN, 'DEFERRED')}").close()

    return engine


def _server(url: URL, *, durable: bool) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise CatalogueUnavailable(
            f'The catalogue {place(url)} needs the package "{error.name}"; install it with: make setup EXTRAS=postgresql'
        ) from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.autocommit = True  # or the settings would go with the first rollback
        connection.execute(f"SET lock_timeout = '{WAIT_S:.0f}s'")
        connection.execute(f"SET synchronous_commit = {'on' if durable else 'off'}")
        connection.autocommit = False

    return engine


def wait_for_turn(connection: Connection) -> None:
    """One writer at a time, so that events are numbered in the order they commit. Reads go on.

    SQLite has waited at BEGIN IMMEDIATE; PostgreSQL waits here.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
