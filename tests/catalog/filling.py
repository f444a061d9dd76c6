"""A catalogue with something in it."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np

from catalog.catalogue import Catalogue
from catalog.values import PhotoRow, Vector
from catalog.write import Write

BUNDLE = "starter-1-0123abcd"
DIMENSION = 8


def photo(name: str) -> PhotoRow:
    digest = sha256(name.encode()).hexdigest()
    return PhotoRow(digest, "original", f"{digest[:2]}/{digest}.jpg", name, "jpeg", 1000, 400, 300)


def vector(seed: int) -> Vector:
    drawn = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)


def see(write: Write, individual: int, encounter: str, name: str, **facts: Any) -> int:
    """One sighting of this individual, of the photo of this name."""
    shot = photo(name)
    write.add_photo(shot)
    given = {"brightness": 0.5, "sharpness": 0.01} | facts
    return write.add_sighting(individual, write.encounter(encounter), shot.sha256, **given)


def fill(catalogue: Catalogue, who: dict[str, int], *, vectors: bool = True, prefix: str = "") -> dict[str, list[int]]:
    """So many sightings of each name, two an encounter; one event. The sightings' ids by name."""
    if vectors:
        catalogue.register_bundle(BUNDLE, sha256="ab" * 32, dimension=DIMENSION)
    seen: dict[str, list[int]] = {}
    with catalogue.write("enrol", who="tester", what="Enrolled some.") as write:
        shots = [f"{prefix}{name}-{i}.jpg" for name, count in who.items() for i in range(count)]
        write.sightings_by_photo((photo(shot).sha256, None) for shot in shots)  # asked once, for the large ones
        write.encounters(f"{name} {i // 2}" for name, count in who.items() for i in range(count))
        for name, count in who.items():
            number = write.individual_named(name) or write.add_individual(name, "orca")
            seen[name] = [
                see(
                    write,
                    number,
                    f"{name} {i // 2}",
                    f"{prefix}{name}-{i}.jpg",
                    species="orca",
                    taken_on=date(2021, 7, 1 + i % 28),
                )
                for i in range(count)
            ]
            if vectors:
                for sighting in seen[name]:
                    write.add_vector(sighting, BUNDLE, vector(sighting), 12.0)
    return seen
