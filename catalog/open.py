"""Opening a catalogue, and making or migrating it where that is due.

The fast path compares one row with a constant: Alembic is imported only when there is something to migrate. What is
not ours, or newer than we are, is refused before anything is written.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, Engine, func, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError

from catalog.catalogue import Catalogue
from catalog.engine import BEGIN, make_engine
from catalog.errors import CatalogueMissing, CatalogueNewer, CatalogueUnavailable
from catalog.faults import denied, not_a_catalogue, place, translated

REVISIONS = (
    "0001",
    "0002_local_features",
    "0003_service",
    "0004_drift",
)  # every revision of versions/, oldest first; a test compares them
HEAD = REVISIONS[-1]
_MIGRATING = 0x666C756B  # the advisory lock's number in PostgreSQL: "fluk"


def open_catalogue(url: str | Path, *, full_sync: bool = True, create: bool = True) -> Catalogue:
    """The catalogue in this file or at this address, at the newest revision.

    `create=False` refuses where there is none. `full_sync=False` lets a power cut take the last commits.

    >>> open_catalogue("sqlite:////data/catalogue.db")  # doctest: +SKIP
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        _check_file(Path(str(address.database)), place(address), create=create)
    engine = make_engine(address, durable=full_sync)
    try:
        with translated(address):
            _bring_to_head(engine, address, create=create)
    except BaseException:
        engine.dispose()
        raise
    return Catalogue(address, engine)


def _address(url: str | Path) -> URL:
    if isinstance(url, Path):  # a path may hold what an address would take for its own: "whales?", "#1"
        return URL.create("sqlite", database=str(url.absolute()))
    expected = 'expected "sqlite:////folder/catalogue.db" or "postgresql://user@host/database"'
    try:
        address = make_url(url)
    except ArgumentError:
        raise CatalogueUnavailable(f'The catalogue\'s address "{url}" cannot be read; {expected}.') from None
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise CatalogueUnavailable(f'The catalogue cannot be kept in "{address.drivername}"; {expected}.')
    if address.get_backend_name() == "sqlite":
        if address.database in (None, "", ":memory:"):
            raise CatalogueUnavailable(f'The catalogue must be a file, not "{url}": {expected}.')
        return address.set(database=str(Path(str(address.database)).absolute()))
    return address


def _check_file(path: Path, where: str, *, create: bool) -> None:
    try:
        if path.is_dir():
            raise denied(path)
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.is_file():
            raise CatalogueMissing(
                f"There is no catalogue at {where}. Check the data folder; to begin one, enrol a first photo or import some."
            )
    except (FileExistsError, NotADirectoryError):
        raise CatalogueUnavailable(f"The catalogue {where} cannot be: a part of its path is a file, not a folder.") from None
    except PermissionError:
        raise denied(path) from None
    except OSError as error:
        raise CatalogueUnavailable(f"The folder of the catalogue {where} cannot be made: {error.strerror}.") from error


def _revision(connection: Connection, where: str) -> str | None:
    """The stored revision; None where there is nothing yet."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return None
    if not {"alembic_version", "facts", "changes"} <= names:
        raise not_a_catalogue(where, "it holds tables of something else")
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _bring_to_head(engine: Engine, address: URL, *, create: bool) -> None:
    where = place(address)
    with engine.connect() as connection:
        found = _revision(connection, where)
    if found is None and not create:
        raise CatalogueMissing(
            f"There is no catalogue at {where}, only an empty database; to begin one, enrol a first photo or import some."
        )
    if found is not None and found not in REVISIONS:
        raise CatalogueNewer(
            f'The catalogue {where} was written by a newer Flukeprint: its revision is "{found}", this one knows "{HEAD}". '
            "Nothing was changed; install the newer Flukeprint, or restore a backup made with this one."
        )
    if found != HEAD:
        _migrate(address)


def _migrate(address: URL) -> None:
    """To the newest revision in one transaction; a second process that wants the same waits, then finds it done."""
    from catalog.migrations.run import upgrade

    # Foreign keys are off for the while: SQLite alters a table by making it anew. They are checked before the commit.
    engine = make_engine(address, durable=True, foreign_keys=False)
    try:
        with engine.connect().execution_options(**{BEGIN: "IMMEDIATE"}) as connection, connection.begin():
            if address.get_backend_name() == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            if _revision(connection, place(address)) != HEAD:
                upgrade(connection, HEAD)
    finally:
        engine.dispose()
