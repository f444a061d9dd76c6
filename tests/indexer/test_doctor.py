"""What doctor finds: each fault by name with what to do, and nothing where all is well."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.values import GivenRow
from indexer.backup import back_up
from indexer.bulk import import_rows
from indexer.doctor import Finding, examine, is_well
from indexer.edits import set_species
from indexer.enrol import enrol
from indexer.given import Given
from indexer.lost import lost
from indexer.sightings import Source
from indexer.station import open_books, open_station, photo_store
from indexer.undo import undo
from settings import Settings
from vector_db.port import Place


@pytest.fixture
def filled(settings: Settings, whales: Path) -> Settings:
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
    return settings


def wrong(settings: Settings, *, deep: bool = False) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(settings, deep=deep) if finding.level == "wrong"}


def test_a_sound_folder_is_well_in_every_subject(filled: Settings) -> None:
    findings = examine(filled, deep=True)
    assert is_well(findings)
    assert [finding.subject for finding in findings] == ["data folder", "catalogue", "photos", "encoder", "index"]


def test_an_empty_folder_is_told_to_have_no_catalogue(settings: Settings) -> None:
    found = wrong(settings)
    assert "no catalogue" in found["catalogue"].found


def delete_a_photo(data: Path) -> None:
    next((data / "photos").glob("??/*.jpg")).unlink()


def cut_a_photo_short(data: Path) -> None:
    photo = next((data / "photos").glob("??/*.jpg"))
    photo.write_bytes(photo.read_bytes()[:10])


def change_a_photo(data: Path) -> None:
    photo = next((data / "photos").glob("??/*.jpg"))
    photo.write_bytes(photo.read_bytes()[:-1] + b"!")


def break_the_database(data: Path) -> None:
    file = data / "catalogue.db"
    raw = bytearray(file.read_bytes())
    raw[8192:] = bytes(len(raw) - 8192)
    file.write_bytes(raw)


def lose_a_vector(data: Path) -> None:
    with closing(sqlite3.connect(data / "catalogue.db")) as database, database:
        database.execute("DELETE FROM vectors WHERE sighting_id = 5")


def change_the_model(data: Path) -> None:
    model = next((data / "bundles").glob("*/model.onnx"))
    model.write_bytes(model.read_bytes() + b"!")


@pytest.mark.parametrize(
    ("harm", "subject", "deep"),
    [
        (delete_a_photo, "photos", False),
        (cut_a_photo_short, "photos", False),
        (change_a_photo, "photos", True),
        (break_the_database, "catalogue", False),
        (lose_a_vector, "catalogue", False),
        (change_the_model, "encoder", False),
    ],
)
def test_each_harm_is_found_and_named(filled: Settings, harm: Callable[[Path], None], subject: str, deep: bool) -> None:
    harm(filled.data_dir)
    assert subject in wrong(filled, deep=deep)


def test_photos_in_a_folder_that_may_not_be_entered_are_lost_and_end_nothing(filled: Settings, tmp_path: Path) -> None:
    with open_books(filled) as catalogue:
        first = next(iter(catalogue.photos()))
        with catalogue.write("test", who="me", what="") as write:  # a path that cannot be looked at: root may enter any folder
            write.add_photo(replace(first, kept="reference", path="/" + "x" * 5000), anew=True)
        assert [photo.sha256 for photo in lost(photo_store(filled), catalogue)] == [first.sha256]
    assert wrong(filled)["photos"].found.startswith(f"1 of 24 are missing or damaged: {first.name}")
    assert back_up(filled, tmp_path / "all.flukeprint").missing == ()  # those kept by reference are never in it


def test_photos_that_are_gone_or_cut_short_are_back_after_the_import_that_doctor_speaks_of(
    filled: Settings, whales: Path
) -> None:
    delete_a_photo(filled.data_dir)
    cut_a_photo_short(filled.data_dir)
    assert wrong(filled)["photos"].do.startswith("import or enrol them again")
    with open_station(filled) as station:
        assert import_rows(station, whales, who="me").put_back == 2
    assert is_well(examine(filled, deep=True))


def test_what_was_corrected_in_sql_alone_is_well(filled: Settings) -> None:
    with open_books(filled) as catalogue:
        event = set_species(catalogue, "W0", "orca", who="me").event_id
    assert is_well(examine(filled))
    with open_books(filled) as catalogue:
        undo(catalogue, event, who="me")
    assert is_well(examine(filled, deep=True))


def test_a_place_that_the_index_has_otherwise_is_found(filled: Settings) -> None:
    with open_station(filled) as station:
        (point,) = station.index.points([3])
        assert point.facts.place is not None
        moved = Place(point.facts.place.lat + 0.01, point.facts.place.lon)
        station.index.upsert([replace(point, facts=replace(point.facts, place=moved))])
    assert wrong(filled, deep=True)["index"].found.endswith("sightings 3")
    with open_station(filled) as station:
        station.index.upsert([replace(point, facts=replace(point.facts, place=None))])
    assert wrong(filled, deep=True)["index"].found.endswith("sightings 3")


def test_an_index_that_is_held_is_a_note_and_no_fault(filled: Settings) -> None:
    with open_station(filled):
        findings = examine(filled)
    assert is_well(findings)
    assert any(finding.subject == "index" and finding.level == "note" for finding in findings)


def test_rows_that_wait_are_noted(settings: Settings, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/0.jpg,Kelp\nnone.jpg,Kelp\n")
    with open_station(settings) as station:
        import_rows(station, table, images=whales, who="me")
    notes = [finding for finding in examine(settings) if finding.subject == "imports"]
    assert [finding.level for finding in notes] == ["note"]
    assert "rows set aside, with their reasons in a CSV: 1" in notes[0].found
    assert notes[0].do.endswith(f": flukeprint import {table} --images {whales} --data-dir {settings.data_dir}")


def test_an_index_that_has_grown_is_noted_until_it_is_laid_out(settings: Settings, whales: Path) -> None:
    small = settings.model_copy(update={"codes_above": 5})
    with open_station(small) as station:
        for name in ("W0", "W1", "W2"):
            enrol(station, name, [Source(path.name, Given(), path) for path in (whales / name).glob("*.jpg")], who="me")
    notes = [finding for finding in examine(small) if (finding.subject, finding.level) == ("index", "note")]
    assert [note.do for note in notes] == [f"flukeprint reindex --data-dir {small.data_dir}"]
    with open_station(small) as station:
        station.index.optimise()
    assert [finding.level for finding in examine(small) if finding.subject == "index"] == ["well"]


def test_an_import_that_was_stopped_is_told_how_to_go_on(filled: Settings) -> None:
    with open_books(filled) as catalogue:
        going = catalogue.imports.start("/some/rows of ours.csv", images="/some/photos", fingerprint="f")
        catalogue.imports.add_rows(going.id, [GivenRow("k", 1, {"path": "a.jpg", "identity": "A"})])
    (note,) = (finding for finding in examine(filled) if finding.subject == "imports")
    assert note.found.endswith("rows that wait: 1")
    told = f"flukeprint import '/some/rows of ours.csv' --images /some/photos --data-dir {filled.data_dir}"
    assert note.do == told


def test_a_folder_whose_import_was_stopped_is_named_without_images(filled: Settings, whales: Path) -> None:
    with open_books(filled) as catalogue:
        (known,) = catalogue.imports.all()
        catalogue.imports.add_rows(known.id, [GivenRow("k", 1, {"path": "a.jpg", "identity": "A"})])
    (note,) = (finding for finding in examine(filled) if finding.subject == "imports")
    assert note.do == f"flukeprint import {whales} --data-dir {filled.data_dir}"
