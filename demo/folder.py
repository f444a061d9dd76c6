"""Drawn animals as files: a folder for each individual, and a table of what their photographer noted."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo import animals

SEA_WORDS = ("Kelp", "Tide", "Drift", "Swell", "Spray", "Foam", "Reef", "Shoal", "Gale", "Squall", "Brine", "Cove", "Fjord")
COLUMNS = ("path", "identity", "species", "encounter", "date", "lat", "lon", "viewpoint")


def name_of(individual: int) -> str:
    """
    >>> name_of(31)
    'Spray-31'
    """
    return f"{SEA_WORDS[individual % len(SEA_WORDS)]}-{individual:02}"


def make_folder(
    folder: Path, photos: Iterable[tuple[int, int]], *, seed: int = 0, size: tuple[int, int] = animals.SIZE
) -> Path:
    """Draw these (individual, photo) pairs and write `photos.csv` beside them, whose path it gives. What is there stays."""

    def row(pair: tuple[int, int]) -> tuple[object, ...]:
        individual, photo = pair
        path, known = path_of(folder, individual, photo), animals.facts(individual, photo, seed=seed)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(animals.photo(individual, photo, seed=seed, size=size))
            part.rename(path)
        occasion = f"{name_of(individual)} {animals.encounter_of(photo)}"
        inside = path.relative_to(folder)
        return inside, name_of(individual), known.species, occasion, known.taken.date(), known.lat, known.lon, known.viewpoint

    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(row, photos))
    table = folder / "photos.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return table


def path_of(folder: Path, individual: int, photo: int) -> Path:
    return folder / name_of(individual) / f"{name_of(individual)}-{photo:02}.jpg"
