"""The keys that open a service: kept as hashes, so that a copy of the catalogue opens nothing.

A key is random and long, so one round of SHA-256 is enough: there is nothing to guess it from.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, insert, select, update

from catalog.errors import NameRefused, NotKnown, ValueRefused
from catalog.names import required_label, shown
from catalog.schema import keys
from catalog.values import ApiKey, Role

PREFIX = "fluke_"  # so that a key that was put into a file by mistake can be told for one
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
FROM_FILE = "secret file"  # the name of the key that a deployment's file holds


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def add(connection: Connection, *, key: str, role: str, name: str | None, now: datetime, expires_at: datetime | None) -> ApiKey:
    if role not in ROLES:
        raise ValueRefused(f'There is no role "{role}"; choose one of {", ".join(ROLES)}.')
    if expires_at is not None and expires_at <= now:
        raise ValueRefused(f"The key would have expired already, at {expires_at:%Y-%m-%d}; give a later day.")
    label = None if name is None else required_label(name, "key's name")
    if label == FROM_FILE:
        raise NameRefused(f"The name {shown(label)} is the admin's key from FLUKEPRINT_ADMIN_KEY_FILE; choose another --name.")
    number = _insert(connection, key, role, label or role, now, expires_at)
    made = label or f"{role} key {number}"
    holder = next((one for one in all_keys(connection) if one.name == made and one.id != number and one.lives(now)), None)
    if holder is not None:  # the log of events tells keys apart by their names
        raise NameRefused(
            f"The name {shown(made)} is taken by key {holder.id}; choose another --name, or revoke that key first."
        )
    mark(connection, number, name=made)
    return by_id(connection, number)


def take_from_file(connection: Connection, *, key: str, now: datetime) -> ApiKey:
    """The admin's key that a deployment's file holds now. What the file held before ends here, until it holds that again.

    One that was revoked by hand, as where it has leaked, stays so though the file holds it.
    """
    known = all_keys(connection)
    held = next((one for one in known if one.sha256 == hash_of(key)), None)
    if held is not None and held.role != "admin":
        raise ValueRefused(
            f"FLUKEPRINT_ADMIN_KEY_FILE holds the key {held.id}, {shown(held.name)}, whose role is {held.role} and not admin; "
            "put a secret of its own into it, for example with: openssl rand -hex 32"
        )
    for old in known:
        if old.name == FROM_FILE and old != held and old.lives(now):
            mark(connection, old.id, expires_at=now)
    if held is None:
        return by_id(connection, _insert(connection, key, "admin", FROM_FILE, now, None))
    if held.name == FROM_FILE:
        mark(connection, held.id, expires_at=None)
    return by_id(connection, held.id)


def _insert(connection: Connection, key: str, role: str, name: str, now: datetime, expires_at: datetime | None) -> int:
    given = {"name": name, "role": role, "sha256": hash_of(key), "created_at": now, "expires_at": expires_at}
    number = connection.execute(insert(keys).values(given)).inserted_primary_key
    assert number is not None  # one row, so there is one
    return int(number[0])


def by_id(connection: Connection, key_id: int) -> ApiKey:
    row = connection.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotKnown(f'There is no key {key_id}; "keys list" shows them.')
    return ApiKey(*row)


def all_keys(connection: Connection) -> list[ApiKey]:
    return [ApiKey(*row) for row in connection.execute(select(keys).order_by(keys.c.id))]


def mark(connection: Connection, key_id: int, **values: Any) -> None:
    connection.execute(update(keys).where(keys.c.id == key_id).values(values))
