"""A catalogue of any size without photos: drawn vectors, put in by the same doors as real ones."""

from __future__ import annotations

from catalog.values import PhotoRow
from demo.vectors import AN_INDIVIDUAL, Vectors
from indexer.station import Station

A_WRITE = 5_000


def fill(station: Station, matrix: Vectors) -> None:
    """A sighting for each row of `demo.vectors.clustered`: individuals D0, D1, … of five, in encounters of two."""
    station.adopt_bundle()
    for start in range(0, len(matrix), A_WRITE):
        with station.catalogue.write("import", who="drawn", what="drawn vectors") as write:
            for number in range(start, min(start + A_WRITE, len(matrix))):
                individual, occasion = number // AN_INDIVIDUAL, number % AN_INDIVIDUAL // 2
                name = f"D{individual}"
                owner = write.individual_named(name) or write.add_individual(name, "drawn")
                sha256 = f"{number:064x}"
                write.add_photo(PhotoRow(sha256, "reference", "nowhere", f"{number}.jpg", "jpeg", 1, 1, 1))
                sighting = write.add_sighting(
                    owner, write.encounter(f"{name}-{occasion}"), sha256, species="drawn", brightness=0.5, sharpness=0.5
                )
                write.add_vector(sighting, station.bundle_id, matrix[number], 1.0)
    station.follower.follow()
