"""Where rows come from: folders and tables as people have them, and what is refused as neither."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import TableRefused
from indexer.tables import COLUMNS, OURS, LeftOut, Row, as_csv, flaw, photo_at, read_folder, read_table, rows_of
from settings import ROOT


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_folder_gives_a_row_a_photo_named_after_its_first_folder(tmp_path: Path) -> None:
    for name in ("Kelp/a.jpg", "Kelp/2019/b.PNG", "Tide/c.jpeg", "Tide/notes.txt", "Tide/.hidden.jpg", "loose.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = [(row.number, row.given["identity"], row.given["path"]) for row in read_folder(tmp_path)]
    assert rows == [(1, "Kelp", "Kelp/2019/b.PNG"), (2, "Kelp", "Kelp/a.jpg"), (3, "Tide", "Tide/c.jpeg")]


def test_what_is_hidden_in_a_folder_is_no_photo_and_what_else_is_passed_over_is_counted(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "whales", tmp_path / "elsewhere"
    hidden = (".Trash-1000/files/a.jpg", "Kelp/.thumbnails/a.jpg", "Kelp/__MACOSX/._a.jpg", "Kelp/.a.heic", ".b.jpg")
    unread = ("Kelp/a.HEIC", "Kelp/2019/b.cr2", "Kelp/2019/c.cr2", "d.nef", "Kelp/notes.txt")
    for name in ("Kelp/a.jpg", "loose.jpg", "other.png", *hidden, *unread):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    elsewhere.mkdir()
    (elsewhere / "c.jpg").touch()
    (folder / "Kelp" / "2020").symlink_to(elsewhere)
    (folder / "Tide").symlink_to(elsewhere)  # an individual's folder may be one
    read = read_folder(folder)
    assert [row.given["path"] for row in read] == ["Kelp/a.jpg", "Tide/c.jpg"]
    assert read.left_out == LeftOut({".cr2": 2, ".heic": 1, ".nef": 1}, loose=2, linked_folders=1)
    assert str(read.left_out) == "2 .cr2, 1 .heic, 1 .nef (save as JPEG); 2 photos beside the folders; 1 linked folder"


def test_a_folder_without_anything_that_is_read_says_what_it_has_instead(tmp_path: Path) -> None:
    (tmp_path / "Kelp").mkdir()
    (tmp_path / "Kelp" / "a.heic").touch()
    with pytest.raises(TableRefused, match=r"1 \.heic \(save as JPEG\)"):
        read_folder(tmp_path)


def test_a_folder_of_loose_photos_is_refused_with_the_layout_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(TableRefused, match="<individual>/<photo>"):
        list(read_folder(tmp_path))


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user reaches: pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from indexer.errors import TableRefused
from indexer.tables import read_folder
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(len(list(read_folder(Path(sys.argv[1])))))
except TableRefused as refused:
    print(refused)
"""


