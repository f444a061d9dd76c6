"""How tables of others name their columns, and how some of them spell what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ALIASES = {  # compared without case, spaces, `_` and what stands in brackets; where several are there, the first is read
    "path": ("path", "image", "file", "filename", "photo", "image_path", "filepath", "photo_path", "photo_name", "image_name"),
    "identity": (
        *("identity", "individual_id", "individual", "name", "whale_id", "class_animal", "id"),
        *("individual_name", "animal", "animal_id", "animal_name", "whale", "whale_name"),
    ),
    "species": ("species", "species_name", "scientific_name"),
    "encounter": ("encounter", "encounter_id", "sighting_event", "occasion"),
    "date": (
        *("date", "taken_on", "event_date", "datetime", "timestamp"),
        *("date_taken", "taken_at", "photo_date", "sighting_date", "encounter_date", "date_time_original"),
    ),
    "lat": ("lat", "latitude", "decimal_latitude", "gps_latitude", "gps_lat"),
    "lon": ("lon", "lng", "long", "longitude", "decimal_longitude", "gps_longitude", "gps_lon"),
    "viewpoint": ("viewpoint", "view", "side"),
    "box": ("box", "bbox", "bounding_box"),
}
UNNAMED = {"new_whale", "new_individual"}  # how the humpback set and HappyWhale write that nobody knows the animal
SPECIES_MENDED = {"kiler_whale": "killer_whale", "bottlenose_dolpin": "bottlenose_dolphin"}  # as HappyWhale published them
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_BETWEEN = re.compile(r"[\W_]+")


def plain(heading: str) -> str:
    """A heading as headings are compared.

    >>> plain(" Latitude (deg)"), plain("Date_taken"), plain("decimalLatitude")
    ('latitude', 'datetaken', 'decimallatitude')
    """
    return _BETWEEN.sub("", _BRACKETS.sub("", heading)).lower()


def column_of(names: Iterable[str], header: Sequence[str]) -> int | None:
    """Where the column stands that has the first of these names; None where none has."""
    spelled = [plain(heading) for heading in header]
    return next((spelled.index(plain(name)) for name in names if plain(name) in spelled), None)


def may_be_called(columns: Iterable[str]) -> str:
    """How headings of these columns are recognised, for a person."""
    return "; ".join(f"{name} may be called {', '.join(ALIASES[name])}" for name in columns)
