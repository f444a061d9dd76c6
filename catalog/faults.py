"""The database's errors in our words: one place that knows what SQLite and PostgreSQL say.

Every statement of this room runs inside `translated`; a caller meets `CatalogueError`s only.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from catalog.errors import CatalogueError, CatalogueUnavailable, EditConflict, NotKnown

LEAST_FREE = 1 << 20  # on a fuller disk SQLite cannot map the file that its processes share, and calls that an I/O error
WAIT_S = 30.0  # for another process's write; a write lasts milliseconds
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FULL_STATES = {"53100"}
_LOCK_STATES = {"55P03", "40P01", "40001"}  # lock not available, deadlock, serialization
_DENIED_STATES = {"25006", "42501"}  # read-only transaction, insufficient privilege


def place(url: URL) -> str:
    """The catalogue as a message names it: the file, or the address without its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def locked(url: URL) -> CatalogueUnavailable:
    return CatalogueUnavailable(
        f"The catalogue {place(url)} is locked: somebody else has been writing to it for more than {WAIT_S:.0f} s. "
        "Nothing was changed; wait for the other command to end, then run this again."
    )


def _full(where: str) -> CatalogueUnavailable:
    return CatalogueUnavailable(
        f"No space is left for the catalogue {where}; nothing of this change was kept. Free space, run it again."
    )


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_FREE
    except OSError:  # then the disk is what failed
        return False


def _beyond() -> NotKnown:
    return NotKnown("There is no row of so great a number.")


@contextmanager
def translated(url: URL) -> Iterator[None]:
    try:
        yield
    except (IntegrityError, sqlite3.IntegrityError) as error:
        why = getattr(error, "orig", error)  # the driver's own, where SQLAlchemy stands between
        raise EditConflict(
            f"The change contradicts what the catalogue {place(url)} holds ({why}); nothing was changed."
        ) from error
    except DBAPIError as error:
        raise (_sqlite if isinstance(error.orig, sqlite3.Error) else _server)(error.orig, url) from error
    except sqlite3.Error as error:
        raise _sqlite(error, url) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise _beyond() from error
    except PoolTimeout as error:
        raise CatalogueUnavailable(
            f"All connections to the catalogue {place(url)} are in use; try again in a moment."
        ) from error


def _sqlite(error: BaseException | None, url: URL) -> CatalogueError:
    where = place(url)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest says which call
    if code in _BUSY:
        return locked(url)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(Path(where).parent)):
        return _full(where)
    if code in _DENIED:
        return denied(Path(where))
    if code == sqlite3.SQLITE_NOTADB:
        return not_a_catalogue(where, "it is no SQLite database")
    if code == sqlite3.SQLITE_CORRUPT:
        return CatalogueUnavailable(f"The catalogue {where} is damaged ({error}). Keep a copy, then restore the last backup.")
    return CatalogueUnavailable(f"The catalogue {where} failed: {error}. Check the disk, then run this again.")


def _server(error: BaseException | None, url: URL) -> CatalogueError:
    where, state = place(url), str(getattr(error, "sqlstate", None))
    if state in _LOCK_STATES:
        return locked(url)
    if state in _FULL_STATES:
        return _full(where)
    if state == "22003":  # numeric value out of range
        return _beyond()
    if state in _DENIED_STATES:
        return CatalogueUnavailable(f"The catalogue {where} may not be written with this account: {error}")
    said = str(error).strip().splitlines()
    return CatalogueUnavailable(f"The catalogue {where} cannot be used: {said[0] if said else type(error).__name__}")


def not_a_catalogue(where: str, why: str) -> CatalogueUnavailable:
    return CatalogueUnavailable(f"{where} is not a Flukeprint catalogue: {why}. Move it away, or choose another data folder.")


def denied(path: Path) -> CatalogueUnavailable:
    """Why this file cannot be opened or written, as far as its folders show it."""
    if _seen(path.is_dir):
        return CatalogueUnavailable(f"The catalogue should be the file {path}, but a folder is there. Move it away.")
    near = next((folder for folder in path.parents if _seen(folder.is_dir)), path.parent)
    if near != path.parent and os.access(near, os.W_OK):
        return CatalogueUnavailable(f"The catalogue {path} cannot be opened: the folder {path.parent} is not there.")
    what = path if _seen(path.is_file) and os.access(near, os.W_OK) else near
    return CatalogueUnavailable(
        f"The catalogue {path} cannot be written: {what} is closed or read-only for {_user()}. "
        "Change its permissions, or choose another data folder."
    )


def _seen(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except OSError:  # behind a folder that may not be entered
        return False


def _user() -> str:
    try:
        return f"the user {getpass.getuser()}"
    except (OSError, KeyError):
        return "this user"
