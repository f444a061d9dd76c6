"""Questions over HTTP: the same answers as the command line, and refusals that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serving import Photo, Service

import cli


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("timings_ms", "identification_id", "explanation")}


def test_one_photo_as_it_is_gets_an_answer(filled: Service, photo: Photo) -> None:
    said = filled.client.post("/v1/identify", content=photo(1, 9), headers={"Content-Type": "image/jpeg"}, params={"top": 2})
    assert said.status_code == 200, said.text
    assert len(said.json()["candidates"]) == 2
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["cache-control"] == "no-store"


def test_an_enrolled_photo_finds_itself(filled: Service, photo: Photo) -> None:
    said = filled.client.post("/v1/identify", files={"photos": ("a.jpg", photo(2, 1))}).json()
    assert (said["decision"], said["candidates"][0]["name"]) == ("known", "W2")


def test_several_photos_are_one_encounter_and_get_one_answer(filled: Service, photo: Photo) -> None:
    files = [("photos", (f"{n}.jpg", photo(3, n))) for n in (8, 9)]
    said = filled.client.post("/v1/identify", files=files, data={"explain": "true", "box": ["0,0,200,200", "-"]}).json()
    assert [one["name"] for one in said["photos"]] == ["8.jpg", "9.jpg"]
    assert said["photos"][0]["box"] == {"x": 0, "y": 0, "width": 200, "height": 200}
    assert any("P(new)" in sentence for sentence in said["explanation"])
    assert said["explanation"][0].startswith("Probabilities are not measured: ")
    assert not any("at most" in sentence for sentence in said["explanation"])


def test_the_answer_is_that_of_the_command_line(
    filled: Service, photo: Photo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same folder, backed up and restored, since two processes cannot hold one index."""
    data = filled.house.settings.data_dir
    path = tmp_path / "q.jpg"
    path.write_bytes(photo(4, 9))
    assert cli.main(["backup", str(tmp_path / "b"), "--data-dir", str(data)]) == 0
    assert cli.main(["restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    assert cli.main(["identify", str(path), "--data-dir", str(tmp_path / "data"), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    said = filled.client.post("/v1/identify", files={"photos": ("q.jpg", photo(4, 9))}).json()
    assert without_times(said) == without_times(expected)


def test_filters_leave_others_out(filled: Service, photo: Photo) -> None:
    asked = {"species": "minke", "after": "2020-01-01", "lat": "64", "lon": "-21", "km": "50"}
    said = filled.client.post("/v1/identify", files={"photos": photo(1, 1)}, data=asked).json()
    assert said["candidates"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {"top": "0"},
        {"top": "x"},
        {"top": ["1", "2"]},
        {"tpo": "3"},
        {"lat": "64"},
        {"box": "1,2"},
        {"max_false_match": "2"},
        {"after": "2021-01-02", "before": "2021-01-01"},
        {"after": "0"},
        {"species": "\u202e"},
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_name(filled: Service, photo: Photo, asked: dict[str, Any]) -> None:
    said = filled.client.post("/v1/identify", files={"photos": photo(1, 1)}, data=asked)
    assert said.status_code == 422
    assert said.headers["content-type"] == "application/problem+json"
    assert said.json()["type"].startswith("urn:flukeprint:problem:")


def test_one_bad_photo_of_several_is_left_out_with_its_reason(filled: Service, photo: Photo) -> None:
    files = [("photos", ("good.jpg", photo(1, 1))), ("photos", ("bad.jpg", b"<svg/>"))]
    said = filled.client.post("/v1/identify", files=files)
    assert said.status_code == 200
    assert "expected JPEG" in said.json()["photos"][1]["refused"]


def test_no_photo_at_all_is_refused(filled: Service) -> None:
    said = filled.client.post("/v1/identify", data={"top": "3"})
    assert said.status_code == 422
    assert filled.client.post("/v1/identify", content=b"").json()["type"] == "urn:flukeprint:problem:upload-refused"


def test_a_search_for_similar_photos_honours_its_key(filled: Service) -> None:
    key, asked = {"Idempotency-Key": "similar"}, {"sighting": 1, "top": 2}
    first = filled.client.post("/v1/similar", json=asked, headers=key)
    again = filled.client.post("/v1/similar", json=asked, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = filled.client.post("/v1/similar", json=asked | {"top": 3}, headers=key)
    assert other.json()["type"] == "urn:flukeprint:problem:idempotency-key"


def test_the_nearest_photos_of_a_photo_and_of_a_sighting(filled: Service, photo: Photo) -> None:
    by_photo = filled.client.post("/v1/similar", files={"photos": photo(0, 0)}, data={"top": "3"}).json()["similar"]
    assert [one["rank"] for one in by_photo] == [1, 2, 3]
    number = by_photo[0]["sighting_id"]
    by_number = filled.client.post("/v1/similar", json={"sighting": number, "top": 2}).json()["similar"]
    assert number not in [one["sighting_id"] for one in by_number]
    assert filled.client.post("/v1/similar", params={"sighting": 10**6}).status_code == 404
    assert filled.client.post("/v1/similar").status_code == 422
    assert filled.client.post("/v1/similar", json={"sighting": 1, "tpo": 3}).status_code == 422


def test_the_grounds_name_the_species_that_there_are(filled: Service, photo: Photo) -> None:
    asked = {"species": "Humpback", "explain": "true"}
    told = filled.client.post("/v1/identify", data=asked, files={"photos": photo(1, 0)}).json()
    assert told["candidates"] == []
    assert (
        told["explanation"][-1] == 'No individual is of the species "Humpback": did you mean "humpback"? There are: "humpback".'
    )
