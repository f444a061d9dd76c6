"""The card: an animal drawn flat in its own frame, and how it then stands in the picture.

A frame says which stretch of the animal's units a canvas covers and at how many pixels a unit. A pose turns the card
in space (yaw, pitch, roll, a curl of its ends, perspective) and gives, for every pixel of the picture, the place on the
card that shows there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, sqrt

import cv2
import numpy as np
import numpy.typing as npt

from demo.chance import Image, Light, noise
from demo.outline import Points

Mask = npt.NDArray[np.uint8]  # (h, w)
SUBPIXEL = 4  # cv2 draws with 1/16 pixel


@dataclass(frozen=True, slots=True)
class Frame:
    left: float  # in units
    top: float
    unit_px: float
    width: int
    height: int
    aspect: float  # height by width, before pixels were rounded

    @classmethod
    def around(cls, left: float, right: float, bottom: float, top: float, unit_px: float) -> Frame:
        width, height = max(round((right - left) * unit_px), 8), max(round((top - bottom) * unit_px), 8)
        return cls(left, top, unit_px, width, height, (top - bottom) / (right - left))

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def grid(self) -> tuple[Image, Image]:
        """u as a row (1, w) and v as a column (h, 1), at the pixels' centres."""
        u = (np.arange(self.width, dtype=np.float32) + 0.5) / np.float32(self.unit_px) + np.float32(self.left)
        v = np.float32(self.top) - (np.arange(self.height, dtype=np.float32) + 0.5) / np.float32(self.unit_px)
        return u[None, :], v[:, None]

    def noise(
        self, draw: np.random.Generator, cells: float, *, stretch: float = 1.0, octaves: int = 3, gain: float = 0.5
    ) -> Image:
        """The same noise at any number of pixels a unit."""
        return noise(draw, self.shape, cells, stretch=stretch, octaves=octaves, gain=gain, aspect=self.aspect)

    def fill(self, canvas: Mask, points: Points, value: int = 255) -> None:
        """A filled polygon, its edge smoothed."""
        x = (points[:, 0] - self.left) * self.unit_px - 0.5
        y = (self.top - points[:, 1]) * self.unit_px - 0.5
        fixed = np.round(np.stack([x, y], axis=1) * 2**SUBPIXEL).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], value, cv2.LINE_AA, SUBPIXEL)


def depth(mask: Mask, unit_px: float) -> Image:
    """How far inside its edge each pixel lies, in units."""
    inside = cv2.distanceTransform(cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1], cv2.DIST_L2, 3)
    return np.asarray(inside * np.float32(1 / unit_px), np.float32)


@dataclass(frozen=True, slots=True)
class Card:
    frame: Frame
    colour: Light  # not yet multiplied by alpha
    alpha: Image  # (h, w) 0-1


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class Pose:
    """Angles in radians; x and y are where the origin of the animal's units stands, in pixels."""

    x: float
    y: float
    unit_px: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    curl: float = 0.0

    @property
    def facing(self) -> tuple[float, float, float]:
        """The card's own normal: right, up, towards the camera."""
        right, up = -sin(self.yaw) * cos(self.pitch), sin(self.pitch)
        return right, up, sqrt(max(1 - right * right - up * up, 0.05))

    def project(self, u: Image, v: Image) -> tuple[Image, Image]:
        z = self.curl * u * u
        across = u * cos(self.yaw) + z * sin(self.yaw)
        away = -u * sin(self.yaw) + z * cos(self.yaw)
        up = v * cos(self.pitch) - away * sin(self.pitch)
        away = v * sin(self.pitch) + away * cos(self.pitch)
        scale = self.unit_px / (1 + 0.07 * away)
        x = self.x + scale * (across * cos(self.roll) - up * sin(self.roll))
        y = self.y - scale * (across * sin(self.roll) + up * cos(self.roll))
        return x, y

    def window(self, frame: Frame, width: int, height: int) -> Window:
        """What of the picture the card can reach."""
        ends = np.linspace(0, 1, 9)
        u, v = np.meshgrid(frame.left + ends * frame.width / frame.unit_px, frame.top - ends * frame.height / frame.unit_px)
        x, y = self.project(u, v)
        left, right = (min(max(int(edge), 0), width) for edge in (x.min() - 2, x.max() + 3))
        top, bottom = (min(max(int(edge), 0), height) for edge in (y.min() - 2, y.max() + 3))
        return Window(left, top, max(right - left, 1), max(bottom - top, 1))

    def lookup(self, frame: Frame, window: Window, step: int) -> tuple[Image, Image]:
        """For every pixel of the window the pixel of the card: solved on every `step`th, where it is smooth."""
        nx, ny = -(-window.width // step) + 2, -(-window.height // step) + 2  # one cell beyond each border
        x = np.broadcast_to(((np.arange(nx) - 0.5) * step - 0.5)[None, :] + window.left, (ny, nx))
        y = np.broadcast_to(((np.arange(ny) - 0.5) * step - 0.5)[:, None] + window.top, (ny, nx))
        zero = np.zeros((1, 1))
        delta = 1e-3
        (x0, y0), (xu, yu), (xv, yv) = (self.project(zero + a, zero + b) for a, b in ((0, 0), (delta, 0), (0, delta)))
        a, b, c, d = ((q - p).item() / delta for p, q in ((x0, xu), (x0, xv), (y0, yu), (y0, yv)))
        det = a * d - b * c
        u = v = np.zeros((ny, nx))
        for _ in range(6):
            px, py = self.project(u, v)
            ex, ey = x - px, y - py
            u = np.clip(u + (d * ex - b * ey) / det, -4, 4)
            v = np.clip(v + (a * ey - c * ex) / det, -4, 4)
        maps = []
        for on_card in ((u - frame.left) * frame.unit_px - 0.5, (frame.top - v) * frame.unit_px - 0.5):
            full = cv2.resize(on_card.astype(np.float32), (nx * step, ny * step), interpolation=cv2.INTER_LINEAR)
            maps.append(full[step : step + window.height, step : step + window.width])
        return maps[0], maps[1]
