"""The catalogue that is asked, made once and copied: for the service, for the bare pipeline, for the offline answers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from demo import animals
from demo.filling import fill
from demo.vectors import clustered
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import open_station
from loadtests.photos import KNOWN, SIDES
from settings import Settings

ENROLLED = 2  # of each known animal's photos, so that its others are new to the catalogue


@dataclass(frozen=True, slots=True)
class Ground:
    """Copies of one data folder, which answer alike."""

    live: Path
    offline: Path
    bare: tuple[Path, ...]


def make_ground(folder: Path, settings: Settings, *, sightings: int, bare: int) -> Ground:
    """Drawn animals with photos, and drawn vectors up to `sightings`: enough that the calibration stands while others enrol."""
    live = folder / "live"
    own = settings.model_copy(update={"data_dir": live})
    with open_station(own, streams=settings.streams) as station:
        fill(station, clustered(sightings, station.index.dimension, seed=0))
        for animal in range(KNOWN):
            photos = [animals.photo(animal, number, size=SIDES["small"]) for number in range(ENROLLED)]
            enrol(
                station,
                f"Known-{animal}",
                [Source(f"{animal}-{n}.jpg", Given(), data=data) for n, data in enumerate(photos)],
                who="loadtest",
            )
        station.calibration()
        station.index.flush()
    copies = [folder / "offline", *(folder / f"bare-{number}" for number in range(bare))]
    for copy in copies:
        shutil.copytree(live, copy)
    return Ground(live, copies[0], tuple(copies[1:]))
