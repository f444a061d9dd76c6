from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from filling import BUNDLE, DIMENSION, fill, photo, see, vector
from sqlalchemy import text

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueRefused, CatalogueUnavailable, EditConflict, NameRefused, NotKnown, ValueRefused
from catalog.values import Change
from catalog.write import Write


def test_a_write_is_one_event_with_who_when_and_what(catalogue: Catalogue) -> None:
    before = datetime.now(UTC)
    with catalogue.write("enrol", who="Ada", what="not yet known") as write:
        muddy = write.add_individual("Muddy", "orca")
        write.what = 'Enrolled "Muddy".'
    event = catalogue.event(write.event_id)
    assert (event.who, event.verb, event.what, event.undoes, event.undone) == ("Ada", "enrol", 'Enrolled "Muddy".', None, False)
    assert before - timedelta(seconds=1) < event.at <= datetime.now(UTC)
    assert catalogue.changes_of(write.event_id) == [Change("individual", muddy, "live", False, True)]


def test_the_events_number_is_known_before_the_end(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what="") as write:
        number = write.event_id
        write.add_individual("Muddy")
    assert catalogue.history()[0].id == number


def test_a_write_that_changed_nothing_leaves_no_event(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    before = catalogue.history()
    with catalogue.write("import", who="Ada", what="") as write:
        assert write.event_id == before[0].id + 1
        assert write.individual_named("Muddy") is not None
        assert not write.changed
    assert catalogue.history() == before


def test_a_write_that_fails_changes_nothing_at_all(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    before = (catalogue.counts(), catalogue.history(), catalogue.individuals())

    def interrupted(write: Write) -> None:
        see(write, write.add_individual("Fleck"), "E", "f.jpg")
        write.set("individual", 1, name="Other")
        assert write.connection.in_transaction()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), catalogue.write("enrol", who="Ada", what="") as write:
        interrupted(write)
    assert (catalogue.counts(), catalogue.history(), catalogue.individuals()) == before


def test_ids_are_given_at_once_and_never_again(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what="") as write:
        first = write.add_individual("Muddy")
        second = write.add_individual("Fleck")
    assert (first, second) == (1, 2)
    with pytest.raises(NameRefused), catalogue.write("enrol", who="Ada", what="") as write:
        assert [write.add_individual(name) for name in ("Gone", "Muddy")] == [3]
    with catalogue.write("enrol", who="Ada", what="") as write:
        assert write.add_individual("Third") == 3


def test_what_was_added_is_seen_inside_the_write_before_it_ends(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what="") as write:
        muddy = write.add_individual(" Muddy ")
        sighting = see(write, muddy, "E", "m.jpg")
        assert write.individual_named("Muddy") == muddy
        assert write.individual("Muddy").id == muddy
        assert write.sighting_by_photo(photo("m.jpg").sha256) == sighting
        assert write.sightings_of(muddy) == [sighting]
        assert write.sightings([sighting, sighting])[0].photo == "m.jpg"
        assert write.encounter("E") == write.encounters(["E ", "E"])["E "]


def test_a_photo_is_added_once_and_stays_as_it_was(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    first = catalogue.photo(photo("Muddy-0.jpg").sha256)
    assert first == photo("Muddy-0.jpg")
    with catalogue.write("enrol", who="Ada", what="") as write:
        write.add_photo(photo("Muddy-0.jpg"))
        write.add_photo(photo("new.jpg"))
        write.add_photo(replace(photo("new.jpg"), name="renamed.jpg"))
    assert catalogue.photo(photo("new.jpg").sha256) == photo("new.jpg")
    assert [row.name for row in catalogue.photos() if row.name.startswith("Muddy")] == ["Muddy-0.jpg"]
    assert catalogue.counts().photos == 2


def test_text_that_no_database_takes_is_kept_readable(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what="of IMG\udcff\0.jpg") as write:
        write.add_individual("Muddy")
        write.add_photo(replace(photo("odd.jpg"), name="IMG\udcff.jpg", creator="Ada\0\0"))
    kept = catalogue.photo(photo("odd.jpg").sha256)
    assert kept is not None
    assert (kept.name, kept.creator) == (r"IMG\udcff.jpg", "Ada")
    assert catalogue.event(write.event_id).what == r"of IMG\udcff.jpg"


def test_facts_are_kept_as_given_and_the_day_follows_from_the_moment(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what="") as write:
        muddy = write.add_individual("Muddy")
        write.add_photo(photo("m.jpg"))
        sighting = write.add_sighting(
            muddy,
            write.encounter("E"),
            photo("m.jpg").sha256,
            (1, 2, 30, 40),
            species=" orca ",
            viewpoint="left",
            taken_at=datetime(2021, 7, 3, 23, 30),
            lat=-41.5,
            lon=174.0,
            brightness=0.25,
            sharpness=0.125,
        )
    kept = catalogue.sighting(sighting)
    assert (kept.individual_id, kept.individual, kept.encounter, kept.photo) == (muddy, "Muddy", "E", "m.jpg")
    assert (kept.box, kept.species, kept.viewpoint) == ((1, 2, 30, 40), "orca", "left")
    assert (kept.taken_on, kept.taken_at) == (date(2021, 7, 3), datetime(2021, 7, 3, 23, 30))
    assert (kept.lat, kept.lon, kept.brightness, kept.sharpness, kept.live) == (-41.5, 174.0, 0.25, 0.125, True)


def test_the_same_photo_with_another_box_is_another_sighting(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 1})["Muddy"][0]
    sha256 = photo("Muddy-0.jpg").sha256
    with catalogue.write("enrol", who="Ada", what="") as write:
        boxed = write.add_sighting(1, 1, sha256, (0, 0, 10, 10), brightness=0.5, sharpness=0.1)
    assert catalogue.sightings_by_photo(
        [(sha256, None), (sha256, (0, 0, 10, 10)), (sha256, (0, 0, 9, 9)), ("0" * 64, None)]
    ) == {
        (sha256, None): seen,
        (sha256, (0, 0, 10, 10)): boxed,
    }


def add_again(write: Write) -> None:
    write.add_sighting(1, 1, photo("Muddy-0.jpg").sha256, brightness=0.5, sharpness=0.1)


def add_twice(write: Write) -> None:
    see(write, 1, "E", "twice.jpg")
    see(write, 1, "E", "twice.jpg")


REFUSED: list[tuple[Callable[[Write], object], type[CatalogueRefused], str]] = [
    (lambda w: w.add_individual("Muddy"), NameRefused, 'The name "Muddy" is taken by individual 1; choose another, or merge'),
    (lambda w: (w.add_individual("New"), w.add_individual("New ")), NameRefused, 'The name "New" is taken by individual 3'),
    (lambda w: w.add_individual("x" * 10_000), NameRefused, "10,000 characters long"),
    (lambda w: w.set("individual", 2, name="Muddy"), NameRefused, 'The name "Muddy" is taken by individual 1'),
    (lambda w: w.set_many("individual", [1, 2], name="Both"), EditConflict, "contradicts what the catalogue"),
    (lambda w: w.encounter(" "), ValueRefused, "The encounter cannot be empty"),
    (add_again, EditConflict, "enrolled already, as sighting 1;"),
    (add_twice, EditConflict, "enrolled already, as sighting 3;"),
    (lambda w: see(w, 99, "E", "n.jpg"), NotKnown, "There is no individual 99"),
    (lambda w: see(w, 1, "E", "n.jpg", lat=91.0, lon=0.0), ValueRefused, 'latitude "91.0" cannot be'),
    (lambda w: see(w, 1, "E", "n.jpg", lat=float("nan"), lon=0.0), ValueRefused, 'latitude "nan" cannot be'),
    (lambda w: see(w, 1, "E", "n.jpg", lat=1.0), ValueRefused, "came without its longitude"),
    (lambda w: see(w, 1, "E", "n.jpg", taken_on=date(2999, 1, 1)), ValueRefused, "yet to come"),
    (lambda w: see(w, 1, "E", "n.jpg", sharpness=float("inf")), ValueRefused, "sharpness of a sighting is inf"),
    (lambda w: w.add_sighting(1, 1, "0" * 64, (0, 0, 0, 5), brightness=0, sharpness=0), ValueRefused, "box 0,0,0,5 cannot be"),
    (lambda w: w.add_sighting(1, 1, "0" * 64, brightness=0, sharpness=0), EditConflict, "contradicts what the catalogue"),
    (
        lambda w: w.add_sighting(1, 99, photo("Muddy-0.jpg").sha256, (0, 0, 1, 1), brightness=0, sharpness=0),
        EditConflict,
        "contradicts",
    ),
    (lambda w: w.add_vector(1, BUNDLE, np.zeros(DIMENSION, np.float32), 1.0), ValueRefused, "numbers of length one"),
    (lambda w: w.add_vector(1, BUNDLE, np.full(DIMENSION, np.nan, np.float32), 1.0), ValueRefused, "finite numbers"),
    (lambda w: w.add_vector(1, BUNDLE, np.stack([vector(1)]), 1.0), ValueRefused, r"shape \(1, 8\)"),
    (lambda w: w.add_vector(1, "unknown", vector(1), 1.0), EditConflict, "contradicts what the catalogue"),
    (lambda w: w.set("individual", 99, name="Nobody"), NotKnown, "There is no individual 99"),
    (
        lambda w: w.set("sighting", 1, photo_sha256="x"),
        ValueRefused,
        "has no field photo_sha256; those that can be set: encounter_id",
    ),
    (lambda w: w.set("sighting", 1, lat=1.0), ValueRefused, "came without its longitude"),
    (lambda w: w.rely("sighting", 99, "live"), NotKnown, "There is no sighting 99"),
    (
        lambda w: w.set("individual", 1, live=False),
        EditConflict,
        "Sighting 1 would be left with an individual that is not there",
    ),
    (lambda w: w.sightings([1, 98, 99]), NotKnown, "There is no sighting 98, 99"),
]


@pytest.mark.parametrize(("attempt", "error", "says"), REFUSED, ids=[says for _, _, says in REFUSED])
def test_what_is_refused_says_why_and_changes_nothing(
    catalogue: Catalogue, attempt: Callable[[Write], object], error: type[CatalogueRefused], says: str
) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 1})
    before = (catalogue.counts(), catalogue.history(), catalogue.individuals())
    with pytest.raises(error, match=says), catalogue.write("test", who="Ada", what="") as write:
        attempt(write)
    assert (catalogue.counts(), catalogue.history(), catalogue.individuals()) == before


