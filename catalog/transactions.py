"""How this catalogue's database is read and written: a read as of one moment, and one write at a time.

Owns the connections and the turn. Threads queue here for their turn to write: SQLite's own waiting polls, and is not fair.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine

from catalog.engine import BEGIN, make_engine, wait_for_turn
from catalog.faults import WAIT_S, locked, translated
from catalog.quick import Quick


class Transactions:
    """Safe to use from several threads. `durable` is the engine whose commits survive a power cut."""

    def __init__(self, address: URL, durable: Engine) -> None:
        self.address = address
        self.durable = durable
        self.casual = make_engine(address, durable=False)
        self.quick = Quick(durable, self.casual) if durable.dialect.name == "sqlite" else None
        self._turn = threading.Lock()
        self._holder: int | None = None

    def close(self) -> None:
        if self.quick is not None:
            self.quick.close()
        self.durable.dispose()
        self.casual.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Goes on beside a write."""
        with translated(self.address), self.durable.connect() as connection:
            yield connection

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """The same, with all that is read in the block as of one moment. SQLite's reads are so anyway."""
        with self.reading() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """When the block ends, it is durable; when it raises, nothing has happened."""
        with self._begun(self.durable) as connection:
            wait_for_turn(connection)
            yield connection

    @contextmanager
    def casually(self) -> Iterator[Connection]:
        """A write of what no one was promised, as identifications: a power cut may take the last ones, never a part of one."""
        with self._begun(self.casual) as connection:
            yield connection

    @contextmanager
    def turn(self) -> Iterator[None]:
        """To write, for what brings a connection of its own."""
        with translated(self.address), self._alone():
            yield

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Connection]:
        with (
            translated(self.address),
            self._alone(),
            engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._holder == threading.get_ident():
            raise RuntimeError("a write inside a write would wait for itself; end the first one")
        if not self._turn.acquire(timeout=WAIT_S):
            raise locked(self.address)
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._turn.release()
