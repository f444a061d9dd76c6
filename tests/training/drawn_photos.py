"""Photos of patterns, one pattern an individual: small and quick, for tests of how training goes and not of how well."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import cv2
import numpy as np

from training.rows import Row, Table

# What changes a configuration into one that teaches in a second.
TINY: dict[str, object] = {
    "backbone": "test_efficientnet",
    "weights": "none",
    "frozen_stages": 0,
    "dimension": 16,
    "shape": {"rule": "square", "width": 64, "height": 64, "turn": "none"},
    "stages": [],
    "photos": 16,
    "batch": 8,
    "threads": 1,
    "seed": 3,
}


def draw_photos(folder: Path, individuals: int = 6, encounters: int = 3, photos: int = 2) -> Table:
    """Each individual's blots, under another light each encounter and shifted a little each photo."""
    rows: list[Row] = []
    for who in range(individuals):
        pattern = np.random.default_rng([7, who]).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        for when in range(encounters):
            for which in range(photos):
                draw = np.random.default_rng([who, when, which])
                large = cv2.resize(pattern, (80, 80), interpolation=cv2.INTER_CUBIC)
                top, left = draw.integers(0, 16, 2)
                pixels = large[top : top + 64, left : left + 64] * (0.7 + 0.15 * when) + draw.normal(0, 4, (64, 64, 3))
                path = f"{who}-{when}-{which}.png"
                assert cv2.imwrite(str(folder / path), np.clip(pixels, 0, 255).astype(np.uint8))
                rows.append(Row(path, f"w{who}", "drawn", f"w{who}-{when}", "top", date(2020, 1, 1 + when), line=len(rows) + 2))
    return Table("drawn.csv", tuple(rows))