def test_a_name_may_be_given_again_once_its_bearer_is_gone(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", 1, live=False)
        write.set("individual", 1, live=False)
        again = write.add_individual("Muddy")
        see(write, again, "E", "Muddy-0.jpg")
    assert catalogue.find_individual("Muddy").id == again == 2


def test_what_a_write_has_looked_up_it_looks_up_again_after_a_change(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 0})
    with catalogue.write("test", who="Ada", what="") as write:
        assert write.individuals_named(["Muddy", "Fleck", "New"]) == {"Muddy": 1, "Fleck": 2}
        assert write.sighting_by_photo(photo("Muddy-0.jpg").sha256) == 1
        write.set("individual", 1, name="New")
        write.set("individual", 2, live=False)
        write.set("sighting", 1, live=False)
        assert write.individuals_named(["Muddy", "Fleck", "New"]) == {"New": 1}
        assert write.sighting_by_photo(photo("Muddy-0.jpg").sha256) is None
        with pytest.raises(NotKnown, match=r'Individual 2 \("Fleck"\) has been deleted'):
            see(write, 2, "E", "f.jpg")


def test_one_may_take_the_name_of_another_that_dies_in_the_same_event(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 0})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("individual", 1, live=False)
    fill(catalogue, {"Muddy": 0})
    with catalogue.write("test", who="Ada", what="") as write:
        write.restore({("individual", 1, "live"): True, ("individual", 2, "live"): False})
    assert catalogue.find_individual("Muddy").id == 1


