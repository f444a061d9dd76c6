from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import pytest
from filling import BUNDLE, fill

from catalog import watch as watching
from catalog.catalogue import Catalogue
from catalog.desk import Desk
from catalog.watch import Watch


def answer(catalogue: Catalogue, name: str, best: int | None, **said: Any) -> int:
    measured = {"norm": 10.0, "brightness": 0.5, "sharpness": 0.01, "pixels": 100, "score": 0.7}
    photos = [{"name": name, "sha256": name, "box": None, "measured": measured | said}]
    told = {
        "decision": "known",
        "probability": 0.9,
        "candidates": [] if best is None else [{"individual_id": best}],
    }
    return catalogue.keep_identification(who="tester", bundle_id=BUNDLE, photos=photos, answer=told)


def test_what_is_known_of_photos_is_of_live_sightings_of_this_bundle(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 2})
    with catalogue.write("delete", who="tester", what="") as write:
        write.set("sighting", seen["Fleck"][0], live=False)
    known = Watch(catalogue).known_photos(BUNDLE)
    assert known.norm.tolist() == [12.0] * 4
    assert known.pixels.tolist() == [400 * 300] * 4
    assert known.brightness.tolist() == [0.5] * 4
    assert Watch(catalogue).known_photos("another").norm.shape == (0,)


def test_a_sample_stands_for_a_large_catalogue(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SAMPLE", 10)
    fill(catalogue, {"Muddy": 50})
    known = Watch(catalogue).known_photos(BUNDLE)
    assert 5 < len(known.norm) <= 10
    assert np.array_equal(known.norm, Watch(catalogue).known_photos(BUNDLE).norm)


def test_photos_asked_about_count_once_and_the_newest_come_first(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    for number, name in enumerate(["a", "b", "a", "c"]):
        answer(catalogue, name, 1, score=number / 10)
    catalogue.keep_identification(
        who="tester", bundle_id=BUNDLE, photos=[{"name": "old", "sha256": "d", "box": None}], answer={}
    )
    assert sorted(one["score"] for one in Watch(catalogue).asked_photos(BUNDLE, 10)) == pytest.approx([0.1, 0.2, 0.3])
    assert Watch(catalogue).asked_photos(BUNDLE, 2)[0]["score"] == pytest.approx(0.3)
    assert Watch(catalogue).asked_photos("another", 10) == []


def test_one_photo_asked_about_again_and_again_hides_no_other(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    for name in ("a", "b", *["c"] * 20):
        answer(catalogue, name, 1, score=0.5)
    assert len(Watch(catalogue).asked_photos(BUNDLE, 3)) == 3


def test_the_last_word_counts_and_the_merged_are_who_they_are_now(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 1})
    muddy, fleck = (catalogue.find_individual(name).id for name in ("Muddy", "Fleck"))
    first, second = answer(catalogue, "a", fleck), answer(catalogue, "b", None)
    desk = Desk(catalogue)
    desk.add_feedback(first, "confirm", who="tester")
    desk.add_feedback(second, "new", who="tester")
    desk.add_feedback(first, "reject", who="tester", individual=muddy)
    with catalogue.write("merge", who="tester", what="") as write:
        write.set_many("sighting", write.sightings_of(fleck), individual_id=muddy)
        write.set("individual", fleck, live=False, merged_into=muddy)
    found = Watch(catalogue).verdicts(BUNDLE, 10)
    assert [(one.verdict, one.best, one.individual_id) for one in found] == [("reject", muddy, muddy), ("new", None, None)]
    assert [(one.decision, one.probability) for one in found] == [("known", 0.9)] * 2


def test_of_an_hour_is_kept_what_its_last_look_found(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalogue, {"Muddy": 1})
    watch, now = Watch(catalogue), datetime(2026, 5, 1, 10, 5, tzinfo=UTC)

    class Clock:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return now.astimezone(zone)

    monkeypatch.setattr(watching, "datetime", Clock)
    assert watch.keep_drift(BUNDLE, photos=1, measured={"a": 1})
    now += timedelta(minutes=50)
    assert watch.keep_drift(BUNDLE, photos=2, measured={"a": 2})
    now += timedelta(minutes=10)  # of the next hour
    assert not watch.keep_drift(BUNDLE, photos=2, measured={"a": 2}), "nothing has moved"
    assert watch.keep_drift(BUNDLE, photos=3, measured={"a": 3})
    assert [(one.at.minute, one.photos, one.measured) for one in watch.drifts(BUNDLE, 5)] == [
        (5, 3, {"a": 3}),
        (55, 2, {"a": 2}),
    ]


def test_looks_that_find_the_same_or_come_at_once_leave_one_row(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    watch = Watch(catalogue)
    assert watch.keep_drift(BUNDLE, photos=1, measured={"steps": (), "gap": None})
    assert not watch.keep_drift(BUNDLE, photos=1, measured={"steps": (), "gap": None}), "a tuple comes back as a list"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Watch(catalogue).keep_drift(BUNDLE, photos=1, measured={"a": number}), range(40)))
    hours = [one.at.replace(minute=0, second=0, microsecond=0) for one in watch.drifts(BUNDLE, 50)]
    assert len(hours) == len(set(hours))


def test_an_hour_is_one_of_utc_whatever_zone_a_database_answers_in() -> None:
    half_off = timezone(timedelta(hours=5, minutes=30))
    first, later = datetime(2026, 5, 1, 10, 5, tzinfo=UTC), datetime(2026, 5, 1, 10, 55, tzinfo=UTC)
    assert watching._hour_of(first.astimezone(half_off)) == watching._hour_of(later)


def test_sizes_are_those_of_the_live(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 3, "Fleck": 2})
    with catalogue.write("delete", who="tester", what="") as write:
        write.set("sighting", 1, live=False)
    said = Watch(catalogue).sizes()
    counts = catalogue.counts()
    assert said["sightings"] == counts.sightings == 4
    assert {name: said[name] for name in ("individuals", "encounters", "events", "identifications")} == {
        "individuals": counts.individuals,
        "encounters": counts.encounters,
        "events": counts.events,
        "identifications": 0,
    }
