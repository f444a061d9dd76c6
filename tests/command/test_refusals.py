"""What the command line refuses: with a code, the reason, what to do instead, and nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from said import Run


def test_looking_at_a_folder_that_is_not_there_does_not_make_it(run: Run, tmp_path: Path) -> None:
    looked = run("doctor")
    assert (looked.code, (tmp_path / "data").exists()) == (1, False)
    assert f"There is no data folder at {tmp_path / 'data'}. Check --data-dir" in looked.out


def test_a_folder_is_no_place_for_the_rows_set_aside(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("path,identity\nmissing.jpg,A\n")
    refused = run("import", rows, "--set-aside", tmp_path)
    assert refused.code == 1
    assert "which is a folder" in refused.err
    assert not list((tmp_path / "data").glob("set-aside/*"))


@pytest.mark.parametrize("words", [["import", ""], ["--data-dir", "", "individuals"]])
def test_an_empty_path_is_not_the_current_folder(run: Run, words: list[str]) -> None:
    refused = run(*words)
    assert refused.code == 2
    assert "it is empty, and a path was expected" in refused.err


def test_a_photo_that_is_refused_is_named(run: Run, photos: Path, tmp_path: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg")
    notes = tmp_path / "notes.txt"
    notes.write_text("no photo")
    for words in (["identify", notes], ["identify", notes, tmp_path / "none.jpg"], ["similar", notes]):
        refused = run(*words)
        assert refused.code == 1
        assert refused.err.startswith(f"flukeprint: {notes}: This is not a photo")


@pytest.mark.parametrize("words", [["identify", "PHOTO"], ["similar", "PHOTO"], ["reindex"], ["second-opinion"]], ids=" ".join)
def test_a_mistyped_data_folder_is_refused_and_not_made(run: Run, photos: Path, tmp_path: Path, words: list[str]) -> None:
    photo = str(photos / "W0" / "0-0.jpg")
    refused = run(*[photo if word == "PHOTO" else word for word in words], "--data-dir", tmp_path / "wahles")
    assert (refused.code, refused.out) == (1, "")
    assert f"There is no catalogue at {tmp_path / 'wahles' / 'catalogue.db'}. Check the data folder" in refused.err
    assert "enrol a first photo or import" in refused.err
    assert not (tmp_path / "wahles").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "VERB"),
        (["sing"], 2, "invalid choice"),
        (["identify"], 2, "PHOTO"),
        (["identify", "x.jpg", "--top", "0"], 2, "whole number"),
        (["identify", "x.jpg", "--max-false-match", "1.5"], 2, "share"),
        (["show", "Nobody"], 1, "no catalogue"),
        (["enrol", "--name", "K", "/none/such.jpg"], 1, "such.jpg"),
        (["enrol", "--name", "K", "/"], 1, "a folder"),
        (["similar"], 2, "--sighting"),
        (["similar", "x.jpg", "--sighting", "1"], 2, "not both"),
        (["similar", "--sighting", "1", "--box", "1,2,3,4"], 2, "--box is of a photo"),
        (["delete"], 2, "--sighting"),
        (["delete", "Kelp", "--sighting", "1"], 2, "not both"),
        (["history", "Kelp", "--sighting", "1"], 2, "not both"),
        (["amend", "1"], 2, "--viewpoint"),
        (["bundles", "make", "--licence", "x", "--out", "o"], 2, "--timm NAME, or --run DIR"),
        (["bundles", "make", "--timm", "t", "--half", "--licence", "x", "--out", "o"], 2, "--half says nothing beside --timm"),
        (["train", "--data", "t.csv", "--out", "o", "--second"], 2, "--second is of the bundle that --begin names"),
        (["bundles", "make", "--timm", "t", "--data-name", "d", "--licence", "x", "--out", "o"], 2, "--data-name says nothing"),
        (
            ["bundles", "make", "--run", "r", "--side", "96", "--licence", "x", "--out", "o"],
            2,
            "--side says nothing beside --run",
        ),
        (["datasets", "--fetch", "d"], 2, "--fetch wants the name of a set"),
        (["identify", "x.jpg", "--near", "1,2"], 1, "LATITUDE,LONGITUDE,KILOMETRES"),
        (["identify", "x.jpg", "--near", "nan,2,3"], 1, "latitude"),
        (["identify", "x.jpg", "--after", "2020-13-01"], 1, "2020-13-01"),
        (["identify", "x.jpg", "--after", "2021-01-01", "--before", "2020-01-01"], 1, "later"),
        (["identify", "x.jpg", "--box", "1,2,3"], 1, "10,20,300,200"),
        (["identify", "x.jpg", "--box", "-1,0,5,5"], 1, "10,20,300,200"),
        (["enrol", "--name", "", "x.jpg"], 1, "name"),
        (["enrol", "--name", "K", "--lat", "nan", "--lon", "1", "x.jpg"], 1, "latitude"),
        (["import", "/none/such"], 1, "/none/such"),
        (["restore", "/none/such"], 1, "/none/such"),
        (["backup", "/tmp/x.flukeprint"], 1, "no catalogue"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code_and_a_reason_on_stderr(
    run: Run, words: list[str], code: int, said: str
) -> None:
    answer = run(*words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_a_box_outside_the_photo_is_refused_with_both_sizes(run: Run, photos: Path) -> None:
    run("keys", "create", "--role", "viewer")  # a catalogue, and an empty one
    refused = run("identify", photos / "W0" / "0-0.jpg", "--box", "300,0,100,100")
    assert refused.code == 1
    assert "320" in refused.err


def test_boxes_and_photos_must_be_as_many(run: Run, photos: Path) -> None:
    refused = run("identify", photos / "W0/0-0.jpg", photos / "W0/0-1.jpg", "--box", "0,0,100,100")
    assert (refused.code, "1 boxes for 2 photos" in refused.err) == (2, True)
    wrong = run("enrol", "--name", "K", photos / "W0/0-0.jpg", "--box", "-", "--box", "-", "--json")
    assert (wrong.code, wrong.json["error"]) == (2, "CommandWrong")


def test_a_refusal_is_json_too_where_json_is_asked_for(run: Run) -> None:
    refused = run("show", "Nobody", "--json")
    assert refused.code == 1
    assert refused.json["error"] == "CatalogueMissing"


def test_unknown_ids_are_refused_by_name(run: Run, photos: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg")
    for words in (["show", "99"], ["undo", "99"], ["delete", "--sighting", "99"], ["split", "Kelp", "99", "--name", "X"]):
        refused = run(*words)
        assert (refused.code, "99" in refused.err) == (1, True)