def test_changes_say_what_was_and_what_is_and_collapse_to_one_a_field(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    with catalogue.write("test", who="Ada", what="") as write:
        write.rely("individual", 1, "name")
        write.set("individual", 1, name="Second")
        write.set("individual", 1, name="Third", species=None)
        write.set("sighting", 1, taken_on=date(2020, 2, 2), lat=1.5, lon=2.5, viewpoint="left")
        write.rely("sighting", 1, "live")
    assert set(catalogue.changes_of(write.event_id)) == {
        Change("individual", 1, "name", "Muddy", "Third"),
        Change("individual", 1, "species", "orca", None),
        Change("sighting", 1, "taken_on", date(2021, 7, 1), date(2020, 2, 2)),
        Change("sighting", 1, "lat", None, 1.5),
        Change("sighting", 1, "lon", None, 2.5),
        Change("sighting", 1, "viewpoint", None, "left"),
        Change("sighting", 1, "live", True, True),
    }
    assert catalogue.sighting(1).taken_on == date(2020, 2, 2)


def test_adding_a_sighting_rests_on_its_individual_being_there(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    with catalogue.write("enrol", who="Ada", what="") as write:
        more = [see(write, 1, "E", f"{i}.jpg") for i in range(2)]
    assert set(catalogue.changes_of(write.event_id)) == {
        Change("individual", 1, "live", True, True),
        *(Change("sighting", number, "live", False, True) for number in more),
    }


def test_many_rows_are_changed_in_one_go(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 6_000}, vectors=False)["Muddy"]
    with catalogue.write("test", who="Ada", what="") as write:
        write.set_many("sighting", seen, viewpoint="left")
    assert len(catalogue.changes_of(write.event_id)) == 6_000
    assert {catalogue.sighting(number).viewpoint for number in (seen[0], seen[5000], seen[-1])} == {"left"}


def test_the_log_cannot_be_rewritten(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    before = catalogue.history()
    for attack in (
        "UPDATE events SET who = 'nobody'",
        "DELETE FROM events",
        "UPDATE changes SET after = 'null'",
        "DELETE FROM changes",
        "INSERT OR REPLACE INTO events SELECT * FROM events",
    ):
        if "REPLACE" in attack and "postgresql" in catalogue.place:
            continue
        with pytest.raises(CatalogueRefused, match="append-only"), catalogue.write("test", who="Ada", what="") as write:
            write.connection.execute(text(attack))
    assert catalogue.history() == before


def test_threads_that_write_at_once_each_get_their_turn(catalogue: Catalogue) -> None:
    failed: list[BaseException] = []

    def enrol(thread: int) -> None:
        try:
            for i in range(10):
                with catalogue.write("enrol", who=f"thread {thread}", what="") as write:
                    see(write, write.add_individual(f"{thread}-{i}"), "E", f"{thread}-{i}.jpg")
                catalogue.owners([1])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=enrol, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [event.id for event in catalogue.history(limit=100)] == list(range(40, 0, -1))
    assert catalogue.counts().sightings == 40


def test_a_thread_that_waits_too_long_for_its_turn_is_told(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.transactions.WAIT_S", 0.05)
    said: list[str] = []

    def write_too() -> None:
        try:
            catalogue.set_fact("a", "b")
        except CatalogueUnavailable as refused:
            said.append(str(refused))

    with catalogue.write("enrol", who="Ada", what=""):
        other = threading.Thread(target=write_too)
        other.start()
        other.join()
    assert len(said) == 1
    assert "is locked" in said[0]
    assert catalogue.fact("a") is None


def test_a_write_inside_a_write_is_a_mistake_that_is_told_at_once(catalogue: Catalogue) -> None:
    with catalogue.write("enrol", who="Ada", what=""), pytest.raises(RuntimeError, match="would wait for itself"):
        catalogue.set_fact("a", "b")
    catalogue.set_fact("a", "b")


def test_a_verb_and_a_user_must_be_told(catalogue: Catalogue) -> None:
    with pytest.raises(ValueRefused, match="The user cannot be empty"), catalogue.write("enrol", who=" ", what=""):
        pass
    with pytest.raises(ValueRefused, match="The verb cannot be empty"), catalogue.write("", who="Ada", what=""):
        pass
