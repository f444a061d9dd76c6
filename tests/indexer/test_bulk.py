"""The bulk import: every row has a state, one bad photo is one row, and running twice changes nothing."""

from __future__ import annotations

import errno
import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from test_enrol import from_the_future

from catalog import photos as photo_files
from catalog.errors import EditConflict, NotKnown, PhotoStoreFailed
from catalog.photos import INCOMING
from demo import animals
from encoder.values import Box, Encoded
from indexer import bulk
from indexer.bulk import Progressed, import_rows, set_aside_csv
from indexer.edits import delete_sightings, rename
from indexer.enrol import enrol
from indexer.errors import TableRefused
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from indexer.undo import undo, undo_import
from settings import Settings


def test_a_folder_is_imported_and_twice_changes_nothing(station: Station, whales: Path) -> None:
    first = import_rows(station, whales, who="me")
    assert (first.rows, first.enrolled, first.set_aside, first.individuals) == (24, 24, 0, 6)
    before = station.catalogue.counts()
    assert len([station.photos.verify(photo) for photo in station.catalogue.photos()]) == 24
    assert not any((station.photos.folder / INCOMING).iterdir())
    again = import_rows(station, whales, who="me")
    assert (again.enrolled, again.already) == (0, 24)
    assert station.catalogue.counts() == before
    assert station.index.ids().tolist() == station.catalogue.live_ids(station.bundle_id).tolist()


def test_a_table_is_imported_with_what_it_knows(station: Station, whales: Path) -> None:
    done = import_rows(station, whales / "rows.csv", who="me")
    assert done.enrolled == 24
    assert [one.encounters for one in station.catalogue.individuals()] == [2] * 6


def test_a_bad_row_is_set_aside_with_its_reason_mended_and_imported(station: Station, whales: Path, tmp_path: Path) -> None:
    shutil.copytree(whales / "W0", tmp_path / "W0")
    (tmp_path / "W0" / "0.jpg").write_bytes((whales / "W0" / "0.jpg").read_bytes()[:2000])
    table = tmp_path / "rows.csv"
    table.write_text(
        "path,identity,date,lat,lon\n"
        "W0/0.jpg,Kelp,,,\n"  # cut short
        "W0/1.jpg,Kelp,2019-13-45,,\n"
        "W0/2.jpg,,,,\n"
        "W0/missing.jpg,Kelp,,,\n"
        "W0/3.jpg,Kelp,,nan,1\n"
        "W0/2.jpg,Kelp,,,\n"
    )
    done = import_rows(station, table, who="me")
    assert (done.rows, done.enrolled, done.set_aside) == (6, 1, 5)
    reasons = [row.reason or "" for row in station.catalogue.imports.rows(done.import_id, "set_aside")]
    for said, reason in zip(("ends early", "2019-13-45", "no identity", "missing.jpg", "nan"), reasons, strict=True):
        assert said in reason
    mended = tmp_path / "mended.csv"
    text = set_aside_csv(station, done.import_id)
    mended.write_text(text.replace("2019-13-45", "2019-12-31").replace("nan", "2"))
    later = import_rows(station, mended, images=tmp_path, who="me")
    assert (later.enrolled, later.set_aside) == (2, 3)


