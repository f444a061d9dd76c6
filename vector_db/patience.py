"""How often and how long a failing server is tried again: bounded, further apart each time, never in step with others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Again(Exception):
    """Trying again may help, after at least `after_s` seconds where the server named them. Raised `from` what went wrong."""

    def __init__(self, after_s: float = 0.0) -> None:
        super().__init__()
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Patience:
    """`retries` tries after the first, none begun later than `give_up_s` after it."""

    retries: int
    backoff_s: float
    longest_backoff_s: float
    give_up_s: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def call(self, action: Callable[[], T]) -> T:
        """What `action` returns. What it raises passes through, save `Again`, which does so only at the end."""
        started = self.clock()
        for tried in range(self.retries + 1):
            try:
                return action()
            except Again as again:
                wait = max(again.after_s, self.backoff(tried))
                if tried == self.retries or self.clock() + wait > started + self.give_up_s:
                    raise
                self.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def backoff(self, tried: int) -> float:
        """Doubled each time, then shortened at random by up to half, so that many clients do not return together."""
        return min(self.longest_backoff_s, self.backoff_s * 2.0**tried) * (1 - self.chance() / 2)
