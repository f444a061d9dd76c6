"""How a batch goes through the backbone and back: at once, or in parts side by side where a photo's way is its own.

With frozen norms no photo of a batch sees another before the neck. On a CPU each core then takes a part through and back alone,
and the frozen stages are run by an engine that is made for it: 43 photos/s at 256 px on two cores, where all at once shows 12.
The parts, and the order in which their slopes are added, are the same each time, so the bits are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch

from .config import Config
from .convolutions import quicken
from .engine import Engine
from .model import Embedder


class Step(Protocol):
    @property
    def first(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What a batch's photos go through before `forward`."""
        ...

    def forward(self, groups: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Pooled features of the groups, in their order."""
        ...

    def backward(self) -> None:
        """Once the loss's slopes have come back to what `forward` gave."""
        ...


def takes_apart(config: Config) -> bool:
    return config.device == "cpu" and config.frozen_norms


def make_step(model: Embedder, config: Config) -> Step:
    return Apart(model, config) if takes_apart(config) else Together(model)


class Together:
    first = None

    def __init__(self, model: Embedder) -> None:
        self._model = model

    def forward(self, groups: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [self._model.pooled(group) for group in groups]

    def backward(self) -> None:
        pass  # autograd went all the way


class Apart:
    """Wants torch to use one thread a call: each part stays on its own."""

    def __init__(self, model: Embedder, config: Config) -> None:
        self._cores = config.threads or os.cpu_count() or 1
        stages = model.trunk()
        self.first: Callable[[torch.Tensor], torch.Tensor] | None = Engine(stages, self._cores) if stages is not None else None
        quicken(model)
        self._pooled = model.pooled if stages is None else model.pooled_from
        self._learning = [p for p in (*model.backbone.parameters(), *model.pool.parameters()) if p.requires_grad]
        self._pool = ThreadPoolExecutor(self._cores)
        self._made: list[torch.Tensor] = []
        self._given: list[torch.Tensor] = []

    def forward(self, groups: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        parts = [part for group in groups for part in group.tensor_split(min(self._cores, len(group)))]
        self._made = list(self._pool.map(self._pooled, parts))
        self._given = [made.detach().requires_grad_() for made in self._made]
        return self._given

    def backward(self) -> None:
        for slopes in list(self._pool.map(self._back, self._made, self._given)):
            for parameter, slope in zip(self._learning, slopes, strict=True):
                if slope is not None:
                    parameter.grad = slope if parameter.grad is None else parameter.grad + slope
        self._made, self._given = [], []

    def _back(self, made: torch.Tensor, given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad(made, self._learning, given.grad, allow_unused=True)
