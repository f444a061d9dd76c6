"""Bundles, evaluation, public sets, second opinions and drift, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from said import ROOT, SMALL, Run

from demo import animals


def test_bundles_are_listed_shown_added_compared_and_used(run: Run, photos: Path, tmp_path: Path) -> None:
    known = {one["name"]: one for one in run("bundles", "list", "--json").json["bundles"]}
    assert set(known) == {"beluga-lite0", "beluga-lite0-judged", "starter-lite0"}
    shipped = known["beluga-lite0"]
    assert (shipped["shipped"], shipped["in_use"], shipped["encoded"]) == (True, False, 0)
    assert run("import", photos).code == 0
    other = tmp_path / "other"
    shutil.copytree(ROOT / "bundles" / shipped["name"], other)
    contract = json.loads((other / "bundle.json").read_text()) | {"name": "other", "mean": [0.4, 0.4, 0.4]}
    (other / "bundle.json").write_text(json.dumps(contract))
    added = run("bundles", "add", other, "--json").json["id"]
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
    assert "own encounter left out" in run("evaluate", *tables).out
    assert run("evaluate", *tables[:2], "--query", tmp_path / "none.csv").code == 1


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
