"""A second opinion of a real catalogue: off changes nothing, on tells what it saw, and only what was measured is followed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from demo import animals
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.station import Station, open_station
from matching.answer import Answer
from matching.identify import QueryPhoto
from matching.opinion import Opinion
from settings import SecondOpinion, read_settings

INDIVIDUALS = 24
SMALL = (320, 240)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough individuals to measure on, each in two encounters of one photo."""
    folder = tmp_path_factory.mktemp("pod")
    rows = ["path,identity,encounter"]
    for individual in range(INDIVIDUALS):
        for encounter in range(2):
            path = folder / f"P{individual}-{encounter}.jpg"
            path.write_bytes(animals.photo(individual, encounter, size=SMALL, encounter=encounter))
            rows.append(f"{path.name},P{individual},P{individual}-{encounter}")
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, pod: Path) -> Path:
    folder = tmp_path_factory.mktemp("pod-data") / "data"
    with open_station(read_settings({}, data_dir=folder)) as station:
        import_rows(station, pod / "rows.csv", who="me")
    return folder


def ask(station: Station, wanted: SecondOpinion | None = None, individual: int = 3) -> Answer:
    photo = QueryPhoto("q.jpg", animals.photo(individual, 2, size=SMALL, encounter=1))
    return identify_and_keep(station, [photo], who="me", second_opinion=wanted)


def told(answer: Answer) -> dict[str, object]:
    said = json.loads(json.dumps(answer.to_json()))
    return {key: value for key, value in said.items() if key not in ("timings_ms", "identification_id")}


def test_nobody_asked_means_nobody_measures_and_the_answer_has_its_usual_form(data: Path) -> None:
    with open_station(read_settings({}, data_dir=data)) as station:
        station.catalogue.set_fact("second_opinion", None)
        auto, off = ask(station), ask(station, "off")
        assert told(auto) == told(off)
        assert set(auto.to_json()["timings_ms"]) == {"decode", "encode", "search", "decide"}
        assert "agreement" not in auto.to_json()["candidates"][0]["evidence"][0]
        assert "second_opinion" not in told(auto)
        assert station.opinion() is None


def test_on_without_a_measurement_tells_what_it_saw_and_keeps_the_order(data: Path) -> None:
    with open_station(read_settings({}, data_dir=data, second_opinion="on")) as station:
        station.catalogue.set_fact("second_opinion", None)
        on, off = ask(station), ask(station, "off")
        assert on.second_opinion is not None
        assert not on.second_opinion.followed
        assert "flukeprint second-opinion" in on.second_opinion.reason
        assert [one.individual_id for one in on.candidates] == [one.individual_id for one in off.candidates]
        assert (on.decision, on.probability) == (off.decision, off.probability)
        assert on.timings_ms.second is not None
        proof = on.to_json()["candidates"][0]["evidence"][0]
        assert proof["agreement"]["inliers"] == len(proof["agreement"]["points"])
        assert proof["agreement"]["cosine"] == proof["score"]
        for (x, y), (u, v) in proof["agreement"]["points"]:
            assert (0 <= x <= 320, 0 <= y <= 240, 0 <= u <= 320, 0 <= v <= 240) == (True,) * 4


def test_what_was_measured_and_earned_is_followed_until_it_is_switched_off(data: Path) -> None:
    with open_station(read_settings({}, data_dir=data)) as station:
        plain = ask(station, "off")
        measured = station.measure_opinion()
        assert measured.worth is not None
        calibration = measured.calibration or station.calibration()
        station._opinion = earned = replace(measured, share=0.5, earned=True, calibration=calibration)
        followed = ask(station)
        assert followed.second_opinion is not None
        assert (followed.second_opinion.followed, followed.second_opinion.share) == (True, 0.5)
        first = followed.candidates[0].evidence[0]
        assert first.agreement is not None
        strength = first.agreement.inliers / (first.agreement.inliers + 10)
        assert first.score == pytest.approx(0.5 * first.agreement.cosine + 0.5 * strength)
        assert followed.calibration.reason == calibration.reason
        assert told(ask(station, "off")) == told(plain)
        station._opinion = replace(earned, share=0.0, earned=False, calibration=None)
        assert told(ask(station)) == told(plain)  # not worth it here, so it is not run


def test_an_opinion_is_kept_for_the_next_process_and_belongs_to_its_bundle(data: Path) -> None:
    with open_station(read_settings({}, data_dir=data)) as station:
        measured = station.measure_opinion()
    with open_station(read_settings({}, data_dir=data)) as station:
        assert station.opinion() == measured
        station.catalogue.set_fact("second_opinion", json.dumps(measured.to_json() | {"bundle_id": "another-1-00000000"}))
    with open_station(read_settings({}, data_dir=data)) as station:
        assert station.opinion() is None
        station.catalogue.set_fact("second_opinion", "{damaged")
    with open_station(read_settings({}, data_dir=data)) as station:
        assert station.opinion() is None


def test_an_opinion_follows_a_catalogue_that_has_grown(data: Path) -> None:
    with open_station(read_settings({}, data_dir=data)) as station:
        small = Opinion(station.bundle_id, 10, station.settings.new_share, 0.0, False, "of a smaller catalogue")
        station.catalogue.set_fact("second_opinion", json.dumps(small.to_json()))
    with open_station(read_settings({}, data_dir=data)) as station:
        grown = station.opinion()
        assert grown is not None
        assert grown.sightings == 2 * INDIVIDUALS


def test_a_photo_that_is_enrolled_already_is_known_without_a_second_look(data: Path, pod: Path) -> None:
    with open_station(read_settings({}, data_dir=data)) as station:
        photo = QueryPhoto("q.jpg", (pod / "P5-0.jpg").read_bytes())
        answer = identify_and_keep(station, [photo], who="me", second_opinion="on")
        assert (answer.decision, answer.probability, answer.second_opinion) == ("known", 0.99, None)
        assert answer.candidates[0].name == "P5"


def test_a_catalogue_whose_photos_are_lost_answers_as_without(tmp_path: Path, pod: Path) -> None:
    with open_station(read_settings({}, data_dir=tmp_path / "lost")) as station:
        import_rows(station, pod / "rows.csv", who="me")
        for photo in (tmp_path / "lost" / "photos").rglob("*.jpg"):
            photo.unlink()
        on, off = ask(station, "on"), ask(station, "off")
        assert on.second_opinion is not None
        assert (on.second_opinion.followed, on.second_opinion.compared) == (False, 0)
        assert [one.score for one in on.candidates] == [one.score for one in off.candidates]
        assert (on.decision, on.probability) == (off.decision, off.probability)
