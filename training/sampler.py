"""Which photos make a batch: a function of the seed and the step alone, so that a resumed run draws what it would have drawn.

`cross-encounter` draws individuals, then two photos of each from different encounters where there are such: the pair that the
task is about. Bursts weigh as their square root, or forty frames of one minute would be the lesson. `shuffle` goes through
all photos in a new order each epoch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .config import Sampler
from .rows import Row

Individual = list[list[int]]  # indices of rows, a list an encounter


class Sampling:
    def __init__(self, rows: Sequence[Row], kind: Sampler, batch: int, seed: int) -> None:
        of: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, row in enumerate(rows):
            of[row.identity][row.encounter or str(row.date or "")].append(index)
        self._individuals: list[Individual] = [list(of[name].values()) for name in sorted(of)]
        weights = np.array([sum(map(_burst, encounters)) for encounters in self._individuals])
        self._weights = weights / weights.sum()
        self._kind, self._batch, self._seed, self._count = kind, batch, seed, len(rows)

    def draw(self, step: int) -> np.random.Generator:
        """The randomness of one step."""
        return np.random.default_rng([self._seed, step])

    def indices(self, step: int) -> list[int]:
        if self._kind == "shuffle":
            return self._shuffled(step)
        return self._pairs(np.random.default_rng([self._seed, 2, step]))

    def _pairs(self, draw: np.random.Generator) -> list[int]:
        pairs = self._batch // 2
        again = len(self._individuals) < pairs
        drawn = draw.choice(len(self._individuals), pairs, replace=again, p=self._weights)
        return [index for which in drawn for index in _pair(self._individuals[which], draw)]

    def _shuffled(self, step: int) -> list[int]:
        wanted = range(step * self._batch, (step + 1) * self._batch)
        orders = {
            e: np.random.default_rng([self._seed, 1, e]).permutation(self._count) for e in {i // self._count for i in wanted}
        }
        return [int(orders[i // self._count][i % self._count]) for i in wanted]


def _burst(photos: Sequence[int]) -> float:
    return math.sqrt(len(photos))


def _pair(encounters: Individual, draw: np.random.Generator) -> tuple[int, int]:
    if len(encounters) > 1:
        weights = np.array([_burst(photos) for photos in encounters])
        one, two = (encounters[i] for i in draw.choice(len(encounters), 2, replace=False, p=weights / weights.sum()))
        return one[draw.integers(len(one))], two[draw.integers(len(two))]
    photos = encounters[0]
    picked = draw.choice(len(photos), 2, replace=len(photos) < 2)
    return photos[picked[0]], photos[picked[1]]
