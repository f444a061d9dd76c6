"""How an index is laid out as it grows, and when building it anew is worth it. Pure numbers.

Measured at 100,000 points of 512 dimensions, one thread, ratios to numpy's exact product on one thread (`make bench`), with
AVX2 alone; with AVX-512 flat is 0.58, graph 0.08:

    flat    every vector is compared: 0.88. Nothing to build
    codes   2 bits a number are scanned, the best rescored with the whole vectors: 0.18, recall 1.0, built in 6 s
    graph   HNSW walked by the same codes, likewise rescored: 0.14 with recall .97, and hardly more at a million; built in
            four to eight minutes

So codes, which find everything and are built at once, are better until the scan itself is slow, and flat is good until a
search costs what a reader would notice beside encoding a photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["flat", "codes", "graph"]

CODES_ABOVE = 25_000  # flat takes 2 ms here
HNSW_ABOVE = 300_000  # codes take 8 ms here
TAIL_SHARE = 0.1
TAIL_LEAST = 10_000  # points that were added since and are compared whole: 1 ms


@dataclass(frozen=True, slots=True)
class Growth:
    """Above which sizes which layout is built."""

    codes_above: int = CODES_ABOVE
    hnsw_above: int = HNSW_ABOVE

    def layout(self, points: int) -> Layout:
        if points > self.hnsw_above:
            return "graph"
        return "codes" if points > self.codes_above else "flat"

    def wants_building(self, points: int, built: int) -> bool:
        """Whether `points` now, of which `built` were there at the last building, ask for another."""
        layout = self.layout(points)
        if layout == "flat":
            return False
        if built == 0 or layout != self.layout(built):
            return True
        tail = max(TAIL_LEAST, int(built * TAIL_SHARE))
        return points - built > tail
