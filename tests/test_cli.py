"""The command line as a person and a program meet it: answers, exit codes, refusals, and what stays untouched by them."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cli
from demo import animals

SMALL = (320, 240)
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command on this test's data folder, in this process."""
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(tmp_path / "data"))

    def call(*words: object) -> Said:
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as leaving:  # argparse, for a wrong command line
            code = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for individual in range(3):
        for photo in range(3):
            path = folder / f"W{individual}" / f"{individual}-{photo}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(animals.photo(individual, photo, size=SMALL))
    return folder


def test_where_nothing_is_compared_no_candidate_and_no_figure_is_spoken_of(run: Run, photos: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0" / "0-0.jpg")
    run("undo", 1)
    empty = run("identify", photos / "W0" / "0-0.jpg")
    assert "New: the catalogue is empty" in empty.out
    run("enrol", "--name", "Kelp", "--species", "humpback whale", photos / "W0" / "0-0.jpg")
    nobody = run("identify", photos / "W0" / "0-1.jpg", "--species", "beluga")
    assert "Unsure: no sighting is as you asked for" in nobody.out
    assert all(word not in empty.out + nobody.out for word in ("best candidate", "Probabilities", "%"))


def test_looking_at_a_folder_that_is_not_there_does_not_make_it(run: Run, tmp_path: Path) -> None:
    looked = run("doctor")
    assert (looked.code, (tmp_path / "data").exists()) == (1, False)
    assert f"There is no data folder at {tmp_path / 'data'}. Check --data-dir" in looked.out


def test_a_file_that_cannot_be_written_is_named_with_what_to_look_at(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("path,identity\nmissing.jpg,A\n")
    refused = run("import", rows, "--set-aside", rows / "aside.csv", "--json")
    assert refused.code == 1
    assert f"flukeprint: {rows}: " in refused.err
    assert "Look at the path" in refused.err
    assert refused.json["message"] in refused.err


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


@pytest.mark.parametrize("words", [["identify", "PHOTO"], ["similar", "PHOTO"], ["reindex"], ["second-opinion"]], ids=" ".join)
def test_a_mistyped_data_folder_is_refused_and_not_made(run: Run, photos: Path, tmp_path: Path, words: list[str]) -> None:
    photo = str(photos / "W0" / "0-0.jpg")
    refused = run(*[photo if word == "PHOTO" else word for word in words], "--data-dir", tmp_path / "wahles")
    assert (refused.code, refused.out) == (1, "")
    assert f"There is no catalogue at {tmp_path / 'wahles' / 'catalogue.db'}. Check the data folder" in refused.err
    assert "enrol a first photo or import" in refused.err
    assert not (tmp_path / "wahles").exists()


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
    assert names("--near", "-17.4,-149.9,50") == ["Kelp"]
    assert names("--after", "2020-06-01") == ["Tide"]
    assert names("--before", "2020-06-01") == ["Kelp"]
    assert names("--species", "orca", "--after", "2020-06-01") == []
    assert names("--before", "2999-12-31") == ["Kelp", "Tide"]  # a day to come is a bound like any other
    assert names("--after", "2999-12-31") == []


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
        (["identify", "x.jpg", "--near", "1,2"], 1, "LATITUDE,LONGITUDE,KILOMETRES"),
        (["identify", "x.jpg", "--near", "nan,2,3"], 1, "latitude"),
        (["identify", "x.jpg", "--after", "2020-13-01"], 1, "2020-13-01"),
        (["identify", "x.jpg", "--after", "2021-01-01", "--before", "2020-01-01"], 1, "later"),
        (["identify", "x.jpg", "--box", "1,2,3"], 1, "10,20,300,200"),
        (["identify", "x.jpg", "--box", "-1,0,5,5"], 1, "10,20,300,200"),
        (["enrol", "--name", "", "x.jpg"], 1, "name"),
        (["enrol", "--name", "K", "--lat", "nan", "--lon", "1", "x.jpg"], 1, "latitude"),
        (["similar"], 1, "--sighting"),
        (["delete"], 1, "--sighting"),
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
    assert (refused.code, "1 boxes for 2 photos" in refused.err) == (1, True)
    assert run("enrol", "--name", "K", photos / "W0/0-0.jpg", "--box", "-", "--box", "-").code == 1


def test_a_refusal_is_json_too_where_json_is_asked_for(run: Run) -> None:
    refused = run("show", "Nobody", "--json")
    assert refused.code == 1
    assert refused.json["error"] == "CatalogueMissing"


def test_unknown_ids_are_refused_by_name(run: Run, photos: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg")
    for words in (["show", "99"], ["undo", "99"], ["delete", "--sighting", "99"], ["split", "Kelp", "99", "--name", "X"]):
        refused = run(*words)
        assert (refused.code, "99" in refused.err) == (1, True)


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


def test_set_aside_rows_are_written_down_and_the_way_back_is_said(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("path,identity\nW0/0-0.jpg,Kelp\nW0/none.jpg,Kelp\n")
    done = run("import", table, "--images", photos, "--set-aside", tmp_path / "aside.csv")
    assert done.code == 1
    assert "none.jpg" in (tmp_path / "aside.csv").read_text()
    assert f"flukeprint import {tmp_path / 'aside.csv'} --images {photos}" in done.err


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


def test_a_data_folder_may_be_called_anything_that_a_folder_may_be_called(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my whales #1? 100% é &x=1"
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(folder))
    assert run("enrol", "--name", "Kelp", photos / "W0/0-0.jpg").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["bundles", "catalogue.db", "index", "photos"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_installed_command_speaks_on_the_right_channels(tmp_path: Path, photos: Path) -> None:
    """As a program of its own: the answer alone on stdout, no progress bar where no terminal looks."""
    command = [sys.executable, "-m", "cli", "import", str(photos), "--data-dir", str(tmp_path / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["enrolled"] == 9


def spoken(encoding: str, folder: Path, *words: object) -> subprocess.CompletedProcess[bytes]:
    """As a program whose output must be in this encoding."""
    command = [sys.executable, "-m", "cli", *map(os.fsencode, map(str, words)), "--data-dir", str(folder)]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, timeout=120, check=False, cwd=ROOT, env=environment)


def test_names_that_the_output_cannot_hold_are_spelled_out_and_never_a_failure(photos: Path, tmp_path: Path) -> None:
    photo, data = tmp_path / "IM2\udcff.jpg", tmp_path / "data"
    shutil.copy(photos / "W0" / "0-0.jpg", photo)
    done = spoken("utf-8:strict", data, "enrol", "--name", "Ünï – 鯨🐋", photo)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"IM2\\udcff.jpg: enrolled as sighting 1" in done.stdout
    told = json.loads(spoken("utf-8:strict", data, "enrol", "--name", "Ünï – 鯨🐋", photo, "--json").stdout)
    assert told["photos"][0]["photo"] == "IM2\\udcff.jpg"  # as the catalogue keeps it
    shown = spoken("latin-1", data, "individuals")
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "Ünï \\u2013 \\u9be8".encode("latin-1") in shown.stdout
    listed = json.loads(spoken("ascii", data, "individuals", "--json").stdout)
    assert listed["individuals"][0]["name"] == "Ünï – 鯨🐋"


def test_what_a_photo_is_called_does_not_reach_the_terminal_raw(run: Run, photos: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a\nb\x1b[2J\u202e.jpg"
    shutil.copy(photos / "W0" / "0-0.jpg", photo)
    (tmp_path / "c\x1b[2J.jpg").write_bytes(b"nothing")
    told = [run("enrol", "--name", "Kelp", photo, tmp_path / "c\x1b[2J.jpg"), run("show", "Kelp"), run("similar", photo)]
    told += [run("identify", photo), run("identify", tmp_path / "none\x1b[2J.jpg")]
    for said in told:
        assert not {"\x1b", "\u202e"} & set(said.out + said.err)
    assert r"a\nb\x1b[2J\u202e.jpg: enrolled as sighting 1" in told[0].out
    assert r"c\x1b[2J.jpg" in told[0].err
    assert r"a\nb\x1b[2J\u202e.jpg" in told[1].out


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cli", "doctor", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr


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
