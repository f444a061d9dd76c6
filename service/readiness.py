"""Whether each part of the service answers now: asked by one thread a part, and waited for within `WITHIN_S`.

A part that hangs is asked once, however often the probe comes; until that question ends it is not ready.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from service.gate import Lane
from service.house import House

WITHIN_S = 2.0
FRESH_S = 1.0  # probes that come faster are told the same: running the encoder costs as much as a photo
log = logging.getLogger("flukeprint.service")


class Part:
    """One part, and how to find out. For the event loop alone."""

    def __init__(self, name: str, lane: Lane, ask: Callable[[], object]) -> None:
        self._name, self._lane, self._ask = name, lane, ask
        self._asking: asyncio.Future[str | None] | None = None
        self._asked_at = self._ended_at = float("-inf")

    async def told(self) -> dict[str, Any]:
        if self._asking is None or (self._asking.done() and time.monotonic() - self._ended_at > FRESH_S):
            self._asked_at = time.monotonic()
            self._asking = asyncio.ensure_future(self._found())
        left_s = max(0.0, self._asked_at + WITHIN_S - time.monotonic())
        done, _ = await asyncio.wait({self._asking}, timeout=left_s)
        reason = self._asking.result() if done else f"The {self._name} has not answered within {WITHIN_S:.0f} seconds."
        return {"ready": reason is None, "reason": reason}

    async def _found(self) -> str | None:
        """Why it is not ready."""
        try:
            await self._lane.run(self._ask)
        except Exception as error:  # whatever it is: a probe answers
            log.error("the %s is not ready: %s", self._name, error)
            return f"The {self._name} does not answer; the service's log says why."
        finally:
            self._ended_at = time.monotonic()
        return None


class Readiness:
    """Of one service."""

    def __init__(self, house: House) -> None:
        station, lane = house.station, house.gate.health
        self._parts = {
            "encoder": Part("encoder", lane, station.encoder.probe),
            "catalogue": Part("catalogue", lane, station.catalogue.last_event_id),
            "index": Part("index", lane, station.index.count),
        }

    async def told(self) -> dict[str, dict[str, Any]]:
        """Of each part by its name."""
        told = await asyncio.gather(*(part.told() for part in self._parts.values()))
        return dict(zip(self._parts, told, strict=True))
