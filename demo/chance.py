"""Chance: every random draw of the drawn animals comes from here, keyed by what it is for.

`rng("marks", seed, individual)` gives the same stream in every process and on every day; nothing is drawn from a shared
state, so a photo does not depend on which photos were drawn before it. Noise is laid on lattices whose number of cells
belongs to the scene, not to the picture's size: a larger picture gets the same waves and blotches with finer octaves added.
"""

from __future__ import annotations

import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]  # (h, w)
Light = list[Image]  # three planes, red, green, blue: linear light


def rng(*keys: int | str) -> np.random.Generator:
    """An own stream for these keys; an integer of any size or sign is a key."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key & 0xFFFF_FFFF_FFFF_FFFF for key in keys]
    return np.random.default_rng(np.random.SeedSequence(words))


def noise(
    draw: np.random.Generator,
    shape: tuple[int, int],
    cells: float,
    *,
    stretch: float = 1.0,
    octaves: int = 3,
    gain: float = 0.5,
    aspect: float | None = None,
) -> Image:
    """Smooth noise of about unit spread: `cells` across the width, `stretch` times as fine from top to bottom.

    Octaves finer than two pixels are left out; they come last and from a stream of their own, so that leaving them out
    changes nothing else. `aspect` is height by width, where the rounded pixels would say it too roughly.
    """
    draw = draw.spawn(1)[0]
    height, width = shape
    aspect = height / width if aspect is None else aspect
    total = np.zeros((1, 1), np.float32)
    amplitude, power = 1.0, 0.0
    for octave in range(octaves):
        across = max(round(cells * 2**octave), 1)
        down = max(round(cells * 2**octave * stretch * aspect), 1)
        power += amplitude**2
        if octave and across * 2 > width and down * 2 > height:
            break
        lattice = draw.standard_normal((down + 1, across + 1), dtype=np.float32)
        lattice *= np.float32(amplitude)
        if octave:  # octave on octave while they are small: the whole picture is interpolated only once
            lattice += cv2.resize(total, (across + 1, down + 1), interpolation=cv2.INTER_CUBIC)
        total = lattice
        amplitude *= gain
    total *= np.float32(1.3 / power**0.5)  # cubic interpolation between lattice points takes about a quarter off
    return cv2.resize(total, (width, height), interpolation=cv2.INTER_CUBIC)


def smoothstep(value: Image, low: float, high: float) -> Image:
    """0 up to `low`, 1 from `high` on, and no corner between."""
    t = np.asarray(value - np.float32(low), np.float32)
    t *= np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    rest = t * np.float32(-2)
    rest += 3
    t *= t
    t *= rest
    return t
