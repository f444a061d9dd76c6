"""A run of a second, and what one holds: for tests of how runs go."""

from __future__ import annotations

from pathlib import Path

import torch

from encoder.preprocess import InputShape
from training.checkpoint import load_checkpoint
from training.config import Config

SMALL = Config(
    backbone="test_efficientnet",
    weights="none",
    frozen_stages=0,
    dimension=32,
    shape=InputShape("square", 64, 64),
    stages=((0.5, 0.5),),
    photos=8 * 12,
    batch=8,
    threads=1,
    seed=3,
)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def states(folder: Path) -> tuple[dict[str, torch.Tensor], ...]:
    state = load_checkpoint(folder)
    return state["model"], state["average"], state["loss"]
