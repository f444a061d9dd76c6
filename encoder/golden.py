"""Photos drawn by code, the same to the bit on every machine: what pins a bundle's vectors.

Integer arithmetic only, so that neither numpy's version nor the processor changes a pixel.
"""

from __future__ import annotations

import numpy as np

from .values import Pixels

WITHIN = 1e-3  # of the vectors that a bundle says: another processor rounds otherwise; a wrong model is off by 0.05 and more


def golden_photo(number: int, width: int = 320, height: int = 240) -> Pixels:
    """A sea of bands with blots and scratches on it; another number is another picture. (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    state = 2654435761 * (number + 1) % 2**32
    canvas = np.stack([(x * (3 + number) // 4 + y * c) // 3 % 256 for c in (1, 2, 3)], axis=-1)
    for _ in range(24):
        values = []
        for _ in range(6):
            state = (1664525 * state + 1013904223) % 2**32
            values.append(state >> 16)
        cx, cy, rx, ry = values[0] % width, values[1] % height, 6 + values[2] % 60, 4 + values[3] % 30
        inside = ((x - cx) * ry) ** 2 + ((y - cy) * rx) ** 2 <= (rx * ry) ** 2
        colour = np.array([values[4] % 256, values[5] % 256, (values[4] + values[5]) % 256], np.int64)
        canvas[inside] = (canvas[inside] + 3 * colour) // 4
    return canvas.astype(np.uint8)
