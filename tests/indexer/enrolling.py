"""A process to be killed: enrols photos for ever, and says each acknowledgement aloud. `python enrolling.py DATA PHOTOS`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import open_station
from settings import read_settings


def main(data: Path, photos: Path) -> None:
    drawn = [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))]
    with open_station(read_settings({}, data_dir=data)) as station:
        known = station.catalogue.counts().sightings
        for number in itertools.count(known):
            bytes_of_its_own = drawn[number % len(drawn)] + number.to_bytes(8, "big")
            done = enrol(station, f"W{number % 7}", [Source(f"{number}.jpg", Given(), data=bytes_of_its_own)], who="me")
            for photo in done.photos:
                print(photo.state, photo.sighting_id, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