@pytest.mark.parametrize("closed", [".", "Tide", "Tide/2019"])
def test_a_folder_that_may_not_be_read_is_refused_and_not_passed_over(open_to_all: Path, closed: str) -> None:
    folder = open_to_all / "whales"
    for name in ("Kelp/a.jpg", "Tide/2019/b.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / closed).chmod(0)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # it could not be written
    command = [sys.executable, "-c", UNPRIVILEGED, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    (folder / closed).chmod(0o755)
    assert (done.stderr, done.returncode) == ("", 0)
    assert re.search(
        rf"{re.escape(str(folder / closed))} cannot be read: Permission denied\. Nothing was imported", done.stdout
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_table_is_read_whatever_its_separator_and_encoding(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [["identity", "path", "species"], ["Brönn", "a.jpg", "orca"]]
    path = table(tmp_path, "\r\n".join(separator.join(line) for line in lines), encoding)
    assert list(read_table(path)) == [Row(1, {"path": "a.jpg", "identity": "Brönn", "species": "orca"})]


def test_headings_are_known_however_they_are_written_and_those_that_are_not_read_are_told(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Photo,Name,Date taken,Latitude (deg),Longitude [deg],Species name,Side,Notes,individual_id,,Row,Reason\n"
        "a.jpg,Kelp,2019-07-31,64.1,-21.9,orca,left,calm,,7,3,cut short\n",
    )
    read = read_table(path)
    assert [dict(row.given) for row in read] == [
        {"path": "a.jpg", "date": "2019-07-31", "lat": "64.1", "lon": "-21.9", "species": "orca", "viewpoint": "left"}
    ]
    assert read.columns_left_out == ("Name", "Notes")  # individual_id is read before it
    assert read.columns_lacking == ("encounter",)
    everything = [name.replace("_", odd) for name in ("date_taken", "species_name") for odd in ("_", " ", "-", "", " (x) ")]
    for name in everything:
        (row,) = read_table(table(tmp_path, f"path,identity,{name.upper()}\na.jpg,Kelp,x\n"))
        assert row.given.keys() - {"path", "identity"} == {name[:4].replace("spec", "species")}


@pytest.mark.parametrize("name", ["new_whale", "New_Whale", "new_individual"])
def test_what_a_set_calls_all_that_nobody_knows_is_no_animal(tmp_path: Path, name: str) -> None:
    unnamed, named = read_table(table(tmp_path, f"Image,Id\na.jpg,{name}\nb.jpg,w_1\n"))
    assert "This row names no animal" in (flaw(unnamed.given) or "")
    assert flaw(named.given) is None


def test_happywhales_table_is_read_and_its_spelling_mended(tmp_path: Path) -> None:
    path = table(tmp_path, "image,species,individual_id\n0.jpg,kiler_whale,ab12\n1.jpg,bottlenose_dolpin,cd34\n")
    assert [row.given["species"] for row in read_table(path)] == ["killer_whale", "bottlenose_dolphin"]
    assert [row.given["identity"] for row in read_table(path)] == ["ab12", "cd34"]


def test_short_rows_and_blank_lines_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = table(tmp_path, "path,identity,date\na.jpg\n\n,,\nb.jpg,Kelp,2019-01-01,, \n")
    assert [(row.number, dict(row.given)) for row in read_table(path)] == [
        (1, {"path": "a.jpg"}),
        (4, {"path": "b.jpg", "identity": "Kelp", "date": "2019-01-01"}),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_with_more_cells_than_headings_keeps_all_that_was_written_and_says_so(tmp_path: Path, separator: str) -> None:
    text = 'path,identity,species\na.jpg,Scar, Old,"orca, of the north"\nb.jpg,Kelp,orca\n'
    lines = [line.replace(",", separator) for line in text.splitlines()]
    shifted, sound = read_table(table(tmp_path, "\n".join(lines)))
    cells = next(csv.reader([shifted.given["as_written"]], delimiter=separator))
    assert cells == ["a.jpg", "Scar", " Old", f"orca{separator} of the north"]
    assert "more cells than there are headings" in (flaw(shifted.given) or "")
    assert (dict(sound.given), flaw(sound.given)) == ({"path": "b.jpg", "identity": "Kelp", "species": "orca"}, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("photo,colour\na.jpg,red\n", "identity"),
        ("", "path and identity"),
        ("path,identity\n", "no rows"),
        ('path,identity,notes\na.jpg,Kelp,"he said\n' + "b.jpg,Kelp,\n" * 20_000, "quotation mark was opened and not closed"),
        (
            'path,identity,notes\na.jpg,Kelp,"5 ft scar\nb.jpg,Tide,x\nc.jpg,Reef,y\n',
            "line 2: a quotation mark was opened",
        ),
        ('path,identity,notes\na.jpg,Kelp,"scar\nb.jpg,Tide,x\nc.jpg,Reef,"y"\n', "a quotation mark was opened"),
        ('path,identity\na.jpg,Kelp\nb.jpg,"Tide', "a quotation mark was opened"),
    ],
)
def test_what_is_no_such_table_is_refused_saying_what_is_missing(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableRefused, match=said):
        list(read_table(table(tmp_path, text)))


def test_a_note_of_several_lines_is_no_open_quotation_mark(tmp_path: Path) -> None:
    rows = list(
        read_table(table(tmp_path, 'path,identity,date\na.jpg,"Kelp\n(old, see k.jpg)\nk.jpg",2019-07-02\nb.jpg,Tide,\n'))
    )
    assert [row.given["path"] for row in rows] == ["a.jpg", "b.jpg"]


def test_a_spreadsheet_file_and_a_missing_one_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK\x03\x04\x00\x00")
    with pytest.raises(TableRefused, match="save the sheet as CSV"):
        list(read_table(tmp_path / "rows.xlsx"))
    with pytest.raises(TableRefused, match="does not exist"):
        list(read_table(tmp_path / "none.csv"))


def test_one_long_cell_is_one_row(tmp_path: Path) -> None:
    path = table(tmp_path, "path,identity\na.jpg," + "y" * 200_000 + "\nb.jpg,Kelp\n")
    assert [(row.given["path"], len(row.given["identity"])) for row in read_table(path)] == [("a.jpg", 200_000), ("b.jpg", 4)]


@pytest.mark.parametrize("before", ["\n", "\r\n  \r\n", "sep=;\r\n", '"sep=;"\n', "\nSEP=;\n\n"])
def test_what_spreadsheets_write_before_the_heading_is_passed_over(tmp_path: Path, before: str) -> None:
    path = table(
        tmp_path, f"{before}path;identity;a,b,c,d\na.jpg;Kelp;\n".replace("a,b,c,d", "a,b,c,d" if "=" in before else "x")
    )
    assert [dict(row.given) for row in read_table(path)] == [{"path": "a.jpg", "identity": "Kelp"}]


def test_a_first_column_without_a_name_is_no_blank_line(tmp_path: Path) -> None:
    path = table(tmp_path, "\tpath\tidentity\n0\ta.jpg\tKelp\n")
    assert [dict(row.given) for row in read_table(path)] == [{"path": "a.jpg", "identity": "Kelp"}]


def test_a_pipe_a_device_and_a_table_beyond_all_measure_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with (tmp_path / "huge.csv").open("wb") as huge:
        huge.truncate(2 << 30)
    for path, said in (
        (tmp_path / "pipe.csv", "device or pipe"),
        (Path("/dev/zero"), "device or pipe"),
        (tmp_path / "huge.csv", "2,147,483,648 bytes"),
    ):
        with pytest.raises(TableRefused, match=said):
            list(read_table(path))


def test_a_name_that_is_no_text_is_spelled_out_among_the_rows_set_aside() -> None:
    text = as_csv(iter([(1, {"path": "X\udcfe/photo.jpg", "identity": "X\udcfe"}, "no text: X\udcfe")]))
    assert text.encode() == text.encode("ascii")
    assert "X\\udcfe/photo.jpg" in text


def test_a_mended_row_is_a_new_row_and_an_equal_one_is_not() -> None:
    assert Row(1, {"path": "a", "identity": "b"}).key == Row(7, {"identity": "b", "path": "a"}).key
    assert Row(1, {"path": "a", "identity": "b"}).key != Row(1, {"path": "a", "identity": "c"}).key


cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=20)


@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(COLUMNS)), cells).map(lambda row: {"path": "p", **row}), min_size=1),
    st.sampled_from(",;\t"),
)
def test_set_aside_rows_come_back_as_they_were(rows: list[dict[str, str]], separator: str) -> None:
    text = as_csv(((at, row, "some reason") for at, row in enumerate(rows)), separator)
    read = [
        {k: v for k, v in row.items() if v and k not in OURS} for row in csv.DictReader(io.StringIO(text), delimiter=separator)
    ]
    assert read == rows
    assert rows_of(text.encode("utf-8-sig"), "aside.csv").columns_left_out == ()


def test_a_photo_is_found_however_its_path_is_written(tmp_path: Path) -> None:
    (tmp_path / "photos 2024").mkdir()
    (tmp_path / "photos 2024" / "k8.jpg").touch()
    assert photo_at(tmp_path, "photos 2024\\k8.jpg") == tmp_path / "photos 2024" / "k8.jpg"
    (tmp_path / "a\\b.jpg").touch()  # a name that may be, and is then meant
    assert photo_at(tmp_path, "a\\b.jpg") == tmp_path / "a\\b.jpg"
    composed, apart = "Zo\u00eb", "Zoe\u0308"
    for folder in (composed, apart):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{apart}.jpg").touch()
    assert photo_at(tmp_path, f"{composed}/{composed}.jpg") == tmp_path / composed / f"{apart}.jpg"
    assert photo_at(tmp_path, f"{apart}\\{composed}.jpg") == tmp_path / apart / f"{apart}.jpg"
    for nowhere in ("none\\k8.jpg", "a\0.jpg", "x" * 5000):
        assert photo_at(tmp_path, nowhere) == tmp_path / nowhere
