"""Outlines: curves through an animal's own frame, and what time has bitten out of them.

Points are (n, 2) float64 in the animal's units, u to the right and v up, whatever the size of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (n, 2)


@dataclass(frozen=True, slots=True)
class Nick:
    """A bite out of an edge: where along it (0-1), how wide in units, how deep, and how much it leans."""

    at: float
    width: float
    depth: float
    lean: float


def bezier(
    start: Sequence[float], pull: Sequence[float], pull_back: Sequence[float], end: Sequence[float], n: int = 80
) -> Points:
    t = np.linspace(0, 1, n)[:, None]
    p0, p1, p2, p3 = (np.asarray(p, float) for p in (start, pull, pull_back, end))
    return np.asarray((1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3)


def joined(*pieces: Points) -> Points:
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def evenly(points: Points, n: int) -> Points:
    """The same curve with n points, evenly along its length."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    want = np.linspace(0, along[-1], n)
    return np.stack([np.interp(want, along, points[:, 0]), np.interp(want, along, points[:, 1])], axis=1)


def bitten(points: Points, nicks: Sequence[Nick], serration: Points, inward: float) -> Points:
    """An edge with nicks and a fine serration. `inward` is +1 where the animal lies to the left of the way, else -1.

    `serration` is (m,) offsets in units, spread evenly along the edge.
    """
    edge = evenly(points, 420)
    steps = np.gradient(edge, axis=0)
    normal = np.stack([-steps[:, 1], steps[:, 0]], axis=1) * inward
    normal /= np.maximum(np.hypot(*normal.T), 1e-9)[:, None]
    length = float(np.hypot(*np.diff(edge, axis=0).T).sum())
    s = np.linspace(0, 1, len(edge))
    depth = np.interp(s, np.linspace(0, 1, len(serration)), serration) * np.minimum(1, 12 * np.minimum(s, 1 - s))
    for nick in nicks:
        half = nick.width / length / 2
        t = (s - nick.at) / half
        # A notch is steep on one side: the water tears it open backwards.
        depth += nick.depth * np.clip(1 - np.abs(t - nick.lean * (1 - np.abs(t))), 0, 1) ** 0.9
    return np.asarray(edge + normal * depth[:, None])


def nicks(draw: np.random.Generator, count: int, deepest: float, span: tuple[float, float] = (0.08, 0.92)) -> list[Nick]:
    """Nicks with a depth that is mostly small and seldom large."""
    found = []
    for _ in range(count):
        depth = deepest * float(draw.beta(1.3, 2.2))
        width = depth * float(draw.uniform(0.5, 1.5)) + 0.012
        found.append(Nick(float(draw.uniform(*span)), width, depth, float(draw.uniform(-0.5, 0.5))))
    return found
