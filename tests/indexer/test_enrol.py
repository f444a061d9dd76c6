"""Enrolling: a new individual, a known one, the same photo twice, photos that cannot be, and an index that fails."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from catalog.errors import NameRefused, NotKnown
from demo import animals
from encoder.values import Box
from indexer import edits
from indexer.enrol import enrol
from indexer.errors import NotIndexed
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from settings import Settings
from vector_db.errors import IndexUnavailable
from vector_db.port import Filter

NOTHING = Given()


def photo(individual: int, number: int, given: Given = NOTHING) -> Source:
    return Source(f"{individual}-{number}.jpg", given, data=animals.photo(individual, number, size=(320, 240)))


def shot(individual: int, number: int, at: str | None) -> Source:
    """A photo whose camera noted this moment, or none."""
    exif = Image.Exif()
    if at is not None:
        exif.get_ifd(0x8769)[0x9003] = at
    written = io.BytesIO()
    with Image.open(io.BytesIO(animals.photo(individual, number, size=(320, 240)))) as image:
        image.save(written, "JPEG", exif=exif)
    return Source(f"{individual}-{number}.jpg", NOTHING, data=written.getvalue())


def from_the_future(individual: int, number: int) -> Source:
    return shot(individual, number, "2091:05:06 10:00:00")


def test_a_new_individual_is_one_event_and_its_photos_are_found(station: Station) -> None:
    done = enrol(station, "Kelp", [photo(0, 0), photo(0, 1)], who="me")
    assert (done.created, [p.state for p in done.photos]) == (True, ["enrolled", "enrolled"])
    assert station.catalogue.event(done.event_id or 0).what == 'enrolled 2 photos of new individual "Kelp"'
    for outcome, source in zip(done.photos, (photo(0, 0), photo(0, 1)), strict=True):
        nearest = station.index.search(station.encoder.encode(source.data).vector, 1)[0]
        assert (nearest.id, round(nearest.score, 4)) == (outcome.sighting_id, 1.0)


def test_enrolling_twice_is_enrolling_once(station: Station) -> None:
    first = enrol(station, "Kelp", [photo(0, 0)], who="me")
    again = enrol(station, " Kelp ", [photo(0, 0)], who="me")
    assert [p.state for p in again.photos] == ["already"]
    assert (again.event_id, again.individual_id) == (None, first.individual_id)
    assert station.index.count() == station.catalogue.counts().sightings == 1


def test_what_is_given_otherwise_with_an_enrolled_photo_is_said_and_stays(station: Station) -> None:
    enrol(station, "Kelp", [photo(0, 0, Given(taken_on=date(2019, 1, 1), viewpoint="left", lat=1.5, lon=2.0))], who="me")
    other = Given(species="orca", taken_on=date(2020, 1, 1), viewpoint="left", lat=-1.5, lon=2.0, encounter="May")
    (told,) = enrol(station, "Kelp", [photo(0, 0, other)], who="me").photos
    assert (told.state, told.reason) == (
        "already",
        'its species stays unknown ("orca" was given), its encounter stays "individual 1 on 2019-01-01" ("May" was given), '
        'its date stays "2019-01-01" ("2020-01-01" was given), its place stays 1.5, 2 (-1.5, 2 was given)',
    )
    assert str(station.catalogue.sighting(1).taken_on) == "2019-01-01"
    (same,) = enrol(station, "Kelp", [photo(0, 0)], who="me").photos  # whose camera notes another day: that was never said
    assert same.reason is None


def test_the_same_photo_twice_in_one_call_is_one_sighting(station: Station) -> None:
    done = enrol(station, "Kelp", [photo(0, 0), photo(0, 0)], who="me")
    assert [p.state for p in done.photos] == ["enrolled", "already"]
    assert station.index.count() == 1


def test_another_box_of_the_same_photo_is_another_sighting(station: Station) -> None:
    left, right = Given(box=Box(0, 0, 160, 240)), Given(box=Box(160, 0, 160, 240))
    enrol(station, "Kelp", [photo(0, 0, left)], who="me")
    other = enrol(station, "Tide", [photo(0, 0, right)], who="me")
    assert [p.state for p in other.photos] == ["enrolled"]
    assert station.catalogue.counts().photos == 1


def test_another_animals_photo_is_refused_and_nobody_is_made_of_it(station: Station) -> None:
    enrol(station, "Kelp", [photo(0, 0)], who="me")
    refused = enrol(station, "Tide", [photo(0, 0)], who="me")
    assert refused.photos[0].state == "refused"
    here = f" --data-dir {station.settings.data_dir}"
    assert 'sighting 1 of "Kelp"' in (refused.photos[0].reason or "")
    assert (refused.photos[0].reason or "").endswith(f"this one: flukeprint rename id:1 Tide{here}")
    assert [one.name for one in station.catalogue.individuals()] == ["Kelp"]


def test_another_animals_photo_is_refused_with_the_command_that_moves_it(station: Station) -> None:
    enrol(station, "Kelp", [photo(0, 0), photo(0, 1)], who="me")
    here = f" --data-dir {station.settings.data_dir}"
    (new,) = enrol(station, "Old Tide", [photo(0, 0)], who="me").photos
    assert (new.reason or "").endswith(f"this one: flukeprint split id:1 1 --name 'Old Tide'{here}")
    enrol(station, "Old Tide", [photo(1, 0)], who="me")
    (known,) = enrol(station, "Old Tide", [photo(0, 0)], who="me").photos
    assert (known.reason or "").endswith(f"this one: flukeprint reassign 1 --to id:2{here}")


def test_one_bad_photo_is_refused_and_the_others_are_enrolled(station: Station) -> None:
    done = enrol(station, "Kelp", [Source("x.jpg", Given(), data=b"no photo"), photo(0, 0)], who="me")
    assert [p.state for p in done.photos] == ["refused", "enrolled"]
    assert station.catalogue.counts().sightings == 1


def test_a_photo_whose_camera_was_ahead_of_time_is_refused_and_the_others_are_enrolled(station: Station) -> None:
    done = enrol(station, "Kelp", [from_the_future(0, 1), photo(0, 0)], who="me")
    assert [p.state for p in done.photos] == ["refused", "enrolled"]
    assert re.search(r'clock was wrong\. The date "2091-05-06" is yet to come.*Give the day', done.photos[0].reason or "")
    mended = replace(from_the_future(0, 1), given=Given(taken_on=date(2021, 5, 6)))
    assert enrol(station, "Kelp", [mended], who="me").photos[0].state == "enrolled"


def test_where_every_photo_is_bad_nothing_at_all_is_written(station: Station, tmp_path: Path) -> None:
    done = enrol(station, "Kelp", [Source("x.jpg", Given(), path=tmp_path / "missing.jpg")], who="me")
    assert (done.individual_id, done.event_id, done.photos[0].state) == (None, None, "refused")
    assert station.catalogue.counts().events == station.catalogue.counts().individuals == 0


def test_a_species_that_contradicts_is_refused_and_one_that_was_missing_is_learned(station: Station) -> None:
    enrol(station, "Kelp", [photo(0, 0)], who="me")
    enrol(station, "Kelp", [photo(0, 1, Given(species="orca"))], who="me")
    assert station.catalogue.find_individual("Kelp").species == "orca"
    vector = station.encoder.encode(photo(0, 0).data).vector
    assert station.index.search(vector, 1, Filter(species="orca"))[0].score > 0.999  # what was enrolled before, too
    refused = enrol(station, "Kelp", [photo(0, 2, Given(species="beluga"))], who="me")
    assert "enrolled as orca" in (refused.photos[0].reason or "")
    later = enrol(station, "Kelp", [photo(0, 3)], who="me")
    assert station.catalogue.sighting(later.photos[0].sighting_id or 0).species == "orca"


def test_what_the_camera_noted_fills_what_was_not_given(station: Station) -> None:
    known = animals.facts(0, 0)
    done = enrol(station, "Kelp", [photo(0, 0)], who="me")
    sighting = station.catalogue.sighting(done.photos[0].sighting_id or 0)
    assert (sighting.taken_on, sighting.taken_at) == (known.taken.date(), known.taken)
    assert (sighting.lat, sighting.lon) == (pytest.approx(known.lat, abs=1e-4), pytest.approx(known.lon, abs=1e-4))
    given = enrol(station, "Kelp", [photo(0, 5, Given(taken_on=date(2019, 1, 1)))], who="me")
    assert station.catalogue.sighting(given.photos[0].sighting_id or 0).taken_at is None


def test_photos_of_one_day_are_one_encounter_and_undated_ones_of_one_call_are_another(station: Station) -> None:
    day = Given(taken_on=date(2019, 1, 1))
    enrol(station, "Kelp", [photo(0, 0, day)], who="me")
    enrol(station, "Kelp", [photo(0, 1, day)], who="me")
    assert station.catalogue.individuals()[0].encounters == 1


def test_the_photos_of_one_call_are_one_encounter_over_midnight_and_without_a_day(station: Station) -> None:
    night = [shot(0, 0, "2024:07:03 23:58:00"), shot(0, 1, "2024:07:04 00:01:00"), shot(0, 2, None)]
    enrol(station, "Kelp", night, who="me")
    assert {one.encounter for one in station.catalogue.sightings_of(1)} == {"individual 1 on 2024-07-03"}
    days = [shot(1, 0, "2024:07:03 12:00:00"), shot(1, 1, "2024:07:04 12:00:00"), shot(1, 2, None)]
    done = enrol(station, "Tide", days, who="me")
    assert [one.encounter for one in station.catalogue.sightings_of(2)] == [
        "individual 2 on 2024-07-03",
        "individual 2 on 2024-07-04",
        f"enrolled in event {done.event_id}",
    ]


def test_a_name_of_ten_thousand_characters_is_refused_before_any_photo_is_read(station: Station, tmp_path: Path) -> None:
    with pytest.raises(NameRefused, match="10,000 characters"):
        enrol(station, "k" * 10_000, [Source("x", Given(), path=tmp_path / "never read")], who="me")


def test_an_index_that_fails_loses_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_station(settings) as station:

        def full(_: object) -> None:
            raise IndexUnavailable("no space is left")

        with monkeypatch.context() as patched:
            patched.setattr(station.index, "upsert", full)
            with pytest.raises(NotIndexed, match=r"safe \(event 1\)"):
                enrol(station, "Kelp", [photo(0, 0)], who="me")
    with open_station(settings) as station:
        assert station.index.ids().tolist() == [1]


def test_a_photo_kept_by_reference_that_moved_is_where_it_lies_now(settings: Settings, tmp_path: Path) -> None:
    card, moved = tmp_path / "card.jpg", tmp_path / "moved.jpg"
    card.write_bytes(animals.photo(1, 0, size=(320, 240)))
    with open_station(settings.model_copy(update={"keep_photos": "reference"})) as station:
        enrol(station, "Kelp", [Source("card.jpg", Given(), card)], who="me")
        card.rename(moved)
        (again,) = enrol(station, "Kelp", [Source("moved.jpg", Given(), moved)], who="me").photos
        (photo,) = station.catalogue.photos()
        assert (again.state, photo.kept, photo.path) == ("already", "reference", str(moved))
        station.photos.verify(photo)
    with open_station(settings) as station:  # which keeps the photo itself
        enrol(station, "Kelp", [Source("moved.jpg", Given(), moved)], who="me")
        moved.unlink()
        (photo,) = station.catalogue.photos()
        assert photo.kept == "original"
        station.photos.verify(photo)


def test_a_lost_photo_that_is_enrolled_in_another_box_and_kept_otherwise_is_there_again(settings: Settings) -> None:
    with open_station(settings) as station:
        enrol(station, "Kelp", [photo(0, 0)], who="me")
        (row,) = station.catalogue.photos()
        station.photos.path_of(row).unlink()
    with open_station(settings.model_copy(update={"keep_photos": "reduced", "photo_long_side": 200})) as station:
        (done,) = enrol(station, "Kelp", [photo(0, 0, Given(box=Box(10, 10, 300, 200)))], who="me").photos
        (row,) = station.catalogue.photos()
        assert (done.state, row.kept, station.photos.looks_whole(row)) == ("enrolled", "reduced", True)


def test_a_number_is_the_same_individual_whatever_it_is_called_by_then(station: Station) -> None:
    one = enrol(station, "Kelp", [photo(0, 0)], who="me")
    two = enrol(station, "Tide", [photo(1, 0)], who="me")
    assert one.individual_id is not None
    edits.rename(station.catalogue, "Kelp", "Weed", who="me")
    edits.rename(station.catalogue, "Tide", "Kelp", who="me")
    assert enrol(station, one.individual_id, [photo(0, 1)], who="me").name == "Weed"
    assert two.individual_id is not None
    edits.delete_individual(station.catalogue, two.individual_id, who="me")
    with pytest.raises(NotKnown):
        enrol(station, two.individual_id, [photo(1, 1)], who="me")
