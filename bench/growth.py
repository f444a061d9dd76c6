"""The plot of `bench.scale`: three small pictures in one SVG, sightings across by powers of ten, drawn without a library."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from math import log10
from typing import Any

ROW = re.compile(r"(identify|start|memory) at ([\d,]+), (\w+)")
TITLES = {"identify": "one photo identified", "start": "start", "memory": "memory"}
SIDE, LEFT, TOP, GAP = 220, 50, 40, 70
Points = list[tuple[int, float]]


def growth(rows: Sequence[dict[str, Any]]) -> str:
    """From the kept rows, whose names say what and at how many sightings."""
    curves: dict[tuple[str, str], Points] = {}
    for row in rows:
        if row["value"] is not None and (found := ROW.fullmatch(row["name"])):
            what, size, unit = found.groups()
            curves.setdefault((what, unit), []).append((int(size.replace(",", "")), row["value"]))
    drawn = [
        _picture(number, TITLES[what], unit, sorted(points)) for number, ((what, unit), points) in enumerate(curves.items())
    ]
    width, height = LEFT + len(curves) * (SIDE + GAP), TOP + SIDE + 50
    style = "text{font:12px sans-serif;fill:#345}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return (
        "\n".join(
            [head, f"<style>{style}</style>", f'<rect width="{width}" height="{height}" fill="white"/>', *drawn, "</svg>"]
        )
        + "\n"
    )


def _picture(number: int, title: str, unit: str, points: Points) -> str:
    low, high = log10(points[0][0]), max(log10(points[-1][0]), log10(points[0][0]) + 1)
    most = max(value for _, value in points) * 1.1 or 1.0
    left = LEFT + number * (SIDE + GAP)

    def place(size: int, value: float) -> tuple[float, float]:
        return left + (log10(size) - low) / (high - low) * SIDE, TOP + SIDE - value / most * SIDE

    parts = [
        f'<text x="{left}" y="{TOP - 14}">{html.escape(title)}, {html.escape(unit)}</text>',
        f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#99a"/>',
        f'<text x="{left - 6}" y="{TOP + SIDE}" text-anchor="end">0</text>',
    ]
    spots = [place(*point) for point in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0b6e8a" stroke-width="2"/>')
    for (x, y), (size, value) in zip(spots, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0b6e8a"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.3g}</text>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + SIDE + 18}" text-anchor="middle">{size:,}</text>')
    return "\n".join(parts)
