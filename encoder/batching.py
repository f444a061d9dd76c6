"""Photos that wait at the same moment go through the model together: micro-batching, for the devices on which that pays.

Nobody waits for a batch to fill: while one runs the next gathers. Whoever comes first runs it for all of them. A batch
that fails is run photo by photo, so that one photo's failure is its own.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .preprocess import Tensor
from .values import Norms, Vector, Vectors


class Runs(Protocol):
    def run(self, pixels: Tensor) -> tuple[Vector, float]: ...

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Place:
    pixels: Tensor
    answer: tuple[Vector, float] | None = None
    error: Exception | None = None

    def fill(self, session: Runs) -> None:
        try:
            self.answer = session.run(self.pixels)
        except Exception as error:  # each runtime's own, with no base in common; raised to whoever asked
            self.error = error


class Batching:
    """A session that takes up to `most` photos at once. Call `run` from as many threads as there may be photos in a batch."""

    def __init__(self, session: Runs, most: int) -> None:
        self._session, self._most = session, most
        self._waiting: deque[_Place] = deque()
        self._gathering, self._turn = threading.Lock(), threading.Lock()

    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        mine = _Place(pixels)
        with self._gathering:
            self._waiting.append(mine)
        while mine.answer is None and mine.error is None:
            with self._turn:
                if mine.answer is None and mine.error is None:
                    self._serve()
        if mine.error is not None:
            raise mine.error
        assert mine.answer is not None  # it was served, and there was no error
        return mine.answer

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        with self._turn:
            return self._session.run_all(pixels)

    def close(self) -> None:
        self._session.close()

    def _serve(self) -> None:
        """Those that came first, as far as their photos have one size."""
        with self._gathering:
            some = [self._waiting.popleft()]
            while self._waiting and len(some) < self._most and self._waiting[0].pixels.shape == some[0].pixels.shape:
                some.append(self._waiting.popleft())
        if len(some) == 1 or not self._together(some):
            for one in some:
                one.fill(self._session)

    def _together(self, some: list[_Place]) -> bool:
        try:
            vectors, norms = self._session.run_all(np.concatenate([one.pixels for one in some]))
        except Exception:  # each runtime's own, with no base in common; whose fault it was shows one by one
            return False
        for one, vector, norm in zip(some, vectors, norms, strict=True):
            one.answer = vector, float(norm)
        return True
