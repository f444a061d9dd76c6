"""How often one caller may ask: a bucket of a minute's requests that fills again steadily."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from service.errors import TooOften

CALLERS_KNOWN = 20_000  # the longest silent are forgotten: their buckets are full again by then


class Rates:
    """Of keys and addresses alike. Used from the event loop alone."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so

    def take(self, caller: str) -> None:
        """One request of this caller's, or `TooOften` with the seconds until there is one again."""
        if not self._per_minute:
            return
        now = self._clock()
        left, then = self._buckets.pop(caller, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - then) * self._per_minute / 60)
        self._buckets[caller] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._buckets) > CALLERS_KNOWN:
            self._buckets.popitem(last=False)
        if left < 1:
            wait_s = int((1 - left) * 60 / self._per_minute) + 1
            raise TooOften(
                f"More than {self._per_minute} requests in a minute. Nothing was done; wait {wait_s} s, then ask more slowly.",
                retry_after_s=wait_s,
            )
