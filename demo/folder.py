"""Drawn animals as files: a folder for each individual, and a table of what their photographer noted.

The same arguments write the same bytes. Names are sea words with a number; no animal is called after a person.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo import animals
from demo.animals import PHOTOS_AN_ENCOUNTER

SEA_WORDS = ("Kelp", "Tide", "Drift", "Swell", "Spray", "Foam", "Reef", "Shoal", "Gale", "Squall", "Brine", "Cove", "Fjord")
COLUMNS = ("path", "identity", "species", "encounter", "date", "lat", "lon", "viewpoint")
TABLE = "photos.csv"


def name_of(individual: int) -> str:
    """
    >>> name_of(31)
    'Foam-31'
    """
    return f"{SEA_WORDS[individual % len(SEA_WORDS)]}-{individual:02}"


def path_of(folder: Path, individual: int, photo: int) -> Path:
    return folder / name_of(individual) / f"{name_of(individual)}-{photo:02}.jpg"


def pairs(individuals: Iterable[int], photos_each: int, encounters_each: int) -> Iterator[tuple[int, int]]:
    """(individual, photo) for `make_folder`: each individual's photos, spread evenly over its encounters.

    >>> list(pairs([7], photos_each=4, encounters_each=2))
    [(7, 0), (7, 1), (7, 4), (7, 5)]
    """
    if not 1 <= encounters_each <= photos_each <= encounters_each * PHOTOS_AN_ENCOUNTER:
        raise ValueError(
            f"{photos_each} photos in {encounters_each} encounters were asked for; "
            f"an encounter has 1 to {PHOTOS_AN_ENCOUNTER} photos"
        )
    for individual in individuals:
        for encounter in range(encounters_each):
            first, last = (at * photos_each // encounters_each for at in (encounter, encounter + 1))
            for photo in range(last - first):
                yield individual, encounter * PHOTOS_AN_ENCOUNTER + photo


def make_folder(
    folder: Path,
    photos: Iterable[tuple[int, int]],
    *,
    seed: int = 0,
    size: tuple[int, int] = animals.SIZE,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw these (individual, photo) pairs and write `photos.csv` beside them, whose path it gives. What is there stays."""
    photos = list(photos)

    def row(pair: tuple[int, int]) -> tuple[object, ...]:
        individual, photo = pair
        path, known = path_of(folder, individual, photo), animals.facts(individual, photo, seed=seed)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(animals.photo(individual, photo, seed=seed, size=size))
            part.rename(path)
        occasion = f"{name_of(individual)} {animals.encounter_of(photo)}"
        inside = path.relative_to(folder).as_posix()
        return inside, name_of(individual), known.species, occasion, known.taken.date(), known.lat, known.lon, known.viewpoint

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for written in pool.map(row, photos):
            rows.append(written)
            if on_progress is not None:
                on_progress(len(rows), len(photos))
    table = folder / TABLE
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return table