def test_all_that_is_wrong_with_a_row_is_told_at_once(station: Station, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(
        "path,identity,date,lat,lon,box\n"
        "W0/none.jpg,Kelp,2019-13-45,north,east,big\n"
        ",,2019-13-45,,,\n"
        "W0/0.jpg,Kelp,2019-12-31,91,181,\n"
        "W0/1.jpg,Kelp,,91,,\n"
    )
    done = import_rows(station, table, images=whales, who="me")
    assert done.set_aside == 4
    reasons = [row.reason or "" for row in station.catalogue.imports.rows(done.import_id)]
    for said in ("2019-13-45", "latitude north", "longitude east", "The box 'big'", "none.jpg"):
        assert said.replace("north", '"north"').replace("east", '"east"') in reasons[0]
    assert "no path and no identity" in reasons[1]
    assert "2019-13-45" in reasons[1]
    assert ("latitude" in reasons[2], "longitude" in reasons[2]) == (True, True)
    assert reasons[2].count("cannot be") == 2
    assert reasons[3].count("latitude") == 1


def test_a_table_of_windows_finds_its_photos(station: Station, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path;identity\nW0\\0.jpg;Kelp\n")
    done = import_rows(station, table, images=whales, who="me")
    assert (done.enrolled, done.separator) == (1, ";")
    [photo] = station.catalogue.photos()
    assert photo.name == "0.jpg"
    station.photos.path_of(photo).unlink()
    assert import_rows(station, table, images=whales, who="me").put_back == 1


@pytest.mark.parametrize("fails", [(3, 4, 5), (20,)])
def test_a_disk_that_fills_leaves_no_photo_on_its_way(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch, fails: tuple[int, ...]
) -> None:
    counting, written = count(1), photo_files.write_new

    def filling(path: Path, data: bytes) -> None:
        if next(counting) in fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written(path, data)

    monkeypatch.setattr(photo_files, "write_new", filling)
    with pytest.raises(PhotoStoreFailed):
        import_rows(station, whales, who="me")
    assert list((station.photos.folder / INCOMING).iterdir()) == []
    assert import_rows(station, whales, who="me").individuals == 6


def test_an_import_that_is_interrupted_leaves_no_photo_on_its_way(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, encode = count(1), station.encoder.encode

    def interrupted(data: bytes, box: Box | None = None) -> Encoded:
        if next(counting) == 15:
            raise KeyboardInterrupt
        return encode(data, box)

    monkeypatch.setattr(station.encoder, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_rows(station, whales, who="me")
    assert list((station.photos.folder / INCOMING).iterdir()) == []


def test_a_photo_mended_in_its_place_is_taken_at_the_next_run(station: Station, whales: Path, tmp_path: Path) -> None:
    (tmp_path / "Kelp").mkdir()
    (tmp_path / "Kelp" / "a.jpg").write_bytes(b"\xff\xd8\xff nothing")
    assert import_rows(station, tmp_path, who="me").set_aside == 1
    shutil.copy(whales / "W0" / "0.jpg", tmp_path / "Kelp" / "a.jpg")
    again = import_rows(station, tmp_path, who="me")
    assert (again.enrolled, again.set_aside) == (1, 0)


def test_a_photo_that_was_lost_is_put_back_by_the_same_import_and_nothing_else_changes(
    station: Station, whales: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(whales / "W0", source / "W0")
    assert import_rows(station, source, who="me").put_back == 0
    before, photos = station.catalogue.counts(), list(station.catalogue.photos())
    (gone, cut, kept_away) = (station.photos.path_of(photo) for photo in photos[:3])
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:10])
    kept_away.unlink()
    (source / "W0" / photos[2].name).write_bytes((whales / "W1" / "0.jpg").read_bytes())  # another photo by its name
    done = import_rows(station, source, who="me")
    assert (done.put_back, done.enrolled, done.already, done.set_aside) == (2, 0, 4, 0)
    assert station.catalogue.counts() == before
    for photo in photos[:2]:
        station.photos.verify(photo)
    assert not kept_away.exists()
    shutil.rmtree(source / "W0")
    gone.unlink()
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\n" + "".join(f"W0/{n}.jpg,W0\n" for n in range(4)))
    assert import_rows(station, table, images=whales, who="me").already == 4
    assert gone.is_file()  # its rows are of another import, and it is read as any new row's photo is


@pytest.mark.parametrize("way", ["import", "enrol"])
def test_a_lost_photo_that_is_kept_otherwise_now_is_where_the_catalogue_says(
    settings: Settings, whales: Path, tmp_path: Path, way: str
) -> None:
    source = tmp_path / "source"
    (source / "W0").mkdir(parents=True)
    shutil.copy(whales / "W0" / "0.jpg", source / "W0")
    with open_station(settings.model_copy(update={"keep_photos": "reduced", "photo_long_side": 160})) as station:
        import_rows(station, source, who="me")
        [photo] = station.catalogue.photos()
        assert photo.kept == "reduced"
        station.photos.path_of(photo).unlink()
    with open_station(settings) as station:
        if way == "import":
            import_rows(station, source, who="me")
        else:
            enrol(station, "W0", [Source("0.jpg", Given(), path=source / "W0" / "0.jpg")], who="me")
        [photo] = station.catalogue.photos()
        assert photo.kept == "original"
        station.photos.verify(photo)


def test_one_photo_under_two_names_is_set_aside_and_named(station: Station, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/0.jpg,Kelp\nW0/0.jpg,Tide\nW0/0.jpg,Kelp\n")
    done = import_rows(station, table, images=whales, who="me")
    assert (done.enrolled, done.set_aside, done.individuals) == (1, 1, 1)
    [row] = station.catalogue.imports.rows(done.import_id, "set_aside")
    assert 'sighting 1 of "Kelp"' in (row.reason or "")


def test_rows_that_are_said_twice_are_counted_apart_and_the_sum_is_right(
    station: Station, whales: Path, tmp_path: Path
) -> None:
    table, seen = tmp_path / "rows.csv", list[Progressed]()
    table.write_text("path,identity\nW0/0.jpg,Kelp\nW0/0.jpg,Kelp\nW0/0.jpg,Kelp\nW0/1.jpg,Kelp\nW0/none.jpg,Kelp\n")
    done = import_rows(station, table, images=whales, who="me", on_progress=seen.append)
    assert (done.rows, done.repeated, done.enrolled, done.already, done.set_aside) == (5, 2, 2, 0, 1)
    assert (seen[-1].done, seen[-1].total) == (3, 3)
    again = import_rows(station, table, images=whales, who="me")
    assert (again.rows, again.repeated, again.enrolled, again.already, again.set_aside) == (5, 2, 0, 2, 1)
    table.write_text("path,identity\nW0/2.jpg,Kelp\n")  # the others left the table: they do not count
    later = import_rows(station, table, images=whales, who="me", on_progress=seen.append)
    assert (later.rows, later.repeated, later.enrolled, later.already, later.set_aside) == (1, 0, 1, 0, 0)
    assert (seen[-1].done, seen[-1].total) == (1, 1)


def test_a_path_longer_than_any_is_one_row_set_aside(station: Station, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\n" + "x" * 200_000 + ",Kelp\nW0/0.jpg,Kelp\n")
    done = import_rows(station, table, images=whales, who="me")
    assert (done.enrolled, done.set_aside) == (1, 1)
    [row] = station.catalogue.imports.rows(done.import_id, "set_aside")
    assert "200,000 characters" in (row.reason or "")
    assert len(row.reason or "") < 200


def test_a_row_that_left_the_table_is_no_longer_waited_for(station: Station, whales: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/none.jpg,Kelp\nW0/0.jpg,Kelp\n")
    assert import_rows(station, table, images=whales, who="me").set_aside == 1
    table.write_text("path,identity\nW0/0.jpg,Kelp\n")
    assert import_rows(station, table, images=whales, who="me").set_aside == 0


def test_an_import_can_be_undone(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="me")
    for event in station.catalogue.history():
        undo(station.catalogue, event.id, who="me")
    assert station.catalogue.counts().sightings == 0
    again = import_rows(station, whales, who="me")
    assert (again.enrolled, again.already, station.catalogue.counts().sightings) == (24, 0, 24)


def test_a_whole_import_is_undone_at_once_and_its_events_say_whose_they_are(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 5)
    monkeypatch.setattr(bulk, "BATCH_S", 600.0)
    enrol(station, "W5", [Source("0.jpg", Given(species="orca"), path=whales / "W5" / "0.jpg")], who="me")
    before = living(station)
    done = import_rows(station, whales, who="me")
    events = [event for event in station.catalogue.history() if event.verb == "import"]
    assert [event.what for event in events[:2]] == [
        f"imported {count} (import 1: {whales.name})" for count in ("3 photos", "5 photos")
    ]
    undo(station.catalogue, events[0].id, who="me")  # one was taken back by hand: it stays so
    undone = undo_import(station.catalogue, done.import_id, who="Ben")
    assert (undone.photos, len(undone.event_ids)) == (20, 4)
    assert undone.what == f"Undid import 1 of {whales}: 20 photos, 4 events."
    assert living(station) == before
    assert [event.who for event in station.catalogue.history(limit=4)] == ["Ben"] * 4
    with pytest.raises(EditConflict, match="Nothing that import 1"):
        undo_import(station.catalogue, 1, who="me")
    with pytest.raises(NotKnown, match="no import 7"):
        undo_import(station.catalogue, 7, who="me")
    assert import_rows(station, whales, who="me").enrolled == 23
    assert undo_import(station.catalogue, 1, who="me").photos == 23


def test_an_import_that_later_events_rest_on_is_not_undone_in_part(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 5)
    monkeypatch.setattr(bulk, "BATCH_S", 600.0)
    import_rows(station, whales, who="me")
    renamed = rename(station.catalogue, "W0", "Kelp", who="me")  # whom the first event enrolled
    before, last = living(station), station.catalogue.history(limit=1)[0].id
    with pytest.raises(EditConflict, match=rf"Undo first, from the top: event {renamed.event_id} \(rename\)"):
        undo_import(station.catalogue, 1, who="me")
    assert (living(station), station.catalogue.history(limit=1)[0].id) == (before, last)
    undo(station.catalogue, renamed.event_id, who="me")
    assert undo_import(station.catalogue, 1, who="me").photos == 24
    assert living(station) == []


def living(station: Station) -> list[tuple[str, int]]:
    return [(one.name, one.sightings) for one in station.catalogue.individuals()]


def test_what_was_deleted_after_an_import_does_not_come_back_with_it(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="me")
    delete_sightings(station.catalogue, [1, 2], who="me")
    again = import_rows(station, whales, who="me")
    assert (again.enrolled, station.catalogue.counts().sightings) == (0, 22)


def test_progress_counts_every_row_once(station: Station, whales: Path) -> None:
    seen: list[Progressed] = []
    import_rows(station, whales, who="me", on_progress=seen.append)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 24, 24)


def test_days_are_taken_from_names_where_neither_table_nor_camera_tells(station: Station, tmp_path: Path) -> None:
    import cv2

    (tmp_path / "Kelp" / "2019-08-05").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "Kelp" / "2019-08-05" / "a.png"), animals.draw(0, 0, size=(320, 240)))
    import_rows(station, tmp_path, who="me")
    assert str(station.catalogue.sighting(1).taken_on) == "2019-08-05"


def test_a_photo_whose_camera_was_ahead_of_time_is_set_aside_and_nobody_is_made_of_it(station: Station, tmp_path: Path) -> None:
    (tmp_path / "Kelp").mkdir()
    (tmp_path / "Kelp" / "a.jpg").write_bytes(from_the_future(0, 0).data)
    assert import_rows(station, tmp_path, who="me").set_aside == 1
    assert station.catalogue.individuals() == []
    assert station.catalogue.counts().events == 0


def test_a_source_that_is_no_folder_and_no_table_is_refused_and_nothing_is_begun(station: Station, tmp_path: Path) -> None:
    with pytest.raises(TableRefused):
        import_rows(station, tmp_path / "nothing.csv", who="me")
    assert station.catalogue.imports.all() == []
