"""What is asked with: drawn animals, some of them in the catalogue, in three sizes.

small   640 × 480, at most 200 kB: what an overloaded service is asked with
1mp     1152 × 864
12mp    4032 × 3024, enlarged and with a camera's grain down to the pixel, so that it costs what a camera's photo costs
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from demo import animals
from demo.camera import Pixels

Size = Literal["small", "1mp", "12mp"]
SIDES: dict[Size, tuple[int, int]] = {"small": (640, 480), "1mp": (1152, 864), "12mp": (4032, 3024)}
DRAWN_AT = (1152, 864)
SMALL_BYTES = 200_000
GRAIN, QUALITY = 4.0, 92
KNOWN, STRANGERS = 12, 6  # individuals in the catalogue, and further ones that are asked about or enrolled
EACH = 4  # photos of a known animal; those that are asked about come after them


@dataclass(frozen=True, slots=True)
class Asked:
    """One photo that the service is asked about."""

    name: str
    size: Size
    path: Path


def draw_questions(folder: Path, sizes: Sequence[Size], count: int) -> list[Asked]:
    """`count` photos of each size, of known animals on another day and of strangers, three to one. The same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [Asked(f"{size}-{number}.jpg", size, folder / f"{size}-{number}.jpg") for size in sizes for number in range(count)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_draw, wanted, [number for _ in sizes for number in range(count)]))
    return wanted


def _draw(asked: Asked, number: int) -> None:
    animal = KNOWN + number // 4 % STRANGERS if number % 4 == 3 else number % KNOWN
    photo = EACH + number // KNOWN
    if asked.size != "12mp":
        data = animals.photo(animal, photo, size=SIDES[asked.size])
    else:
        data = _enlarged(animals.draw(animal, photo, size=DRAWN_AT))
    if asked.size == "small" and len(data) > SMALL_BYTES:
        raise RuntimeError(f"{asked.name} has {len(data):,} bytes, more than the {SMALL_BYTES:,} that a small photo may have")
    asked.path.write_bytes(data)


def _enlarged(pixels: Pixels) -> bytes:
    large = cv2.resize(pixels, SIDES["12mp"], interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(1).standard_normal(large.shape, dtype=np.float32) * np.float32(GRAIN)
    grainy = np.clip(large + grain, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(grainy, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise RuntimeError("the photo could not be written")
    return data.tobytes()


@cache
def _stranger(number: int) -> bytes:
    return animals.photo(KNOWN + number, 0, size=SIDES["small"])


def newcomer(number: int) -> bytes:
    """A photo to enrol: of a stranger, and with bytes of its own after the picture's end, so that it is another photo."""
    return _stranger(number % STRANGERS) + b"flukeprint" + number.to_bytes(6, "big")
