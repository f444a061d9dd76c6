"""Who is asking: a key's bearer, or, on this machine's own address while no key exists, its user.

The keys are read again when they are a moment old, so that a revoked one closes within `FRESH_S`. Reading them waits for no
write, and nobody waits for it to be written that a key was used.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from starlette.requests import Request

from catalog.desk import USED_EVERY, Desk
from catalog.errors import ValueRefused
from catalog.keys import ROLES, hash_of
from catalog.values import ApiKey, Role
from errors import FlukeprintError
from service.errors import NotLetIn, StartRefused
from service.gate import Lane

FRESH_S = 1.0
LONGEST_KEY = 500
SHORTEST_SECRET = 32
log = logging.getLogger("flukeprint.service")


@dataclass(frozen=True, slots=True)
class Caller:
    name: str  # who stands in the log
    role: Role
    key: int | None = None  # its number; None is the user of whom no key is asked

    @property
    def id(self) -> str:
        """One caller's alone, also where keys have had one name: rates and Idempotency-Keys go by it."""
        return f"user {self.name}" if self.key is None else f"key {self.key}"

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Keyring:
    """The keys of one service. `open_to` is the user whom no key is asked of; None asks one of everybody."""

    def __init__(self, desk: Desk, *, reads: Lane, writes: Lane, open_to: str | None) -> None:
        self._desk, self._reads, self._writes, self._open_to = desk, reads, writes, open_to
        self._keys: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Future[None] | None = None
        self._marking: set[asyncio.Future[None]] = set()  # held, or they could be collected half-way

    async def _read(self) -> None:
        asked_at = time.monotonic()
        found = await self._reads.run(self._desk.keys)
        self._keys = {key.sha256: key for key in found}
        self._read_at = asked_at

    async def _freshen(self) -> None:
        age_s = time.monotonic() - self._read_at
        if age_s > FRESH_S / 2 and (self._reading is None or self._reading.done()):
            self._reading = asyncio.ensure_future(self._read())  # one for all who ask meanwhile
            self._reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits for it raises it
        if age_s > FRESH_S and self._reading is not None:
            await asyncio.shield(self._reading)

    async def caller(self, request: Request) -> Caller:
        """Who asks, or `NotLetIn`."""
        await self._freshen()
        given = _given(request)
        if given is None:
            if self._open_to is not None and not self._keys:
                return Caller(self._open_to, "admin")
            raise NotLetIn("No key was sent. Send one as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
        asked = hash_of(given)
        key = self._keys.get(asked)
        if key is None or not hmac.compare_digest(key.sha256, asked) or not key.lives(datetime.now(UTC)):
            raise NotLetIn("The key that was sent is not known, has expired, or was revoked. Ask an admin for another.")
        if key.used_at is None or datetime.now(UTC) - key.used_at > USED_EVERY:
            self._keys[asked] = replace(key, used_at=datetime.now(UTC))
            self._mark_used(key)
        return Caller(key.name, key.role, key.id)

    async def still(self, caller: Caller) -> bool:
        """Whether who was let in would be now: for answers that go on for long."""
        await self._freshen()
        if caller.key is None:
            return not self._keys
        return any(key.id == caller.key and key.lives(datetime.now(UTC)) for key in self._keys.values())

    def _mark_used(self, key: ApiKey) -> None:
        marking = asyncio.ensure_future(self._write_used(key))
        self._marking.add(marking)
        marking.add_done_callback(self._marking.discard)

    async def _write_used(self, key: ApiKey) -> None:
        try:
            await self._writes.run(lambda: self._desk.used_key(key))
        except FlukeprintError as error:  # the next minute's will do
            log.warning("it could not be written that key %s was used: %s", key.id, error)


def take_admin_key(desk: Desk, secret: str) -> None:
    """The key that a secret file holds is an admin's; one that the file held before opens nothing."""
    if len(secret) < SHORTEST_SECRET:
        raise StartRefused(
            f"The admin key's file holds {len(secret)} characters; put {SHORTEST_SECRET} or more of chance into it, "
            "for example with: openssl rand -hex 32"
        )
    try:
        key = desk.take_key_from_file(secret)
    except ValueRefused as refusal:
        raise StartRefused(str(refusal)) from refusal
    if not key.lives(datetime.now(UTC)):
        log.warning(
            "The admin key's file holds key %s, which opens nothing: it was revoked or has expired. Put another into it.",
            key.id,
        )


def _given(request: Request) -> str | None:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    key = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
    if scheme and scheme.lower() != "bearer" and not key:
        raise NotLetIn("The Authorization header is of another scheme; send `Authorization: Bearer KEY`.")
    return key[:LONGEST_KEY] or None
