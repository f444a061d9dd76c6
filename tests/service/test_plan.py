"""What an archive's folders are told to mean, before anything is read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from service.archive import Member
from service.errors import UploadRefused
from service.plan import plan


def individuals(*paths: str) -> dict[str, int]:
    """Each individual that the files at these paths are enrolled as, with how many photos."""
    found: dict[str, int] = {}
    for row in plan("enrol", Path("unused.zip"), [member(path) for path in paths], most=16):
        found[row["name"]] = found.get(row["name"], 0) + len(row["photos"])
    return found


def member(path: str) -> Member:
    folder = str(PurePosixPath(path).parent)
    return Member(path, "" if folder == "." else folder, PurePosixPath(path).name, 1)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["W1/a.jpg", "W2/b.jpg"], {"W1": 1, "W2": 1}),
        (["W1/day 1/a.jpg", "W1/day 2/a.jpg", "W2/b.jpg"], {"W1": 2, "W2": 1}),
        (["whales/W1/a.jpg", "whales/W2/b.jpg"], {"W1": 1, "W2": 1}),
        (["home/whales/W1/day 1/a.jpg", "home/whales/W2/b.jpg"], {"W1": 1, "W2": 1}),
        (["W1/a.jpg", "W1/day 2/b.jpg"], {"W1": 2}),
        (["W1/a.jpg"], {"W1": 1}),
        ([f"W1/{number}.jpg" for number in range(40)], {"W1": 40}),
    ],
)
def test_outermost_folder_is_the_individual_unless_it_only_holds_the_others(paths: list[str], expected: dict[str, int]) -> None:
    assert individuals(*paths) == expected


def test_photos_without_a_folder_are_nobodys() -> None:
    with pytest.raises(UploadRefused, match="a folder an individual"):
        individuals("a.jpg", "b.jpg")


def test_row_of_a_table_that_a_comma_has_shifted_is_refused_by_itself(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("rows.csv", "path,identity\na.jpg,Scar, Old\nb.jpg,Tide\n")
    rows = plan("enrol", tmp_path / "some.zip", [member(path) for path in ("rows.csv", "a.jpg", "b.jpg")], most=16)
    assert [(row["name"], row.get("state")) for row in rows] == [("Tide", None), ("Scar", "refused")]
    assert "Row 1 of the table: The row has more cells than there are headings" in rows[1]["reason"]


def refused(*paths: str) -> dict[str, str]:
    rows = plan("enrol", Path("unused.zip"), [member(path) for path in paths], most=16)
    return {row["name"]: row["reason"] for row in rows if row.get("state") == "refused"}


def test_a_photo_beside_the_folders_is_told_and_a_folder_that_names_no_animal_is_none() -> None:
    told = refused("loose.jpg", "W1/a.jpg", "new_whale/b.jpg")
    assert set(told) == {"loose.jpg", "new_whale"}
    assert "beside the folders" in told["loose.jpg"]
    assert "names no animal" in told["new_whale"]


def test_a_table_may_spell_paths_as_windows_and_macs_do(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("rows.csv", "path,identity\nf\\a.jpg,Kelp\nf/\u00e9.jpg,Tide\n")
    there = ("rows.csv", "f/a.jpg", "f/e\u0301.jpg")
    rows = plan("enrol", tmp_path / "some.zip", [member(path) for path in there], most=16)
    assert [(row["name"], row["photos"][0]["member"]) for row in rows] == [("Kelp", there[1]), ("Tide", there[2])]
