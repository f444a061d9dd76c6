"""Local features of a real catalogue's sightings: made from the kept photos, kept, and made again where they are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo import animals
from encoder.local import local_features, pack
from encoder.values import Box, LocalFeatures
from indexer.bulk import import_rows
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from settings import Settings


def same(one: LocalFeatures, other: LocalFeatures) -> bool:
    return pack(one) == pack(other)


@pytest.fixture
def filled(station: Station, whales: Path) -> Station:
    import_rows(station, whales / "rows.csv", who="me")
    return station


def test_features_are_made_once_and_then_read(filled: Station) -> None:
    made = filled.looking.of_sightings([1, 2, 3])
    assert set(made) == {1, 2, 3}
    kept = filled.catalogue.local_features([1, 2, 3, 4])
    assert kept == {sighting: pack(features) for sighting, features in made.items()}
    for photo in filled.settings.data_dir.joinpath("photos").rglob("*.jpg"):
        photo.unlink()
    again = filled.looking.of_sightings([1, 2, 3])
    assert all(same(again[sighting], made[sighting]) for sighting in made)


def test_features_of_a_sighting_are_those_of_its_photo(filled: Station, whales: Path) -> None:
    sighting = filled.catalogue.sighting(5)
    features = filled.looking.of_sightings([5])[5]
    given = next(path for path in whales.rglob(sighting.photo) if path.parent.name == sighting.individual)
    assert same(features, local_features(given.read_bytes()))


@pytest.mark.parametrize("damage", [b"", b"junk", b"L1" + bytes(200)])
def test_damaged_features_are_made_again_from_the_photo(filled: Station, damage: bytes) -> None:
    made = filled.looking.of_sightings([1])[1]
    filled.catalogue.put_local_features({1: damage})
    assert same(filled.looking.of_sightings([1])[1], made)
    assert filled.catalogue.local_features([1]) == {1: pack(made)}


def test_a_photo_that_is_gone_or_damaged_has_no_features_and_the_others_have(filled: Station) -> None:
    files = {number: filled.photos.path_of(photo) for number, (photo, _) in filled.catalogue.photos_of([1, 2, 3]).items()}
    files[1].unlink()
    files[2].write_bytes(b"no photo")
    assert set(filled.looking.of_sightings([1, 2, 3, 999])) == {3}


def test_a_box_keeps_its_place_in_a_photo_that_was_kept_reduced(settings: Settings) -> None:
    """Features of the reduced copy agree in place with those of the original."""
    photo, box = animals.photo(3, 0, size=(1600, 1200)), Box(300, 200, 900, 700)
    small = settings.model_copy(update={"keep_photos": "reduced", "photo_long_side": 800})
    with open_station(small) as station:
        done = enrol(station, "Kelp", [Source("a.jpg", Given(box=box), data=photo)], who="me")
        sighting = done.photos[0].sighting_id or 0
        assert station.catalogue.photos_of([sighting])[sighting][0].kept == "reduced"
        features = station.looking.of_sightings([sighting])[sighting]
    whole = local_features(photo, box)
    assert features.origin == whole.origin
    assert features.step == pytest.approx(whole.step, rel=0.01)
    rows = np.arange(20)
    gaps = np.linalg.norm(features.in_photo(rows)[:, None] - whole.in_photo(np.arange(len(whole.points)))[None], axis=2)
    assert np.median(gaps.min(axis=1)) < 6
