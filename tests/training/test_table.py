"""Tables are read in each shape in which they come; a bad row is named by its line, and the rest is read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

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
    "no-path-column": ("photo,identity\na.jpg,w\n", "no column for the path"),
    "no-identity-column": ("path,who\na.jpg,w\n", "no column for the identity"),
    "doubled-column": ("path,identity,identity\na,b,c\n", "two columns named identity"),
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
    "no-identity": ("a.jpg,,,", "the identity is empty"),
    "date": ("a.jpg,w1,2019-13-01,", "'2019-13-01' is not one"),
    "box": ("a.jpg,w1,,1 2 0 4", "'1 2 0 4' is not one"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_bad_row_is_named_by_its_line_and_the_rest_is_read(tmp_path: Path, kind: str) -> None:
    text, said = ROWS[kind]
    table = open_table(written(tmp_path, f"path,identity,date,box\ngood.jpg,w0,,\n{text}\nlast.jpg,w2,,\n"))
    assert [r.path for r in table.rows] == ["good.jpg", "last.jpg"]
    (finding,) = table.findings
    assert (finding.severity, finding.kind, finding.line) == ("error", kind, 3)
    assert said in str(finding)


def test_annotation_of_an_unlisted_image_is_a_finding(tmp_path: Path) -> None:
    given = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "name": "w"}, {"image_id": 2, "name": "w"}],
    }
    table = open_table(written(tmp_path, json.dumps(given), "c.json"))
    assert [f.kind for f in table.findings] == ["no-image"]
