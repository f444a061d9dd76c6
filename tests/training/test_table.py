"""Tables are read in each shape in which they come; a bad row is named by its line, and the rest is read."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from encoder.values import Box
from training.errors import TableRefused
from training.rows import Row
from training.table import open_table, write_csv


def written(folder: Path, text: str, name: str = "t.csv") -> Path:
    target = folder / name
    target.write_text(text, "utf-8")
    return target


def test_plain_table_gives_all_that_it_knows(tmp_path: Path) -> None:
    text = 'path,identity,species,encounter,viewpoint,date,box\na.jpg,w1,beluga,e1,top,2019-07-31 10:11:12,"1 2 30 40"\n'
    (row,) = open_table(written(tmp_path, text)).rows
    assert row == Row("a.jpg", "w1", "beluga", "e1", "top", date(2019, 7, 31), Box(1, 2, 30, 40), 2)


def test_happywhale_table_is_read_and_its_misspellings_are_mended(tmp_path: Path) -> None:
    text = "image,species,individual_id\n0a.jpg,kiler_whale,x1\n0b.jpg,bottlenose_dolpin,x2\n"
    rows = open_table(written(tmp_path, text)).rows
    assert [(r.path, r.identity, r.species) for r in rows] == [
        ("0a.jpg", "x1", "killer_whale"),
        ("0b.jpg", "x2", "bottlenose_dolphin"),
    ]


def test_humpback_table_has_its_unnamed_whales_as_new(tmp_path: Path) -> None:
    rows = open_table(written(tmp_path, "Image,Id\na.jpg,w_1\nb.jpg,new_whale\n")).rows
    assert [(r.path, r.identity) for r in rows] == [("a.jpg", "w_1"), ("b.jpg", "new_individual")]


def test_headings_and_separators_are_those_that_an_import_knows(tmp_path: Path) -> None:
    rows = open_table(written(tmp_path, "Photo name;Whale ID;id;Date taken (UTC)\na.jpg;w_1;7;2019-07-31\n")).rows
    assert rows == (Row("a.jpg", "w_1", date=date(2019, 7, 31), line=2),)
    unnamed = open_table(written(tmp_path, "path\tname\nb.jpg\tNew_Whale\n")).rows
    assert [one.identity for one in unnamed] == ["new_individual"]


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=;\n", "sep=;;;\n"])
def test_the_line_by_which_a_spreadsheet_is_told_the_separator_is_no_row(first: str, tmp_path: Path) -> None:
    table = open_table(written(tmp_path, f"{first}path;identity\na.jpg;w, 1\nb.jpg;\n"))
    assert [(r.path, r.identity, r.line) for r in table.rows] == [("a.jpg", "w, 1", 3)]
    assert [one.line for one in table.findings] == [4]


def test_wildbook_row_is_one_encounter_of_several_photos(tmp_path: Path) -> None:
    header = (
        "Encounter.mediaAsset0,Encounter.mediaAsset1,Encounter.mediaAsset0.quality,Encounter.genus,Encounter.specificEpithet,"
        "Encounter.year,Encounter.month,Encounter.day,Encounter.individualID\n"
    )
    rows = open_table(
        written(tmp_path, header + "a.jpg,b.jpg,3,Orcinus,orca,2021,7,4,K12\nc.jpg,,2,Orcinus,orca,2021,7,5,K12\n")
    ).rows
    assert [r.path for r in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    assert {r.species for r in rows} == {"Orcinus orca"}
    assert [r.date for r in rows] == [date(2021, 7, 4), date(2021, 7, 4), date(2021, 7, 5)]
    assert rows[0].encounter == rows[1].encounter != rows[2].encounter


def test_coco_boxes_and_names_are_read(tmp_path: Path) -> None:
    given = {
        "images": [{"id": 7, "file_name": "a.jpg", "date_captured": "2018/08/30 00:11"}],
        "categories": [{"id": 1, "name": "beluga"}],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [0, 5, 10.4, 20], "name": "w9", "viewpoint": "top"}],
    }
    (row,) = open_table(written(tmp_path, json.dumps(given), "c.json")).rows
    assert row == Row("a.jpg", "w9", "beluga", None, "top", date(2018, 8, 30), Box(0, 5, 10, 20), 1)


@pytest.mark.parametrize(
    ("box", "read"),
    [
        ("0.6 0.6 9.4 9.4", Box(1, 1, 9, 9)),
        ("0.5,10.5,99.5,89.5", Box(0, 10, 100, 90)),
        ("[-0.2, 0, 10.4, 3]", Box(0, 0, 10, 3)),
    ],
)
def test_a_box_that_ends_where_the_photo_does_never_ends_outside(tmp_path: Path, box: str, read: Box) -> None:
    (row,) = open_table(written(tmp_path, f'path,identity,box\na.jpg,w,"{box}"\n')).rows
    assert row.box == read


def test_of_two_columns_of_names_the_one_that_says_something_is_read(tmp_path: Path) -> None:
    text = "path,Encounter.individualID,MarkedIndividual.individualID\na.jpg,w1,w1\nb.jpg,,w2\nc.jpg,w3,\n"
    assert [row.identity for row in open_table(written(tmp_path, text)).rows] == ["w1", "w2", "w3"]


def test_folder_per_individual_with_folders_of_encounters(tmp_path: Path) -> None:
    for name in ("w1/a.jpg", "w1/day2/b.JPG", "w2/c.png", "stray.jpg", "w2/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = open_table(tmp_path).rows
    assert [(r.path, r.identity, r.encounter) for r in rows] == [
        ("w1/a.jpg", "w1", None),
        ("w1/day2/b.JPG", "w1", "w1/day2"),
        ("w2/c.png", "w2", None),
    ]


def test_written_table_is_read_back_the_same(tmp_path: Path) -> None:
    rows = (Row("a, b.jpg", 'w "1"', "x", "e", "top", date(2020, 1, 2), Box(0, 0, 5, 6), 2), Row("ü.jpg", "w2", line=3))
    write_csv(rows, tmp_path / "t.csv")
    assert open_table(tmp_path / "t.csv").rows == rows


def test_beluga_table_is_read_whole(shared: Path) -> None:
    table = open_table(shared / "data" / "beluga" / "metadata.csv")
    assert len(table.rows) == 4625
    assert not table.findings
    assert len({r.identity for r in table.rows}) == 788
    assert all(r.date and r.encounter and r.viewpoint for r in table.rows)


WHOLE = {
    "empty": ("", "is empty"),
    "header-only": ("path,identity\n", "no row that can be used"),
    "no-path-column": ("frame,identity\na.jpg,w\n", "no column for the path"),
    "no-identity-column": ("path,who\na.jpg,w\n", "no column for the identity"),
    "doubled-column": ("path,identity,identity\na,b,c\n", "two columns named identity"),
    "open-quote": ('path,identity\na.jpg,w1\nb.jpg,"w2\nc.jpg,w3\n', "row of line 3 that is never closed"),
    "open-quote-last": ('path,identity\na.jpg,w1\nb.jpg,"w2', "row of line 3 that is never closed"),
    "open-quote-header": ('path,"identity\na.jpg,w1\n', "row of line 1 that is never closed"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_table_that_is_none_is_refused_with_what_to_do(tmp_path: Path, kind: str) -> None:
    text, said = WHOLE[kind]
    with pytest.raises(TableRefused, match=said):
        open_table(written(tmp_path, text))


def test_missing_binary_and_broken_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match="No such file"):
        open_table(tmp_path / "absent.csv")
    (tmp_path / "b.csv").write_bytes(b"path,identity\n\xff\xfe,x\n")
    with pytest.raises(TableRefused, match="not UTF-8"):
        open_table(tmp_path / "b.csv")
    with pytest.raises(TableRefused, match="not JSON"):
        open_table(written(tmp_path, "{", "c.json"))
    with pytest.raises(TableRefused, match="not COCO"):
        open_table(written(tmp_path, '{"images": []}', "d.json"))
    (tmp_path / "hollow").mkdir()
    with pytest.raises(TableRefused, match="no photos in folders"):
        open_table(tmp_path / "hollow")


ROWS = {
    "ragged": ("a.jpg,w1", "2 cells where the header has 4"),
    "no-path": (",w1,,", "the path is empty"),
    "path-outside": ("../a.jpg,w1,,", "leads out of the folder"),
    "not-text": ("a\0.jpg,w1,,", "holds what is no letter"),
    "no-identity": ("a.jpg,,,", "the identity is empty"),
    "date": ("a.jpg,w1,2019-13-01,", "'2019-13-01' is not one"),
    "date (an interval)": ("a.jpg,w1,2019-07-31 to 2020-09-01,", "'2019-07-31 to 2020-09-01' is not one"),
    "date (a digit too many)": ("a.jpg,w1,2019-07-311,", "'2019-07-311' is not one"),
    "box": ("a.jpg,w1,,1 2 0 4", "'1 2 0 4' is not one"),
    "box (infinite)": ("a.jpg,w1,,1 2 inf 4", "'1 2 inf 4' is not one"),
    "long": (f"{'a' * 200_000}.jpg,w1,,", "the path has 200,004 characters"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_bad_row_is_named_by_its_line_and_the_rest_is_read(tmp_path: Path, kind: str) -> None:
    text, said = ROWS[kind]
    table = open_table(written(tmp_path, f"path,identity,date,box\ngood.jpg,w0,,\n{text}\nlast.jpg,w2,,\n"))
    assert [r.path for r in table.rows] == ["good.jpg", "last.jpg"]
    (finding,) = table.findings
    assert (finding.severity, finding.kind, finding.line) == ("error", kind.partition(" (")[0], 3)
    assert said in finding.message


def test_a_name_has_one_spelling_and_a_path_that_of_its_folder(tmp_path: Path) -> None:
    composed, apart = "Ré", "Re\u0301"
    (tmp_path / "t.csv").write_text(
        f"path,identity,encounter\n{apart}.jpg,{apart},{apart}\n{composed}.jpg,{composed},{composed}\n"
    )
    one, two = open_table(tmp_path / "t.csv").rows
    assert (one.identity, one.encounter) == (two.identity, two.encounter) == (composed, composed)
    assert (one.path, two.path) == (f"{apart}.jpg", f"{composed}.jpg")


def test_annotation_of_an_unlisted_image_is_a_finding(tmp_path: Path) -> None:
    given = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "name": "w"}, {"image_id": 2, "name": "w"}],
    }
    table = open_table(written(tmp_path, json.dumps(given), "c.json"))
    assert [f.kind for f in table.findings] == ["no-image"]


@pytest.mark.parametrize("text", ["./a.jpg", "a.jpg", ".\\a.jpg", "x/../a.jpg", "p//a.jpg"])
def test_a_photo_has_one_path_however_it_is_spelt(tmp_path: Path, text: str) -> None:
    table = open_table(written(tmp_path, f"path,identity\n{text},w1\nb.jpg,w2\n"))
    expected = {"x/../a.jpg": [], "p//a.jpg": ["p/a.jpg"]}.get(text, ["a.jpg"])
    assert [row.path for row in table.rows] == [*expected, "b.jpg"]


DATES = {
    "2017:07:10": date(2017, 7, 10),
    "2017:07:10 20:38:36": date(2017, 7, 10),
    "2018/08/30 00:11": date(2018, 8, 30),
    "2019-07-31T10:11:12.5Z": date(2019, 7, 31),
    "2019-07-31T10:11:12+02:00": date(2019, 7, 31),
    "20190731": date(2019, 7, 31),
    "0000-00-00 00:00:00": None,
    "0000:00:00 00:00:00": None,
    "    :  :     :  :  ": None,
}


@pytest.mark.parametrize("text", DATES)
def test_dates_are_taken_as_cameras_and_databases_write_them(tmp_path: Path, text: str) -> None:
    given = {"images": [{"id": 1, "file_name": "a.jpg", "date_captured": text}], "annotations": [{"image_id": 1, "name": "w"}]}
    (row,) = open_table(written(tmp_path, json.dumps(given), "c.json")).rows
    assert row.date == DATES[text]


IMAGE = {"id": 1, "file_name": "a.jpg"}
ODD: dict[str, tuple[Any, str]] = {
    "null": (None, "images is missing"),
    "a list": ([1], "images is missing"),
    "annotations null": ({"images": [], "annotations": None}, "None for annotations"),
    "annotations of numbers": ({"images": [IMAGE], "annotations": [1]}, "annotation 1 is 1: expected an object"),
    "images of numbers": ({"images": [1], "annotations": [{"image_id": 1}]}, "which the file does not list"),
    "image_id a list": ({"images": [IMAGE], "annotations": [{"image_id": [1], "name": "w"}]}, "is of image"),
    "bbox a number": ({"images": [IMAGE], "annotations": [{"image_id": 1, "name": "w", "bbox": 5}]}, "the box '5' is not one"),
    "identity a list": ({"images": [IMAGE], "annotations": [{"image_id": 1, "name": ["w"]}]}, "the identity of annotation 1"),
    "identity no text": ({"images": [IMAGE], "annotations": [{"image_id": 1, "name": "w\udcff"}]}, "holds what is no letter"),
    "file_name null": (
        {"images": [{"id": 1, "file_name": None}], "annotations": [{"image_id": 1, "name": "w"}]},
        "path is empty",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_coco_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    given, said = ODD[kind]
    with pytest.raises(TableRefused) as refused:
        open_table(written(tmp_path, json.dumps(given), "c.json"))
    assert said in str(refused.value)


def test_coco_without_categories_and_with_an_individual_called_0_is_read(tmp_path: Path) -> None:
    given = {"images": [IMAGE], "categories": None, "annotations": [{"image_id": 1, "category_id": 1, "individual_id": 0}]}
    (row,) = open_table(written(tmp_path, json.dumps(given), "c.json")).rows
    assert (row.identity, row.species) == ("0", None)


def test_coco_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match="nested too deeply"):
        open_table(written(tmp_path, "[" * 100_000 + "]" * 100_000, "c.json"))


def test_what_systems_hide_is_left_out_and_what_somebody_meant_is_said(tmp_path: Path) -> None:
    hidden = ("__MACOSX/w1/._a.jpg", ".thumbs/a.jpg", "w1/.thumbs/a.jpg", "w1/._a.jpg", "Thumbs.db")
    for name in ("w1/a.jpg", "w2/b.jpg", "loose.jpg", "w1/c.HEIC", "w2/d.gif", "w1/notes.txt", *hidden):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set" / "w3").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "w1" / "broken.jpg").symlink_to(tmp_path / "none.jpg")
    table = open_table(tmp_path / "set")
    assert [row.path for row in table.rows] == [
        "w1/a.jpg",
        "w1/broken.jpg",
        "w2/b.jpg",
    ]  # looking at photos says what is broken
    assert {(f.severity, f.kind, f.path) for f in table.findings} == {
        ("warning", "loose", "loose.jpg"),
        ("warning", "unread-kind", "w1/c.HEIC"),
        ("warning", "unread-kind", "w2/d.gif"),
        ("warning", "link", "w3"),
    }


def test_a_file_name_that_is_no_text_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "w1").mkdir()
    for name in (b"a.jpg", b"b\xff.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path / "w1") + b"/" + name)).touch()
    table = open_table(tmp_path)
    assert [(f.severity, f.kind, f.path) for f in table.findings] == [("error", "not-text", "w1/b\udcff.jpg")]
    write_csv(table.rows, tmp_path / "t.csv")
    assert [row.path for row in open_table(tmp_path / "t.csv").rows] == ["w1/a.jpg"]
