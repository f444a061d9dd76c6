"""An encoder that is held up until it is told to go on: the real one, behind a door."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

from encoder.encode import Encoder
from encoder.values import Box, Encoded


class Blocked:
    """While it lasts, each encoding waits; `count` says how many began."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder: Any = encoder
        self._real = encoder.encode
        self._begun, self._free = threading.Event(), threading.Event()
        self.count = 0

    def wait_for_one(self) -> None:
        assert self._begun.wait(30)

    def release(self) -> None:
        self._free.set()

    def __enter__(self) -> Self:
        def encode(data: bytes, box: Box | None = None) -> Encoded:
            self.count += 1
            self._begun.set()
            assert self._free.wait(60)
            return self._real(data, box)

        self._encoder.encode = encode
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._free.set()
        self._encoder.encode = self._real
