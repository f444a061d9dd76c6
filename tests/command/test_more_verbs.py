"""Bundles, evaluation, public sets, second opinions and drift, from the command line."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from said import ROOT, SMALL, Run

from demo import animals


def test_bundles_are_listed_shown_added_compared_and_used(
    run: Run, photos: Path, tmp_path: Path, prepared_otherwise: Callable[..., Path]
) -> None:
    known = {one["name"]: one for one in run("bundles", "list", "--json").json["bundles"]}
    assert set(known) == {"beluga-lite0", "beluga-lite0-judged", "starter-lite0"}
    shipped = known["beluga-lite0"]
    assert (shipped["shipped"], shipped["in_use"], shipped["encoded"]) == (True, False, 0)
    assert run("import", photos).code == 0
    other = tmp_path / "other"
    shutil.copytree(ROOT / "bundles" / shipped["name"], other)
    contract = json.loads((other / "bundle.json").read_text()) | {"name": "other", "mean": [0.4, 0.4, 0.4]}
    (other / "bundle.json").write_text(json.dumps(contract))
    refused = run("bundles", "add", other)
    assert refused.code == 1
    assert "off its golden vectors" in refused.err
    sound = prepared_otherwise(ROOT / "bundles" / shipped["name"], tmp_path / "sound", name="other", mean=[0.4, 0.4, 0.4])
    added = run("bundles", "add", sound, "--json").json["id"]
    used = run("bundles", "use", "other", "--json")
    assert used.json == {
        "bundle_id": added,
        "before": shipped["id"],
        "encoded": 9,
        "sightings": 9,
        "calibration": used.json["calibration"],
    }
    assert "*" in run("bundles", "list").out
    assert run("identify", photos / "W1" / "1-0.jpg", "--json").json["bundle"] == added
    assert set(run("bundles", "compare", "other", shipped["name"], "--json").json["figures"]) >= {"elsewhere.top1"}
    asks = run("evaluate", "--gallery", photos, "--query", photos, "--json").json
    assert (asks["bundle"], asks["n_query"], asks["set_aside"]) == (added, 9, 0)
    assert run("bundles", "show", "other").out.startswith(f"{added}, in use")
    assert run("bundles", "remove", "other").code == 1
    assert run("bundles", "remove", shipped["id"]).code == 0
    assert run("bundles", "add", photos).code == 1


def test_a_bundle_is_evaluated_on_two_tables(run: Run, photos: Path, tmp_path: Path) -> None:
    lines = [f"W{i}/{i}-{n}.jpg,W{i},W{i}-{n},2020-01-0{n + 1}" for i in range(3) for n in range(3)]
    for name, of in (("gallery", lines[:6]), ("query", lines)):
        (tmp_path / f"{name}.csv").write_text("path,identity,encounter,date\n" + "\n".join(of) + "\n")
    tables = ("--gallery", tmp_path / "gallery.csv", "--query", tmp_path / "query.csv", "--images", photos)
    said = run("evaluate", *tables, "--report", tmp_path / "report", "--json")
    made = said.json
    assert (made["n_query"], made["n_known"]) == (9, 6)
    assert 0 <= made["top1"] <= made["top5"] <= 1
    assert made["cross_encounter"]["n"] == made["cross_date"]["n"] == 6
    assert {"map", "photos_per_s", "bundle"} <= set(made)
    assert made["open_set"]["auroc"] is not None
    assert "ece" in made["calibration"]
    assert (tmp_path / "report" / "index.html").is_file()
    assert made["left_out"] == []
    shown = run("evaluate", *tables).out
    assert "own encounter left out" in shown
    assert "Not measured: largest_drop, which takes --robustness" in shown
    known = run("evaluate", "--gallery", tmp_path / "gallery.csv", "--query", tmp_path / "gallery.csv", "--images", photos).out
    assert "Targets missed: none of those measured" in known
    assert "Not measured: precision, recall, specificity, f1, which take queries of animals that the gallery has, and" in known
    assert "closed.csv and stranger.csv" in known
    assert run("evaluate", *tables[:2], "--query", tmp_path / "none.csv").code == 1


def test_rows_that_cannot_be_asked_about_are_said_and_counted(run: Run, photos: Path, tmp_path: Path) -> None:
    rows = [f"W{i}/{i}-{n}.jpg,W{i},2020-01-0{n + 1}" for i in range(3) for n in range(3)]
    (tmp_path / "gallery.csv").write_text("path,identity,date\n" + "\n".join([*rows[:6], "a\x1b.jpg,W1,soon"]) + "\n")
    (tmp_path / "query.csv").write_text("path,identity,date\n" + "\n".join([*rows, "none.jpg,W1,"]) + "\n")
    said = run(
        "evaluate", "--gallery", tmp_path / "gallery.csv", "--query", tmp_path / "query.csv", "--images", photos, "--json"
    )
    assert said.json["set_aside"] == 2
    assert [(Path(one["table"]).name, one["line"]) for one in said.json["left_out"]] == [("gallery.csv", 8), ("query.csv", 11)]
    assert "the date 'soon' is not one" in said.err
    assert "\x1b" not in said.err


def test_queries_in_a_folder_of_their_own_are_asked_and_not_the_gallerys_photos_of_that_name(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    for name, shift in (("known", 0), ("asked", 1)):
        for individual in ("W0", "W1"):
            (tmp_path / name / individual).mkdir(parents=True)
            shutil.copy(photos / individual / f"{individual[1]}-{shift}.jpg", tmp_path / name / individual / "a.jpg")
    made = run("evaluate", "--gallery", tmp_path / "known", "--query", tmp_path / "asked", "--json").json
    assert (made["n_known"], made["set_aside"]) == (2, 0)
    same = run("evaluate", "--gallery", tmp_path / "known", "--query", tmp_path / "known", "--json").json
    assert same["n_known"] == 0  # a photo is never asked of itself


def test_what_evaluate_cannot_do_is_said_before_the_work(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("figures of last year")
    refused = run("evaluate", "--gallery", photos, "--query", photos, "--report", tmp_path / "report")
    assert (refused.code, refused.out) == (1, "")
    assert f"--report {tmp_path / 'report'} cannot be a folder: File exists" in refused.err
    assert (tmp_path / "report").read_text() == "figures of last year"
    lost = run("evaluate", "--gallery", photos, "--query", photos, "--images", tmp_path, "--json")
    assert (lost.code, lost.json["error"]) == (1, "EvaluationRefused")
    assert f"expected them below {tmp_path}" in lost.err


def test_public_sets_are_listed_with_their_terms(run: Run) -> None:
    assert "CDLA-Permissive-1.0" in run("datasets").out
    assert run("datasets", "happywhale", "--json").json["licence"].startswith("the competition's rules")
    assert run("datasets", "nothing").code == 1
    assert "accept the rules" in run("datasets", "happywhale", "--fetch", "x").err.lower()


def test_a_second_opinion_is_told_where_it_is_asked_for_and_not_a_word_of_it_otherwise(run: Run, photos: Path) -> None:
    run("import", photos)
    asked = photos.parent / "asked.jpg"
    asked.write_bytes(animals.photo(0, 3, size=SMALL))
    plain = run("identify", asked, "--json").json
    assert "second_opinion" not in plain
    told = run("identify", asked, "--second-opinion", "on", "--json").json
    assert told["second_opinion"]["compared"] > 0
    assert not told["second_opinion"]["followed"]
    assert told["timings_ms"]["second"] > 0
    shown = run("identify", asked, "--second-opinion", "on").out
    assert "not followed" in shown
    assert "second opinion" in shown.splitlines()[-1]  # its milliseconds
    assert run("identify", asked, "--second-opinion", "perhaps").code == 2


def test_measuring_a_second_opinion_on_too_few_animals_says_how_many_it_needs(run: Run, photos: Path) -> None:
    run("import", photos)
    said = run("second-opinion")
    assert (said.code, "3 individuals" in said.out, "not followed" in said.out) == (0, True, True)
    assert run("second-opinion", "--json").json["earned"] is False


def test_drift_is_shown_as_far_as_it_can_be_told_and_kept(run: Run, photos: Path) -> None:
    assert run("import", photos).code == 0
    assert "nothing is known of how well probabilities hold" in run("drift").out
    asked = sorted(photos.rglob("*.jpg"))[0]
    number = run("identify", asked, "--json").json["identification_id"]
    assert number == 1
    told = run("drift", "--json").json
    assert (told["photos"], told["shifts"]["brightness"]["psi"]) == (1, None)
    assert told["shifts"]["pixels"]["recent"] == SMALL[0] * SMALL[1]
    shown = run("drift").out
    assert "1 photos asked about" in shown
    assert "it takes 200 photos of both" in shown
    kept = run("drift", "--history", 5, "--json").json["kept"]
    assert [one["photos"] for one in kept] == [1]
    assert "stated - right" in run("drift", "--history", 5).out


def test_a_backup_of_what_was_restored_without_photos_says_that_they_are_not_in_it(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    run("import", photos)
    other = ("--data-dir", tmp_path / "other")
    assert run("backup", tmp_path / "small", "--no-photos").out.endswith("MB, without the photos.\n")
    assert run("restore", tmp_path / "small", *other).code == 0
    again = run("backup", tmp_path / "again", *other)
    assert (again.code, "Not in it are photos that this catalogue was restored without: 9." in again.out) == (0, True)
    assert run("backup", tmp_path / "told", *other, "--json").json["photos_left_out"] == 9


@pytest.mark.parametrize("way", ["reassign", "delete"])
def test_what_doctor_says_of_sightings_of_a_deleted_individual_can_be_followed(
    run: Run, photos: Path, tmp_path: Path, way: str
) -> None:
    run("import", photos)
    with closing(sqlite3.connect(tmp_path / "data" / "catalogue.db")) as database, database:
        database.execute("UPDATE individuals SET live = 0 WHERE name = 'W1'")
    (found,) = (one for one in run("doctor", "--json").json["findings"] if one["level"] == "wrong")
    assert found["found"] == "sightings belong to an individual that is deleted: 4, 5, 6"
    told = {shlex.split(one)[1]: shlex.split(one)[1:] for one in found["do"].split(", or: ")}
    done = run(*["W2" if word == "ID" else word for word in told[way]], "--json")
    assert done.code == 0
    assert run("doctor").code == 0
    undone = run("undo", done.json["event_id"])  # which would bring the damage back
    assert (undone.code, undone.err.rstrip().endswith("Nothing was changed.")) == (1, True)


def test_damaged_bundle_is_listed_as_such_mended_and_removed(run: Run) -> None:
    added = run("bundles", "add", ROOT / "bundles" / "starter-lite0", "--json").json
    (Path(added["folder"]) / "model.onnx").write_bytes(b"damaged")
    listed = run("bundles", "list", "--json")
    assert list(listed.json["unsound"]) == [added["id"]]
    assert f"{added['id']} is no sound bundle: " in listed.err
    assert "in place of a copy that was damaged" in run("bundles", "add", ROOT / "bundles" / "starter-lite0").out
    assert run("bundles", "list", "--json").json["unsound"] == {}
    assert f"{added['id']} is removed" in run("bundles", "remove", added["id"]).out
    assert not Path(added["folder"]).exists()
