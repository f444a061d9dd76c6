from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from catalog.desk import Desk
from catalog.values import Verdict, Verdicted
from catalog.watch import Watch
from demo import animals
from indexer import drifting
from indexer.asking import identify_and_keep
from indexer.bulk import import_rows
from indexer.drifting import judged, measure_drift
from indexer.station import Station
from matching import drift
from matching.identify import Options, QueryPhoto
from vector_db.port import NO_FILTER, Filter


def ask(station: Station, data: bytes) -> int:
    number = identify_and_keep(station, [QueryPhoto("asked.jpg", data)], who="the tests").identification_id
    assert number is not None
    return number


def darker(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return cv2.imencode(".jpg", pixels // 4)[1].tobytes()


def test_what_is_measured_of_a_photo_is_kept_as_the_encoder_says(station: Station) -> None:
    data = animals.photo(0, 9, size=(320, 240))
    kept = station.catalogue.identification(ask(station, data))
    seen = station.encoder.encode(data)
    assert kept.photos[0]["measured"] == {
        "norm": seen.norm,
        "brightness": seen.brightness,
        "sharpness": seen.sharpness,
        "pixels": 320 * 240,
        "score": None,  # the catalogue is empty
    }
    assert "norm" not in kept.answer["photos"][0]


def test_the_score_of_a_question_about_a_part_of_the_catalogue_is_none_to_compare(station: Station, whales: Path) -> None:
    import_rows(station, whales, who="the tests")
    data = animals.photo(0, 9, size=(320, 240))

    def score(where: Filter) -> object:
        answer = identify_and_keep(station, [QueryPhoto("asked.jpg", data)], Options(where=where), who="the tests")
        assert answer.identification_id is not None
        kept: dict[str, object] = station.catalogue.identification(answer.identification_id).photos[0]["measured"]
        return kept["score"]

    assert score(NO_FILTER) is not None
    assert score(Filter(after=date(1900, 1, 1))) is None


def test_photos_made_darker_have_drifted_in_brightness_and_others_have_not(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few photos, which is why what is enough is set lower here; the sizes that count stand in tests/matching."""
    monkeypatch.setattr(drift, "FEWEST", 20)
    monkeypatch.setattr(drift, "ENOUGH", 5)
    import_rows(station, whales, who="the tests")
    books = station.catalogue
    photos = [path.read_bytes() for path in sorted(whales.rglob("*.jpg"))]
    for data in photos:
        ask(station, data)
    same = {one.measure: one for one in measure_drift(books, station.bundle_id).shifts}
    assert same["brightness"].psi == pytest.approx(0, abs=1e-6)
    assert same["norm"].psi == pytest.approx(0, abs=1e-3)  # float32 in the catalogue's vectors
    assert [one for one in same.values() if one.drifted] == []
    for data in photos:
        ask(station, darker(data))
    moved = {one.measure: one for one in measure_drift(books, station.bundle_id).shifts}
    assert moved["brightness"].drifted
    assert moved["brightness"].recent < same["brightness"].recent  # type: ignore[operator]
    assert not moved["pixels"].drifted


def test_verdicts_are_held_against_what_was_stated(station: Station) -> None:
    number = ask(station, animals.photo(0, 0, size=(320, 240)))  # of an empty catalogue: new, right with certainty
    Desk(station.catalogue).add_feedback(number, "new", who="the tests")
    assert measure_drift(station.catalogue, station.bundle_id).in_use.right == 1.0
    Desk(station.catalogue).add_feedback(number, "reject", who="the tests")
    found = measure_drift(station.catalogue, station.bundle_id).in_use
    assert (found.answers, found.stated, found.right) == (1, 1.0, 0.0)
    assert Watch(station.catalogue).drifts(station.bundle_id, 5) == []  # looking keeps nothing


@pytest.mark.parametrize(
    ("decision", "verdict", "said", "right"),
    [
        ("known", "confirm", None, True),
        ("known", "confirm", 2, False),  # who it is counts for more than the word
        ("known", "reject", None, False),
        ("known", "new", None, False),
        ("unsure", "confirm", 1, True),
        ("unsure", "reject", 2, False),
        ("unsure", "new", None, False),
        ("new", "new", None, True),
        ("new", "confirm", None, True),
        ("new", "reject", 2, False),
        ("new", "reject", None, False),
    ],
)
def test_an_answer_was_right_when(decision: str, verdict: Verdict, said: int | None, right: bool) -> None:
    assert judged([Verdicted(decision, 0.9, 1, verdict, said)])[0].right is right


def test_as_json_everything_is_named(station: Station) -> None:
    told: dict[str, Any] = measure_drift(station.catalogue, station.bundle_id).to_json()
    assert set(told["shifts"]) == {"norm", "brightness", "sharpness", "pixels", "score"}
    assert told["shifts"]["norm"] == {"psi": None, "known": None, "recent": None, "drifted": False}
    assert told["in_use"]["answers"] == 0
    assert drifting.RECENT == 500
