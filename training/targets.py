"""What an earlier system of this kind was asked to reach, held against what was measured: met, missed, or not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AT = "at_5%_false_positives"  # the operating point: one new animal in twenty is taken for a known one


def targets(made: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each target with its value and whether it is met; None where these tables cannot tell."""
    point = made["open_set"].get(AT, {})
    drops = [of["drop"] for by in made.get("robustness", {}).values() for of in by.values() if of["drop"] is not None]
    rate = made.get("photos_per_s")
    asked: tuple[tuple[str, float | None, str, float], ...] = (
        ("precision", point.get("precision"), "≥", 0.80),
        ("recall", point.get("recall"), ">", 0.85),
        ("specificity", point.get("specificity"), ">", 0.90),
        ("f1", point.get("f1"), ">", 0.60),
        ("seconds_a_photo", 1 / rate if rate else None, "<", 8.0),
        ("largest_drop", max(drops, default=None), "≤", 0.20),
    )
    return {
        name: {"value": value, "target": f"{sign} {limit:g}", "met": None if value is None else _met(value, sign, limit)}
        for name, value, sign, limit in asked
    }


def _met(value: float, sign: str, limit: float) -> bool:
    return {"≥": value >= limit, ">": value > limit, "<": value < limit, "≤": value <= limit}[sign]
