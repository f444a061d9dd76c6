"""What life writes on skin: scratches, tooth rakes, rings of barnacles, spots. Shared by flukes and fins.

Marks are drawn into masks in the animal's own frame, as filled shapes, so that they stay sharp at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from demo.card import Frame, Mask

ALONG = np.linspace(-0.5, 0.5, 14)
TAPER = np.sin(np.linspace(0.06, pi - 0.06, len(ALONG))) ** 0.6
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * pi, 26)), np.sin(np.linspace(0, 2 * pi, 26))], axis=1)
Region = tuple[float, float, float, float]  # left, right, bottom, top in units


@dataclass(frozen=True, slots=True)
class Stroke:
    """A bent line that swells in its middle and tapers to both ends; lengths in units, angles in radians."""

    x: float
    y: float
    length: float
    angle: float
    bend: float
    width: float
    value: int  # 0-255


def draw_strokes(frame: Frame, canvas: Mask, strokes: Sequence[Stroke]) -> None:
    if not strokes:
        return
    x, y, length, angle, bend, width = np.array([(s.x, s.y, s.length, s.angle, s.bend, s.width) for s in strokes]).T[:, :, None]
    turn = angle + bend * ALONG
    way = np.stack([np.cos(turn), np.sin(turn)], axis=2)  # (strokes, points, 2)
    path = np.cumsum(way, axis=1)
    path = (path - path.mean(axis=1, keepdims=True)) * (length / len(ALONG))[:, :, None] + np.stack([x, y], axis=2)
    aside = np.stack([-way[:, :, 1], way[:, :, 0]], axis=2) * (TAPER * width / 2)[:, :, None]
    for stroke, outline in zip(strokes, np.concatenate([path + aside, (path - aside)[:, ::-1]], axis=1), strict=True):
        frame.fill(canvas, outline, stroke.value)


def ring(frame: Frame, canvas: Mask, x: float, y: float, radius: float, width: float, value: int) -> None:
    frame.fill(canvas, (x, y) + CIRCLE * (radius + width / 2), value)
    if radius > width:
        frame.fill(canvas, (x, y) + CIRCLE * (radius - width / 2), 0)


def blot(frame: Frame, canvas: Mask, draw: np.random.Generator, x: float, y: float, radius: float, value: int) -> None:
    """A patch with an uneven rim."""
    turn = np.linspace(0, 2 * pi, 40, endpoint=False)
    rim = 1 + sum(draw.uniform(-0.45, 0.45) / n**0.7 * np.sin(n * turn + draw.uniform(0, 2 * pi)) for n in (1, 2, 3, 5, 8))
    points = np.stack([np.cos(turn) * rim * draw.uniform(0.6, 2.2), np.sin(turn) * rim], axis=1) * radius
    lean = draw.uniform(0, pi)
    points = points @ np.array([[cos(lean), sin(lean)], [-sin(lean), cos(lean)]])
    frame.fill(canvas, points + np.array([x, y]), value)


def scar(frame: Frame, canvas: Mask, draw: np.random.Generator, region: Region, many: float) -> None:
    """Scratches, rakes and rings of one animal's skin; `many` is 0 for a young one to 1 for an old fighter."""
    left, right, bottom, top = region
    size = min(right - left, (top - bottom) * 2)

    strokes: list[Stroke] = []
    for _ in range(int(draw.poisson(7 * many))):
        x, y = draw.uniform(left, right), draw.uniform(bottom, top)
        length, angle, bend = size * draw.uniform(0.06, 0.36), draw.uniform(0, pi), draw.normal(0, 0.7)
        strokes.append(Stroke(x, y, length, angle, bend, size * draw.uniform(0.003, 0.012), int(draw.integers(90, 256))))
    for _ in range(int(draw.poisson(1.2 * many))):  # a bite leaves as many lines as teeth
        x, y = draw.uniform(left, right), draw.uniform(bottom, top)
        angle, bend = draw.uniform(0, pi), draw.normal(0, 0.5)
        teeth, gap = int(draw.integers(3, 7)), size * draw.uniform(0.014, 0.026)
        length, value = size * draw.uniform(0.12, 0.30), int(draw.integers(130, 230))
        for tooth in range(teeth):
            shift = (tooth - teeth / 2) * gap
            at_x, at_y = x - sin(angle) * shift, y + cos(angle) * shift
            reach, width = length * draw.uniform(0.6, 1.1), size * draw.uniform(0.004, 0.008)
            strokes.append(Stroke(at_x, at_y, reach, angle, bend, width, value))
    draw_strokes(frame, canvas, strokes)
    for _ in range(int(draw.poisson(3 * many))):
        x, y = draw.uniform(left, right), draw.uniform(bottom, top)
        radius = size * draw.uniform(0.004, 0.013)
        ring(frame, canvas, x, y, radius, radius * draw.uniform(0.4, 1.2), int(draw.integers(80, 190)))
    for _ in range(int(draw.poisson(1.6 * many))):
        x, y = draw.uniform(left, right), draw.uniform(bottom, top)
        blot(frame, canvas, draw, x, y, size * draw.uniform(0.008, 0.03), int(draw.integers(70, 200)))
