"""What an import says of its refused rows, and that nothing a person has mended is lost."""

from __future__ import annotations

import csv
import errno
import os
import shlex
import shutil
from pathlib import Path

import pytest
from said import Run

from vector_db import rebuild


def test_set_aside_rows_are_written_down_and_the_way_back_is_said(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\nW0/none.jpg,Kelp\n")
    done = run("import", table, "--images", photos, "--set-aside", tmp_path / "aside.csv")
    assert done.code == 1
    assert "none.jpg" in (tmp_path / "aside.csv").read_text()
    assert f"flukeprint import {tmp_path / 'aside.csv'} --images {photos}" in done.err


def test_import_that_finds_no_room_for_the_fast_layout_says_so_after_all_else(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUKEPRINT_CODES_ABOVE", "3")
    usage = shutil.disk_usage(photos)
    monkeypatch.setattr(rebuild.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    done = run("import", photos)
    assert (done.code, "9 enrolled" in done.out) == (0, True)
    assert "1 MB are free" in done.err


def test_a_row_that_a_comma_has_shifted_is_set_aside_by_itself_and_mended_in_the_csv(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    table, aside = tmp_path / "rows.csv", tmp_path / "aside.csv"
    table.write_text("path,identity,notes,species\nW0/0-0.jpg,Scar, Old,calm,orca\nW1/1-0.jpg,Tide,,orca,,\n")
    done = run("import", table, "--images", photos, "--set-aside", aside, "--json")
    assert (done.code, done.json["enrolled"], done.json["set_aside"]) == (1, 1, 1)
    assert [one["name"] for one in run("individuals", "--json").json["individuals"]] == ["Tide"]
    (row,) = csv.DictReader(aside.read_text().splitlines())
    assert row["as_written"] == "W0/0-0.jpg,Scar, Old,calm,orca"
    assert "more cells than there are headings" in row["reason"]
    assert run("import", aside, "--images", photos).code == 1  # untouched, it is as wrong as before
    with aside.open("w") as mended:
        writer = csv.DictWriter(mended, row)
        writer.writeheader()
        writer.writerow(row | {"identity": "Scar, Old", "species": "orca", "as_written": ""})
    assert run("import", aside, "--images", photos).code == 0
    assert {(one["name"], one["species"]) for one in run("individuals", "--json").json["individuals"]} == {
        ("Scar, Old", "orca"),
        ("Tide", "orca"),
    }


def test_columns_and_photos_that_are_passed_over_are_told(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("Photo,Name,Date taken,Weather\nW0/0-0.jpg,Kelp,2019-07-31,calm\n")
    done = run("import", table, "--images", photos)
    assert done.code == 0
    assert "Columns that were not read: Weather. Of what none says: species may be called species, species_name" in done.err
    assert run("show", "Kelp", "--json").json["sightings"][0]["taken_on"] == "2019-07-31"
    told = run("import", table, "--images", photos, "--json").json
    assert (told["columns_left_out"], told["columns_lacking"][:2]) == (["Weather"], ["species", "encounter"])
    folder = tmp_path / "whales"
    shutil.copytree(photos, folder)
    (folder / "W0" / "a.heic").touch()
    shutil.copy(photos / "W0" / "0-0.jpg", folder / "loose.jpg")
    assert f"Left out of {folder}: 1 .heic (save as JPEG); 1 photo beside the folders." in run("import", folder).err
    told = run("import", folder, "--json").json["left_out"]
    assert told == {"kinds": {".heic": 1}, "loose": 1, "linked_folders": 0}


def test_rows_that_name_no_animal_are_set_aside(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("Image,Id\nW0/0-0.jpg,new_whale\nW1/1-0.jpg,new_whale\nW2/2-0.jpg,w_1\n")
    done = run("import", table, "--images", photos, "--json").json
    assert (done["enrolled"], done["set_aside"]) == (1, 2)
    assert [one["name"] for one in run("individuals", "--json").json["individuals"]] == ["w_1"]


def test_an_import_says_how_it_is_taken_back(run: Run, photos: Path) -> None:
    said = run("import", photos).out.strip().splitlines()[-1]
    assert said == "To take this import back: flukeprint undo --import 1"
    undone = run("undo", "--import", 1, "--json").json
    assert (undone["import_id"], undone["photos"], undone["what"]) == (1, 9, f"Undid import 1 of {photos}: 9 photos, 1 event.")
    assert run("individuals", "--json").json["individuals"] == []
    assert run("undo", "--import", 1).code == 1
    assert (run("undo").code, run("undo", 1, "--import", 1).code) == (2, 2)


def test_the_command_that_is_said_for_mended_rows_can_be_typed(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my whales"
    shutil.copytree(photos, folder)
    (folder / "W0" / "cut short.jpg").write_bytes((photos / "W0" / "0-0.jpg").read_bytes()[:3000])
    words = shlex.split(run("import", folder).err.strip().partition("then: flukeprint ")[2])
    shutil.copy(photos / "W0" / "0-0.jpg", folder / "W0" / "cut short.jpg")
    assert words[0] == "import"
    assert run(*words).code == 0


def test_mended_rows_are_not_written_over(run: Run, photos: Path, tmp_path: Path) -> None:
    table, aside = tmp_path / "rows.csv", tmp_path / "data" / "set-aside"
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\nW0/none.jpg,Kelp\n")
    importing = ("import", table, "--images", photos)
    assert run(*importing, "--json").json["set_aside_csv"] == str(aside / "import-1.csv")
    assert run(*importing, "--json").json["set_aside_csv"] == str(aside / "import-1.csv")  # nobody had touched it
    mended = (aside / "import-1.csv").read_text().replace("none.jpg", "0-1.jpg")
    (aside / "import-1.csv").write_text(mended)
    for _ in range(2):
        again = run(*importing)
        assert f"mend them in {aside / 'import-1 (2).csv'} ({aside / 'import-1.csv'} was changed" in again.err
        assert (aside / "import-1.csv").read_text() == mended
        assert "none.jpg" in (aside / "import-1 (2).csv").read_text()
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\n")
    assert run(*importing).code == 0
    assert [path.name for path in aside.iterdir()] == ["import-1.csv"]
    assert run("import", aside / "import-1.csv", "--images", photos).code == 0


def test_rows_set_aside_are_a_table_that_spreadsheets_read_as_the_one_they_came_from(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    table, aside = tmp_path / "rows.csv", tmp_path / "aside.csv"
    table.write_text("path;identity;date\nW0/0-0.jpg;Kelp;\nW1/1-0.jpg;Brönn;2019-13-45\n")
    assert run("import", table, "--images", photos, "--set-aside", aside).code == 1
    text = aside.read_bytes()
    assert text.startswith(b"\xef\xbb\xbfrow;path;identity;")
    (row,) = csv.DictReader(text.decode("utf-8-sig").splitlines(), delimiter=";")
    assert (row["row"], row["identity"]) == ("2", "Brönn")
    aside.write_bytes(text.replace(b"2019-13-45", b"2019-12-31"))
    mended = run("import", aside, "--images", photos, "--json")
    assert (mended.code, mended.json["enrolled"], mended.json["columns_left_out"]) == (0, 1, [])


def test_rows_set_aside_that_were_cut_short_are_no_persons_work(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, aside = tmp_path / "rows.csv", tmp_path / "data" / "set-aside"
    table.write_text("path,identity\nW0/none.jpg,Kelp\n")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        assert "No space left" in run("import", table, "--images", photos).err
    assert list(aside.iterdir()) == []
    for name in ("none.jpg", "nothing.jpg"):
        table.write_text(f"path,identity\nW0/{name},Kelp\n")
        assert run("import", table, "--images", photos, "--json").json["set_aside_csv"] == str(aside / "import-1.csv")
        assert name in (aside / "import-1.csv").read_text("utf-8-sig")
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\n")
    assert run("import", table, "--images", photos).code == 0
    assert list(aside.iterdir()) == []


def test_images_of_a_folder_and_images_that_are_not_there_are_refused_at_once(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = run("import", photos, "--images", photos)
    assert (folder.code, "Leave --images out" in folder.err) == (2, True)
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\n")
    for images in (tmp_path / "none", table):
        lost = run("import", table, "--images", images)
        assert (lost.code, f"--images {images} is no folder" in lost.err) == (1, True)
    assert run("import", table, "--images", photos, "--json").json["set_aside"] == 0


def test_the_table_itself_is_no_place_for_its_refused_rows(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/none.jpg,Kelp\n")
    before = table.read_bytes()
    (tmp_path / "link.csv").symlink_to(table)
    for place in (table, tmp_path / "link.csv"):
        refused = run("import", table, "--images", photos, "--set-aside", place)
        assert (refused.code, "name another file" in refused.err) == (1, True)
    assert table.read_bytes() == before
    assert run("import", table, "--images", photos, "--set-aside", "/dev/null").code == 1
    assert not Path("/dev/null (2)").exists()


def test_a_folder_whose_name_is_no_text_is_set_aside_and_can_be_read_of(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "foldx"
    for name in ("X\udcfe", "Kelp"):
        (folder / name).mkdir(parents=True)
    shutil.copy(photos / "W0" / "0-0.jpg", folder / "X\udcfe" / "photo.jpg")
    shutil.copy(photos / "W1" / "1-0.jpg", folder / "Kelp" / "photo\udcff.jpg")  # whose name is enrolled, spelled out
    done = run("import", folder, "--json")
    assert (done.code, done.json["enrolled"], done.json["set_aside"]) == (1, 1, 1)
    assert "X\\udcfe/photo.jpg" in Path(done.json["set_aside_csv"]).read_text("utf-8")
