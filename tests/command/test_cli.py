"""The command line as a person and a program meet it: answers, exit codes, and what stays untouched by them."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from said import ROOT, Run


def test_where_nothing_is_compared_no_candidate_and_no_figure_is_spoken_of(run: Run, photos: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0" / "0-0.jpg")
    run("undo", 1)
    empty = run("identify", photos / "W0" / "0-0.jpg")
    assert "New: the catalogue is empty" in empty.out
    run("enrol", "--name", "Kelp", "--species", "humpback whale", photos / "W0" / "0-0.jpg")
    nobody = run("identify", photos / "W0" / "0-1.jpg", "--species", "beluga")
    assert "Unsure: no sighting is as you asked for" in nobody.out
    assert all(word not in empty.out + nobody.out for word in ("best candidate", "Probabilities", "%"))


def test_where_the_rows_set_aside_cannot_be_written_the_import_is_told_all_the_same(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("path,identity\nmissing.jpg,A\n")
    refused = run("import", rows, "--set-aside", rows / "aside.csv", "--json")
    assert refused.code == 1
    assert (refused.json["set_aside"], refused.json["set_aside_csv"]) == (1, None)
    assert f"could not be written to {rows / 'aside.csv'}: " in refused.err
    assert "another --set-aside" in refused.err


def test_a_full_disk_leaves_no_part_of_a_bundle(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path, into: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(into))

    monkeypatch.setattr(shutil, "copy2", full)
    refused = run("bundles", "add", ROOT / "bundles" / "starter-lite0")
    assert refused.code == 1
    assert "No space left on device. Look at the path" in refused.err
    assert list((tmp_path / "data" / "bundles").iterdir()) == []


def test_a_load_test_says_which_extra_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    refused = run("loadtest")
    assert (refused.code, refused.out) == (1, "")
    assert "make setup EXTRAS=load" in refused.err


def test_what_is_said_to_be_pasted_is_for_the_same_data_folder(run: Run, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other whales"
    done = run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg", "--data-dir", other)
    told = done.out.rpartition("to take it back: ")[2].strip().removesuffix(")")
    assert run(*shlex.split(told)[1:]).code == 0
    assert run("individuals", "--data-dir", other, "--json").json["individuals"] == []


def test_folder_and_form_are_told_before_the_verb_or_after_it_and_after_it_wins(run: Run, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for words in (["--data-dir", a, "--json", "individuals"], ["individuals", "--json", "--data-dir", a]):
        assert run(*words).json["message"].startswith(f"There is no catalogue at {a}/")
    assert f"There is no catalogue at {b}/" in run("--data-dir", a, "individuals", "--data-dir", b).err
    assert run("--json", "bundles", "list", "--data-dir", tmp_path / "none").json["bundles"]


def test_the_story_from_an_empty_folder_to_an_undone_merge(run: Run, photos: Path) -> None:
    enrolled = run("enrol", "--name", "Kelp", "--species", "humpback whale", photos / "W0" / "0-0.jpg", "--json")
    assert (enrolled.code, enrolled.json["created"], enrolled.json["photos"][0]["state"]) == (0, True, "enrolled")
    assert run("import", photos, "--json").code == 1  # Kelp's photo is W0's too: set aside, the rest goes on
    names = [one["name"] for one in run("individuals", "--json").json["individuals"]]
    assert names == ["Kelp", "W0", "W1", "W2"]
    merged = run("merge", "Kelp", "W0", "--json")
    assert merged.code == 0
    shown = run("show", "Kelp", "--json").json
    assert len(shown["sightings"]) == 3
    assert run("undo", merged.json["event_id"]).code == 0
    assert len(run("show", "Kelp", "--json").json["sightings"]) == 1
    assert "undone" in run("history").out
    assert run("doctor").code == 0


def test_identify_answers_in_json_with_every_field_that_is_promised(run: Run, photos: Path) -> None:
    assert run("import", photos).code == 0
    answer = run("identify", photos / "W1" / "1-0.jpg", photos / "W1" / "1-1.jpg", "--top", 2, "--json").json
    assert set(answer) >= {"decision", "probability", "candidates", "photos", "bundle", "timings_ms", "identification_id"}
    best = answer["candidates"][0]
    assert set(best) >= {"rank", "individual_id", "name", "species", "probability", "score", "evidence"}
    assert (best["rank"], best["name"], len(answer["candidates"]), len(answer["photos"])) == (1, "W1", 2, 2)
    assert set(best["evidence"][0]) >= {"sighting_id", "photo", "score"}
    again = run("identify", photos / "W1" / "1-0.jpg", "--json").json
    assert again["identification_id"] == answer["identification_id"] + 1


def test_an_empty_catalogue_answers_new(run: Run, photos: Path) -> None:
    run("keys", "create", "--role", "viewer")  # which begins a catalogue, as serving does
    assert run("identify", photos / "W0" / "0-0.jpg", "--json").json["decision"] == "new"


@pytest.mark.parametrize("emptied", [False, True])
def test_a_lost_catalogue_is_said_to_be_lost_and_nothing_takes_its_place(
    run: Run, photos: Path, tmp_path: Path, emptied: bool
) -> None:
    photo, data = photos / "W0" / "0-0.jpg", tmp_path / "data"
    assert run("enrol", "--name", "Kelp", photo).code == 0
    kept = (data / "catalogue.db").read_bytes()
    for file in data.glob("catalogue.db*"):
        file.unlink()
    if emptied:
        (data / "catalogue.db").touch()

    def files() -> list[tuple[str, int]]:
        return sorted(
            (str(path), path.stat().st_size) for path in data.rglob("*") if path.is_file() and "catalogue" not in path.name
        )

    before = files()
    asked: list[list[object]] = [["identify", photo], ["individuals"], ["reindex"], ["enrol", "--name", "Kelp", photo]]
    asked += [
        ["import", photos],
        ["keys", "create", "--role", "viewer"],
        ["bundles", "list"],
        ["bundles", "remove", "beluga-lite0"],
    ]
    for words in asked:
        refused = run(*words)
        assert (refused.code, refused.out) == (1, ""), words
        assert f"The catalogue is lost: {data} holds photos/ and index/ of one" in refused.err
        assert "restore the last backup" in refused.err
    assert "The catalogue is lost" in run("doctor").out
    assert files() == before
    (data / "catalogue.db").write_bytes(kept)
    assert run("identify", photo, "--json").json["decision"] == "known"


def test_a_bundle_that_was_added_before_the_first_photo_is_no_sign_of_a_lost_catalogue(run: Run, photos: Path) -> None:
    assert run("bundles", "add", ROOT / "bundles" / "starter-lite0").code == 0
    assert run("enrol", "--name", "Kelp", photos / "W0" / "0-0.jpg").code == 0


def test_similar_finds_the_photo_itself_first_and_leaves_a_sighting_out_of_its_own_answer(run: Run, photos: Path) -> None:
    run("import", photos)
    found = run("similar", photos / "W2" / "2-1.jpg", "--json").json["similar"]
    assert (found[0]["photo"], round(found[0]["score"], 3)) == ("2-1.jpg", 1.0)
    others = run("similar", "--sighting", found[0]["sighting_id"], "--json").json["similar"]
    assert found[0]["sighting_id"] not in [one["sighting_id"] for one in others]


def test_filters_leave_out_what_does_not_fit(run: Run, photos: Path) -> None:
    run(
        "enrol",
        "--name",
        "Kelp",
        "--species",
        "orca",
        "--date",
        "2020-01-01",
        "--lat",
        "-17.5",
        "--lon",
        "-149.8",
        photos / "W0/0-0.jpg",
    )
    run(
        "enrol",
        "--name",
        "Tide",
        "--species",
        "beluga",
        "--date",
        "2021-01-01",
        "--lat",
        "60",
        "--lon",
        "10",
        photos / "W1/1-0.jpg",
    )

    def names(*filters: object) -> list[str]:
        found = run("similar", photos / "W2" / "2-0.jpg", *filters, "--json").json["similar"]
        return sorted(one["name"] for one in found)

    assert names() == ["Kelp", "Tide"]
    assert names("--species", "orca") == ["Kelp"]
    assert names("--near", "-17.4,-149.9,50") == names("--near=-17.4,-149.9,50") == ["Kelp"]
    assert names("--near", "-.5,12,10") == names("--near=-.5,12,10") == []
    assert names("--after", "2020-06-01") == ["Tide"]
    assert names("--before", "2020-06-01") == ["Kelp"]
    assert names("--species", "orca", "--after", "2020-06-01") == []
    assert names("--before", "2999-12-31") == ["Kelp", "Tide"]  # a day to come is a bound like any other
    assert names("--after", "2999-12-31") == []


def test_a_sighting_is_amended_and_an_undo_brings_back_what_was(run: Run, photos: Path) -> None:
    run(
        "enrol",
        "--name",
        "Kelp",
        "--date",
        "2019-01-01",
        "--lat",
        -17.5,
        "--lon",
        9,
        "--viewpoint",
        "left",
        photos / "W0/0-0.jpg",
    )
    facts = ("taken_on", "lat", "lon", "viewpoint", "encounter")

    def known() -> list[object]:
        (one,) = run("show", "Kelp", "--json").json["sightings"]
        return [one[fact] for fact in facts]

    before = known()
    amended = run(
        "amend", 1, "--date", "2020-02-02", "--lat", "-.5", "--lon", "-.25", "--viewpoint", "", "--encounter", "May", "--json"
    )
    assert known() == ["2020-02-02", -0.5, -0.25, None, "May"]
    assert "is all that already" in run("amend", 1, "--date", "2020-02-02", "--viewpoint", "").err
    assert run("undo", amended.json["event_id"]).code == 0
    assert known() == before
    assert run("amend", 1, "--lat", "").code == 0
    assert known()[1:3] == [None, None]
    assert (run("amend", 1, "--lat", 5).code, run("amend", 99, "--date", "").code) == (1, 1)


def test_what_is_given_otherwise_with_an_enrolled_photo_is_said_with_the_way_to_set_it_right(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    for n in range(3):
        run("enrol", "--name", "Kelp", "--date", "2019-01-01", photos / f"W0/0-{n}.jpg")
    again = run("enrol", "--name", "Kelp", "--date", "2020-01-01", photos / "W0/0-0.jpg")
    assert '0-0.jpg: is already sighting 1; its date stays "2019-01-01" ("2020-01-01" was given)' in again.out
    assert "To set it right: flukeprint amend SIGHTING, or flukeprint species ID SPECIES\n" in again.out
    words = ("--name", "Kelp", "--date", "2020-01-01", photos / "W0/0-0.jpg", "--data-dir", tmp_path / "other")
    run("enrol", *words)
    words = tuple("2021-01-01" if word == "2020-01-01" else word for word in words)
    assert f"flukeprint amend SIGHTING --data-dir {tmp_path / 'other'}, or" in run("enrol", *words).out
    table = tmp_path / "rows.csv"
    rows = [f"W0/0-{n}.jpg,Kelp,{day}" for n, day in enumerate(("2020-01-01", "2019-01-01", ""))]
    table.write_text("path,identity,date\n" + "\n".join(rows) + "\n")
    told = run("import", table, "--images", photos, "--json")
    assert told.json["unlike"] == [
        {"row": 1, "photo": "W0/0-0.jpg", "sighting_id": 1, "reason": 'its date stays "2019-01-01" ("2020-01-01" was given)'}
    ]
    assert "W0/0-0.jpg is already sighting 1; its date stays" in told.err
    assert told.code == 0
    assert run("import", table, "--images", photos).err == ""  # which gives nothing new


def test_what_became_of_the_merged_and_the_deleted_is_in_the_history_that_refusals_speak_of(run: Run, photos: Path) -> None:
    run("import", photos)
    run("merge", "W0", "W1")
    run("delete", "W2")
    run("delete", "--sighting", 1)
    assert '"history" shows by which event' in run("show", "W1").err
    for words, verb in ((["W1"], "merge"), (["id:2"], "merge"), (["W2"], "delete"), (["--sighting", 9], "delete")):
        events = run("history", *words, "--json").json["events"]
        assert events[0]["verb"] == verb
    assert '"history --sighting" shows by what' in run("delete", "--sighting", 1).err
    assert 'Deleted sighting 1 of "W0"' in run("history", "--sighting", 1).out
    assert 'Deleted sighting 1 of "W0"' in run("history").out
    assert "There is no sighting 99" in run("history", "--sighting", 99).err
    assert "not both" in run("history", "W0", "--sighting", 1).err


def test_a_backup_of_what_is_flawed_is_made_and_says_so(run: Run, photos: Path, tmp_path: Path) -> None:
    run("import", photos)
    next((tmp_path / "data" / "photos").glob("??/*.jpg")).unlink()
    told = run("backup", tmp_path / "one.flukeprint")
    assert (told.code, (tmp_path / "one.flukeprint").is_file()) == (1, True)
    assert "photos: 1 (" in told.err
    model = next((tmp_path / "data" / "bundles").glob("*/model.onnx"))
    model.write_bytes(model.read_bytes() + b"!")
    told = run("backup", tmp_path / "two.flukeprint", "--json")
    assert (told.code, len(told.json["missing_photos"])) == (1, 1)
    assert told.json["damaged_bundle"] in told.err
    assert "flukeprint bundles add FOLDER" in told.err
    assert run("restore", tmp_path / "two.flukeprint", "--data-dir", tmp_path / "other").code == 0


def test_a_restore_is_of_the_bundle_in_the_file_whatever_is_set(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", photos)
    run("backup", tmp_path / "all.flukeprint")
    monkeypatch.setenv("FLUKEPRINT_BUNDLE", str(ROOT / "bundles" / "starter-lite0"))
    assert run("restore", tmp_path / "all.flukeprint", "--data-dir", tmp_path / "other").code == 0
    assert "FLUKEPRINT_BUNDLE names" in run("identify", photos / "W0/0-0.jpg", "--data-dir", tmp_path / "other").err


def test_reindex_and_backup_and_restore_leave_the_answers_as_they_were(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", photos)

    def answer() -> Any:
        told = run("identify", photos / "W1" / "1-2.jpg", "--json").json
        return told["decision"], [(one["name"], one["score"]) for one in told["candidates"]]

    before = answer()
    assert run("reindex").code == 0
    assert answer() == before
    assert run("backup", tmp_path / "all.flukeprint").code == 0
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(tmp_path / "other"))
    assert run("restore", tmp_path / "all.flukeprint").code == 0
    assert answer() == before


def test_a_data_folder_may_be_called_anything_that_a_folder_may_be_called(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my whales #1? 100% é &x=1"
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(folder))
    assert run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["bundles", "catalogue.db", "index", "photos"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
