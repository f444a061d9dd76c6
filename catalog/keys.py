"""The keys that open a service: kept as hashes, so that a copy of the catalogue opens nothing.

A key is random and long, so one round of SHA-256 is enough: there is nothing to guess it from.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, insert, select, update

from catalog.errors import NotKnown, ValueRefused
from catalog.names import required_label
from catalog.schema import keys
from catalog.values import ApiKey, Role

PREFIX = "fluke_"  # so that a key that was put into a file by mistake can be told for one
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may


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
    given = {"name": label or role, "role": role, "sha256": hash_of(key), "created_at": now, "expires_at": expires_at}
    number = connection.execute(insert(keys).values(given)).inserted_primary_key
    assert number is not None  # one row, so there is one
    if label is None:
        connection.execute(update(keys).where(keys.c.id == number[0]).values(name=f"{role} key {number[0]}"))
    return by_id(connection, number[0])


def by_id(connection: Connection, key_id: int) -> ApiKey:
    row = connection.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotKnown(f'There is no key {key_id}; "keys list" shows them.')
    return ApiKey(*row)


def all_keys(connection: Connection) -> list[ApiKey]:
    return [ApiKey(*row) for row in connection.execute(select(keys).order_by(keys.c.id))]


def mark(connection: Connection, key_id: int, **values: Any) -> None:
    connection.execute(update(keys).where(keys.c.id == key_id).values(values))
