"""An open data folder: which bundle it uses, what it refuses, and how a calibration follows the catalogue."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import CatalogueUnavailable, PhotoStoreFailed
from encoder.errors import BundleRefused
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.calibrating import Lessons
from indexer.edits import delete_sightings
from indexer.enrol import enrol
from indexer.errors import BundleMismatch
from indexer.given import Given
from indexer.reconcile import reconcile
from indexer.sightings import Source
from indexer.station import DEFAULT_BUNDLE, Station, open_books, open_station
from matching.identify import QueryPhoto
from settings import Settings
from vector_db.port import Facts, Point


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """The shipped bundle under another version, which makes it another bundle."""
    folder = tmp_path / "other"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    contract = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(contract | {"version": "other"}))
    return folder


def one(whales: Path) -> Source:
    return Source("a.jpg", Given(), path=whales / "W0" / "0.jpg")


def test_a_catalogue_keeps_its_own_copy_of_the_bundle_from_the_first_write_on(station: Station, whales: Path) -> None:
    own = station.settings.data_dir / "bundles" / station.bundle_id
    assert not own.exists()
    enrol(station, "Kelp", [one(whales)], who="me")
    assert sorted(path.name for path in own.iterdir()) == sorted(path.name for path in DEFAULT_BUNDLE.iterdir())


def test_another_bundle_is_refused_once_there_are_vectors_and_taken_before(
    settings: Settings, whales: Path, other_bundle: Path
) -> None:
    with open_station(settings):
        pass
    other = settings.model_copy(update={"bundle": other_bundle})
    with open_station(other) as station:
        enrol(station, "Kelp", [one(whales)], who="me")
        taken = station.bundle_id
    with pytest.raises(BundleMismatch, match="FLUKEPRINT_BUNDLE"):
        open_station(settings.model_copy(update={"bundle": DEFAULT_BUNDLE}))
    with open_station(settings) as station:
        assert station.bundle_id == taken


def test_a_bundle_whose_model_was_changed_is_refused(settings: Settings, other_bundle: Path) -> None:
    model = bytearray((other_bundle / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (other_bundle / "model.onnx").write_bytes(model)
    with pytest.raises(BundleRefused, match="sha256"):
        open_station(settings.model_copy(update={"bundle": other_bundle}))


def test_a_sighting_that_is_deleted_while_a_calibration_is_fitted_does_not_stop_it(station: Station, whales: Path) -> None:
    enrol(station, "Kelp", [one(whales)], who="me")
    lessons = Lessons(station.catalogue, station.bundle_id)
    ((number, _, _),) = lessons.enrolled().tolist()
    before = lessons.vectors([number])
    delete_sightings(station.catalogue, [number], who="me")
    assert lessons.enrolled().size == 0
    assert np.array_equal(lessons.vectors([number]), before)


def test_a_refused_start_holds_nothing(settings: Settings, other_bundle: Path) -> None:
    (other_bundle / "bundle.json").write_text("{}")
    with pytest.raises(BundleRefused):
        open_station(settings.model_copy(update={"bundle": other_bundle}))
    with open_station(settings) as station:
        assert station.index.count() == 0


def test_start_that_fails_at_its_last_step_holds_nothing_either(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "photos").touch()  # where the folder of photos should be
    with pytest.raises(PhotoStoreFailed):
        open_station(settings)
    (settings.data_dir / "photos").unlink()
    with open_station(settings) as station:
        assert station.index.count() == 0


def test_a_data_folder_under_a_file_is_refused_with_the_way_out(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CatalogueUnavailable, match="--data-dir"):
        open_station(settings.model_copy(update={"data_dir": tmp_path / "file" / "data"}))


def test_books_are_not_made_by_looking(settings: Settings) -> None:
    with pytest.raises(CatalogueUnavailable, match="no catalogue"):
        open_books(settings)
    assert not settings.data_dir.exists()


def test_every_identification_is_kept_with_its_answer(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="me")
    photo = QueryPhoto("q.jpg", (whales / "W1" / "2.jpg").read_bytes())
    answer = identify_and_keep(station, [photo], who="someone")
    kept = station.catalogue.identification(answer.identification_id or 0)
    assert (kept.who, kept.bundle_id, kept.photos[0]["sha256"]) == ("someone", station.bundle_id, answer.photos[0].sha256)
    told = json.loads(json.dumps(answer.to_json()))
    assert kept.answer == {key: value for key, value in told.items() if key != "identification_id"}


def test_the_calibration_is_fitted_again_when_the_catalogue_has_grown_and_kept_until_then(
    station: Station, whales: Path
) -> None:
    empty = station.calibration()
    assert station.calibration() is empty
    import_rows(station, whales, who="me")
    grown = station.calibration()
    assert grown.sightings == 24
    kept = station.catalogue.latest_calibration(station.bundle_id)
    assert kept is not None
    assert kept.sightings == 24


def test_an_expected_share_of_new_animals_that_is_changed_is_followed(settings: Settings, whales: Path) -> None:
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
    other = settings.model_copy(update={"new_share": 0.5})
    with open_station(other) as station:
        fitted = station.calibration()
        assert fitted.source == "none" or fitted.new_share == 0.5


@given(st.sets(st.integers(1, 24)), st.sets(st.integers(25, 60)))
def test_reconciling_any_index_makes_it_hold_what_is_live(lost: set[int], stray: set[int]) -> None:
    station = _STATION[0]
    index, ids = station.index, station.catalogue.live_ids(station.bundle_id).tolist()
    index.delete(lost)
    vector = np.zeros(index.dimension, np.float32)
    vector[0] = 1
    index.upsert([Point(number, vector, Facts()) for number in stray])
    done = reconcile(index, station.catalogue, station.bundle_id)
    assert (done.added, done.removed) == (len(lost), len(stray))
    assert index.ids().tolist() == ids
    again = reconcile(index, station.catalogue, station.bundle_id)
    assert (again.added, again.removed) == (0, 0)


_STATION: list[Station] = []


@pytest.fixture(autouse=True, scope="module")
def _shared_station(tmp_path_factory: pytest.TempPathFactory, whales: Path) -> object:
    """One station for all of a property's examples."""
    from settings import read_settings

    with open_station(read_settings({}, data_dir=tmp_path_factory.mktemp("shared") / "data", user="me")) as station:
        import_rows(station, whales, who="me")
        _STATION.append(station)
        yield station
        _STATION.clear()


def test_the_bundles_own_calibration_answers_until_there_is_an_animal_of_another_species(
    station: Station, whales: Path
) -> None:
    floe, kelp = (whales / f"W{number}" / "0.jpg" for number in (0, 1))
    enrol(station, "Floe", [Source("a.jpg", Given(species="Beluga"), path=floe)], who="me")
    assert station.calibration().source == "bundle"
    enrol(station, "Kelp", [Source("b.jpg", Given(species="orca"), path=kelp)], who="me")
    assert station.calibration().source == "none"
    assert "measured on beluga and not on orca" in station.calibration().reason
