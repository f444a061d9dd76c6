"""Pixels to the tensor that a bundle's model takes: pure, and the same for training, indexing and serving.

`InputShape` is the bundle's rule for size and shape. `fit` says what size a crop becomes, so that the decoder knows how much
detail is worth reading; `resize` brings the crop to it; `to_tensor` normalises. Resizing keeps 8-bit pixels, which makes it
the part that a decoder may share, and leaves one fused pass for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from .values import Pixels

Tensor = npt.NDArray[np.float32]  # (1, 3, height, width) float32, contiguous, normalised
Rule = Literal["square", "rectangle", "letterbox", "budget"]
Turn = Literal["none", "portrait", "landscape"]
STEP = 32  # what the backbones reduce by: a budget's sides are multiples of it
MAX_SIDE = 4096


@dataclass(frozen=True, slots=True)
class Fit:
    """What one crop becomes: turned by a quarter or not, then scaled to `inner`, then padded to `outer`."""

    turned: bool
    inner: tuple[int, int]  # width, height of the scaled crop, after turning
    outer: tuple[int, int]  # width, height of the tensor

    @property
    def target(self) -> tuple[int, int]:
        """Width and height that the crop is scaled to, as it stands before turning."""
        width, height = self.inner
        return (height, width) if self.turned else (width, height)


@dataclass(frozen=True, slots=True)
class InputShape:
    """The rule by which a crop of any size becomes a tensor.

    square, rectangle: scaled to width × height, its shape given up.
    letterbox: its shape kept, scaled to fit inside width × height, centred, the rest filled with the mean.
    budget: its shape kept to a multiple of 32 a side, at about width × height pixels whatever the shape.
    turn: crops are turned by a quarter first so that all stand upright ("portrait") or lie ("landscape").

    >>> InputShape("square", 224, 224).fit(4000, 3000).outer
    (224, 224)
    """

    rule: Rule
    width: int
    height: int
    turn: Turn = "none"

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule) or self.turn not in get_args(Turn):
            raise ValueError(f"rule {self.rule!r} with turn {self.turn!r}: expected {get_args(Rule)} and {get_args(Turn)}")
        if not all(STEP <= side <= MAX_SIDE and side % STEP == 0 for side in (self.width, self.height)):
            raise ValueError(f"{self.width} x {self.height}: expected multiples of {STEP} from {STEP} to {MAX_SIDE}")
        if self.rule == "square" and self.width != self.height:
            raise ValueError(f"{self.width} x {self.height} is not a square: expected equal sides, or the rule rectangle")

    def fit(self, width: int, height: int) -> Fit:
        turned = (self.turn == "portrait" and width > height) or (self.turn == "landscape" and height > width)
        if turned:
            width, height = height, width
        box = (self.width, self.height)
        if self.rule == "letterbox":
            scale = min(self.width / width, self.height / height)
            inner = (max(1, round(width * scale)), max(1, round(height * scale)))
            return Fit(turned, inner, box)
        if self.rule == "budget":
            box = _own_shape(width, height, self.width * self.height)
        return Fit(turned, box, box)

    def as_json(self) -> dict[str, object]:
        return {"rule": self.rule, "width": self.width, "height": self.height, "turn": self.turn}

    @staticmethod
    def from_json(given: Mapping[str, object]) -> InputShape:
        unknown = set(given) - {"rule", "width", "height", "turn"}
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}: expected rule, width, height, and turn or none")
        sides = (given.get("width"), given.get("height"))
        if "rule" not in given or any(type(side) is not int for side in sides):
            raise ValueError(f"{dict(given)}: expected a rule, and width and height as whole numbers")
        return InputShape(**given)  # type: ignore[arg-type]


def _own_shape(width: int, height: int, budget: int) -> tuple[int, int]:
    """The multiples of 32 within the budget that come nearest to the crop's shape, and then to the budget.

    A wrong shape bends the animal where a smaller tensor only softens it, so shape counts double.
    """
    blocks = budget // (STEP * STEP)
    longest = min(blocks, MAX_SIDE // STEP)
    ratio = min(max(width / height, 1 / longest), longest)
    options = [
        (columns, rows)
        for columns in range(1, longest + 1)
        for rows in {max(1, math.floor(columns / ratio)), math.ceil(columns / ratio), min(blocks // columns, longest)}
        if rows <= longest and columns * rows <= blocks
    ]
    columns, rows = min(options, key=lambda o: (2 * abs(math.log(o[0] / o[1] / ratio)) - math.log(o[0] * o[1]), o))
    return columns * STEP, rows * STEP


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Area averaging wherever it shrinks: without it, fine texture turns to noise (embedding similarity .90)."""
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = pixels.shape[0] >= height and pixels.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=method)  # type: ignore[return-value]


def to_tensor(pixels: Pixels, fit: Fit, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Scaled, turned, padded, normalised: (x / 255 - mean) / std. Padding is 0, which is the mean."""
    small = resize(pixels, *fit.target)
    if fit.turned:
        small = np.rot90(small)
    width, height = fit.outer
    tensor = np.zeros((1, 3, height, width), np.float32)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    for channel in range(3):
        plane = tensor[0, channel, top : top + small.shape[0], left : left + small.shape[1]]
        np.multiply(small[:, :, channel], np.float32(1 / (255 * std[channel])), out=plane)
        plane -= np.float32(mean[channel] / std[channel])
    return tensor
