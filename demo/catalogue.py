"""A catalogue of drawn animals on disk: a folder for each individual, and the table that a biologist would keep.

    made = make_folder(Path("whales"), individuals=24, photos_each=6, encounters_each=3)
    flukeprint import whales/catalogue.csv

The same arguments write the same files. Names are sea words with a number; nobody is called after a person.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from demo import animals
from demo.animals import SIZE
from demo.chance import rng

TABLE = "catalogue.csv"
SEA_WORDS = (
    "Anchor Bay Beacon Breaker Buoy Cape Cockle Coral Cove Current Delta Dune Eddy Estuary Fathom Fjord Foam Galley Gulf Gust "
    "Harbour Headland Inlet Islet Jetty Kelp Lagoon Lantern Limpet Marlin Mist Moon Mussel Narrows Oar Pebble Pier Plover Quay "
    "Reef Ripple Rudder Sail Sandbar Schooner Shoal Skerry Sound Spindrift Spray Squall Strait Surf Swell Tern Tide Trawl "
    "Urchin Vane Wake Whelk Wharf"
).split()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo to be drawn, and what the table says of it; the fields are the table's columns."""

    path: str  # below the folder
    identity: str
    species: str
    encounter: str
    date: str
    lat: float
    lon: float
    viewpoint: str


@dataclass(frozen=True, slots=True)
class Plan:
    individual: int
    photo: int
    encounter: int


def name_of(individual: int, seed: int = 0) -> str:
    """A sea word and the individual's number, as in "Kelp-07": no two individuals share a name."""
    return f"{SEA_WORDS[int(rng('name', seed, individual).integers(len(SEA_WORDS)))]}-{individual:02d}"


def plans(individuals: range, photos_each: int, encounters_each: int) -> Iterator[Plan]:
    """Each individual's photos, spread evenly over its encounters."""
    if photos_each < encounters_each or encounters_each < 1:
        raise ValueError(f"{photos_each} photos for {encounters_each} encounters: give each encounter at least one photo")
    for individual in individuals:
        for photo in range(photos_each):
            yield Plan(individual, photo, photo * encounters_each // photos_each)


def row_of(plan: Plan, seed: int = 0) -> Drawn:
    name = name_of(plan.individual, seed)
    facts = animals.facts(plan.individual, plan.photo, encounter=plan.encounter, seed=seed)
    return Drawn(
        path=f"{name}/{facts.taken:%Y%m%d}-{plan.photo:03d}.jpg",
        identity=name,
        species=facts.species,
        encounter=f"{name} {facts.taken:%Y-%m-%d}",
        date=f"{facts.taken:%Y-%m-%d}",
        lat=facts.lat,
        lon=facts.lon,
        viewpoint=facts.viewpoint,
    )


def make_folder(
    folder: Path,
    individuals: int,
    photos_each: int,
    encounters_each: int,
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    workers: int = 2,
) -> list[Drawn]:
    """Write `folder/<name>/<day>-<photo>.jpg` and `folder/catalogue.csv`; gives the table's rows."""
    chosen = list(plans(range(individuals), photos_each, encounters_each))
    rows = [row_of(plan, seed) for plan in chosen]
    for name in {row.identity for row in rows}:
        (folder / name).mkdir(parents=True, exist_ok=True)

    def write(plan: Plan, row: Drawn) -> None:
        taken = animals.photo(plan.individual, plan.photo, encounter=plan.encounter, seed=seed, size=size)
        (folder / row.path).write_bytes(taken)

    with ThreadPoolExecutor(workers) as pool:
        todo = iter(zip(chosen, rows, strict=True))
        while batch := list(islice(todo, 256)):  # bounded, whatever the catalogue's size
            list(pool.map(lambda each: write(*each), batch))
    write_table(folder / TABLE, rows)
    return rows


def write_table(table: Path, rows: list[Drawn]) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Drawn.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
