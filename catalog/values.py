"""The plain values that leave the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sighting it is, as the catalogue says now."""

    individual_id: int
    name: str
    species: str | None
    encounter_id: int
    photo: str  # the file name it came with
