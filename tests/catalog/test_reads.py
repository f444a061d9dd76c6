from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from filling import BUNDLE, DIMENSION, fill, photo, see, vector

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueUnavailable, NotKnown, ValueRefused
from catalog.open import open_catalogue
from catalog.values import IndividualSummary, Owner


def test_owners_are_told_of_live_sightings_only(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 1})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][0], live=False)
        write.set("individual", 1, name="Murky")
    found = catalogue.owners([*seen["Muddy"], *seen["Fleck"], 99])
    assert found == {
        seen["Muddy"][1]: Owner(1, "Murky", "orca", 1, "Muddy-1.jpg"),
        seen["Muddy"][2]: Owner(1, "Murky", "orca", 2, "Muddy-2.jpg"),
        seen["Fleck"][0]: Owner(2, "Fleck", "orca", 3, "Fleck-0.jpg"),
    }
    assert catalogue.owners([]) == {}


def test_owners_are_told_of_very_many_at_once(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 6_000}, vectors=False)["Muddy"]
    found = catalogue.owners(np.array(seen).tolist() * 3 + list(range(50_000, 90_000)))
    assert len(found) == 6_000
    assert found[seen[-1]].photo == "Muddy-5999.jpg"


def test_an_individual_is_found_by_id_or_name(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "3": 1, "Fleck": 1, "065": 1, "77": 1})
    assert catalogue.find_individual("Muddy").id == catalogue.find_individual(1).id == catalogue.find_individual("1").id == 1
    assert catalogue.find_individual("065").id == 4
    assert catalogue.find_individual("77").id == 5
    assert catalogue.find_individual("id:3").name == "Fleck"
    assert catalogue.find_individual("name:3").id == 2
    with pytest.raises(NotKnown, match='"3" is the name of individual 2 and the id of another; say "name:3" or "id:3"'):
        catalogue.find_individual("3")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("Nobody", 'There is no individual "Nobody"; "individuals" lists them'),
        ("99", 'There is no individual "99"'),
        (99, "There is no individual 99"),
        ("id:x", '"id:" wants a number after it, and "x" is none'),
        ("9" * 100, 'There is no individual "999'),
    ],
)
def test_an_individual_that_is_not_there_is_said_to_be_so(catalogue: Catalogue, given: str | int, says: str) -> None:
    with pytest.raises(NotKnown, match=says):
        catalogue.find_individual(given)


def test_a_number_beyond_any_row_is_said_to_be_of_none(catalogue: Catalogue) -> None:
    for look in (catalogue.find_individual, catalogue.event, catalogue.sighting, catalogue.identification):
        with pytest.raises(NotKnown, match="There is no"):
            look(10**30)
    assert catalogue.owners([2**62]) == {}


def test_a_tombstone_says_what_became_of_it(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 0, "Patch": 0})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("individual", 2, live=False, merged_into=1)
        write.set("individual", 3, live=False)
    for given in ("Fleck", 2, "id:2"):
        with pytest.raises(
            NotKnown, match=r'Individual 2 \("Fleck"\) has been merged into individual 1 \("Muddy"\); "history"'
        ):
            catalogue.find_individual(given)
    assert (catalogue.find_any_individual("Fleck").id, catalogue.find_any_individual("Muddy").id) == (2, 1)
    with pytest.raises(NotKnown, match='has been deleted; "history" shows by which event'):
        catalogue.find_individual("Patch")
    assert catalogue.individual(2).merged_into == 1
    assert not catalogue.individual(3).live


def test_individuals_are_listed_by_name_with_what_they_have(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 1, "Äthel": 0, "100%": 0})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][0], live=False)
        write.set("individual", 3, species="beluga")
    everyone = catalogue.individuals()
    assert sorted(everyone, key=lambda one: one.id) == [
        IndividualSummary(1, "Muddy", "orca", 2, 2),
        IndividualSummary(2, "Fleck", "orca", 1, 1),
        IndividualSummary(3, "Äthel", "beluga", 0, 0),
        IndividualSummary(4, "100%", "orca", 0, 0),
    ]
    assert [one.name for one in catalogue.individuals("MUD")] == ["Muddy"]
    assert [one.name for one in catalogue.individuals("ätH")] == ["Äthel"]
    assert [one.name for one in catalogue.individuals("%")] == ["100%"]
    assert [one.name for one in catalogue.individuals("_")] == []
    assert [one.name for one in catalogue.individuals(species="beluga")] == ["Äthel"]
    pages = [catalogue.page_of_individuals(limit=2, offset=offset) for offset in (0, 2)]
    assert pages == [(everyone[:2], 4), (everyone[2:], 4)]
    assert catalogue.individual_summary(1) == IndividualSummary(1, "Muddy", "orca", 2, 2)


def test_the_sightings_of_an_individual_are_its_live_ones(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 1})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][1], live=False)
    assert [one.id for one in catalogue.sightings_of(1)] == [seen["Muddy"][0], seen["Muddy"][2]]
    assert not catalogue.sighting(seen["Muddy"][1]).live
    assert set(catalogue.sightings([1, 2, 99])) == {1, 2}
    assert catalogue.sighting_by_photo(photo("Muddy-0.jpg").sha256) == seen["Muddy"][0]
    assert catalogue.sighting_by_photo(photo("Muddy-1.jpg").sha256) is None
    with pytest.raises(NotKnown, match="There is no sighting 99"):
        catalogue.sighting(99)
    with pytest.raises(NotKnown, match="There is no individual 99"):
        catalogue.sightings_of(99)


def test_vectors_come_in_blocks_as_they_were_given(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.vectors.BLOCK", 4)
    seen = fill(catalogue, {"Muddy": 9, "Fleck": 3})
    everything = seen["Muddy"] + seen["Fleck"]
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][5], live=False)
    live = [number for number in everything if number != seen["Muddy"][5]]
    assert catalogue.live_ids(BUNDLE).dtype == np.int64
    assert catalogue.live_ids(BUNDLE).tolist() == live
    blocks = list(catalogue.vectors(BUNDLE))
    assert len(blocks) == 3
    assert np.concatenate([ids for ids, _ in blocks]).tolist() == live
    matrix = np.concatenate([block for _, block in blocks])
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, np.stack([vector(number) for number in live]))
    some = list(catalogue.vectors(BUNDLE, [everything[-1], everything[0], everything[0], 99, seen["Muddy"][5]]))
    assert [ids.tolist() for ids, _ in some] == [[everything[0], everything[-1]]]
    assert list(catalogue.vectors(BUNDLE, [])) == []
    assert list(catalogue.vectors("another")) == []
    assert catalogue.live_ids("another").tolist() == []


def test_what_a_calibration_needs_is_told_in_one_array(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 1})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][0], live=False)
        write.set("sighting", seen["Muddy"][1], taken_on=None)
        write.set("sighting", seen["Fleck"][0], taken_on=date(1970, 1, 2), taken_at=datetime(1970, 1, 2, 0, 0, 9))
    told = catalogue.enrolled(BUNDLE).tolist()  # sighting, individual, encounter, day, second
    day, second = 719_164, 719_163 * 86_400 + 9  # 1 January 1970 is day 719,163 from 1 January of the year 1, which is day 1
    assert told == [[2, 1, 1, 0, 0], [3, 1, 2, told[1][3], 0], [4, 2, 3, day, second]]
    assert catalogue.enrolled("another").shape == (0, 5)


def test_the_index_is_told_a_vector_with_its_facts(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.vectors.BLOCK", 2)
    seen = fill(catalogue, {"Muddy": 5})["Muddy"]
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen[1], viewpoint="left", lat=1.5, lon=-2.5)
        write.set("sighting", seen[3], live=False)
    points = list(catalogue.indexable(BUNDLE))
    assert [point.id for point in points] == [seen[0], seen[1], seen[2], seen[4]]
    one = points[1]
    np.testing.assert_array_equal(one.vector, vector(one.id))
    assert (one.species, one.viewpoint, one.taken_on, one.lat, one.lon) == ("orca", "left", date(2021, 7, 2), 1.5, -2.5)
    assert [point.id for point in catalogue.indexable(BUNDLE, [seen[4], seen[3], seen[0]])] == [seen[0], seen[4]]


def test_vectors_of_two_bundles_do_not_meet(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 2})["Muddy"]
    catalogue.register_bundle("other-1", sha256="cd" * 32, dimension=4)
    with catalogue.write("embed", who="Ada", what="") as write:
        write.add_vector(seen[1], "other-1", np.array([0, 1, 0, 0], np.float32), 3.0)
    assert catalogue.live_ids("other-1").tolist() == [seen[1]]
    assert catalogue.counts().vectors == {BUNDLE: 2, "other-1": 1}
    assert catalogue.without_vector("other-1") == [seen[0]]
    assert [bundle.id for bundle in catalogue.bundles()] == [BUNDLE, "other-1"]
    assert catalogue.bundles()[1].dimension == 4


def test_history_is_newest_first_and_can_be_turned_page_by_page(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 1, "Fleck": 1})
    for name in ("One", "Two", "Three"):
        with catalogue.write("rename", who="Ada", what=name) as write:
            write.set("individual", 1, name=name)
    assert [event.what for event in catalogue.history()] == ["Three", "Two", "One", "Enrolled some."]
    page = catalogue.history(limit=2)
    assert [event.id for event in page] == [4, 3]
    assert [event.id for event in catalogue.history(limit=2, before=page[-1].id)] == [2, 1]
    assert [event.id for event in catalogue.history("individual", 2)] == [1]
    assert [event.id for event in catalogue.history("individual", 1, limit=2)] == [4, 3]
    assert [event.id for event in catalogue.history("sighting", seen["Fleck"][0])] == [1]
    assert catalogue.history("sighting", 99) == []
    with pytest.raises(NotKnown, match='There is no event 99; "history" lists them'):
        catalogue.event(99)


def test_a_follower_learns_which_sightings_changed_for_the_index(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3})["Muddy"]
    level = catalogue.last_event_id()
    assert level == 1
    assert sorted(catalogue.sightings_changed(0)) == seen
    assert catalogue.sightings_changed(level) == []
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("individual", 1, name="Other")
        write.set("sighting", seen[0], viewpoint="left")
        write.set("sighting", seen[1], live=False)
        write.rely("sighting", seen[2], "live")
    assert catalogue.sightings_changed(level) == [seen[0]]


def test_a_photo_that_is_not_there_is_none(catalogue: Catalogue) -> None:
    assert catalogue.photo("0" * 64) is None


def test_all_photos_are_told_page_by_page(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.catalogue.PAGE", 3)
    fill(catalogue, {"Muddy": 7})
    hashes = [row.sha256 for row in catalogue.photos()]
    assert len(hashes) == 7
    assert hashes == sorted(hashes)


def test_a_box_that_cannot_be_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ValueRefused, match="The box -1,0,5,5 cannot be"):
        catalogue.sighting_by_photo("0" * 64, (-1, 0, 5, 5))


def test_a_snapshot_is_a_whole_catalogue_of_its_own(book: Catalogue, tmp_path: Path) -> None:
    fill(book, {"Muddy": 5})
    copy = tmp_path / "copy.db"
    with book.write("enrol", who="Ada", what="") as write:
        see(write, 1, "E", "during.jpg")
        write.connection.in_transaction()
        book.snapshot(copy)
    with open_catalogue(f"sqlite:///{copy}", create=False) as copied:
        assert copied.counts().sightings == 5
        assert copied.check(BUNDLE).is_well()
        assert copied.fact("catalogue") == book.fact("catalogue")
        assert copied.live_ids(BUNDLE).tolist() == book.live_ids(BUNDLE).tolist()
        assert len(next(copied.vectors(BUNDLE))[1][0]) == DIMENSION
    with pytest.raises(CatalogueUnavailable, match="there is a file already"):
        book.snapshot(copy)
    with pytest.raises(CatalogueUnavailable, match=r"cannot be opened: the folder .*no such folder is not there"):
        book.snapshot(tmp_path / "no such folder" / "copy.db")


def test_an_identification_is_kept_alike_by_either_way_of_writing_it(tmp_path: Path) -> None:
    """SQLite's driver writes those that note nothing beside them; the others go through SQLAlchemy."""
    told = {"decision": "new", "probability": 0.25, "candidates": [{"name": 'Ære \u2028 "x"'}], "calibration": None}
    photos = [{"name": "é.jpg", "sha256": "0" * 64, "box": None}]
    with open_catalogue(tmp_path / "catalogue.db") as catalogue:
        catalogue.register_bundle("b", sha256="1" * 64, dimension=4)
        quick = catalogue.keep_identification(who="me", bundle_id="b", photos=photos, answer=told)
        noted: list[int] = []
        slow = catalogue.noting(lambda *made: noted.append(made[2])).keep_identification(
            who="me", bundle_id="b", photos=photos, answer=told
        )
        first, second = catalogue.identification(quick), catalogue.identification(slow)
        assert (noted, slow) == ([slow], quick + 1)
        assert timedelta(0) <= second.at - first.at < timedelta(seconds=30)
        assert replace(second, id=first.id, at=first.at) == first
        assert first.answer == told
        with catalogue.transactions.reading() as connection:
            rows = connection.exec_driver_sql("SELECT length(at), typeof(at), photos, answer FROM identifications").all()
        assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("name", "searches"),
    [
        ("Straße", ["straße", "STRASSE", "strass", "STRAẞE"]),
        ("STRASSE", ["straße", "Strasse"]),
        ("Ὀδυσσεύς", ["ὈΔΥΣΣΕΎΣ", "σεύς", "ΣΕΎΣ"]),
        ("Θάλασσα", ["ΘΆΛΑΣ", "θάλας"]),
        ("Ärger", ["ÄRG", "A\u0308rg", "a\u0308RGER"]),
        ("A\u0308rger", ["ärg", "\u00c4RGER"]),
        ("50 %_x", ["%_X"]),
    ],
)
def test_a_name_is_found_in_any_case_and_however_it_was_composed(catalogue: Catalogue, name: str, searches: list[str]) -> None:
    fill(catalogue, {name: 1, "other": 1})
    for search in searches:
        assert [one.id for one in catalogue.individuals(search)] == [1], search
        assert catalogue.page_of_individuals(search, limit=0) == ([], 1)


@contextmanager
def beside(change: Callable[[bool], None]) -> Iterator[None]:
    """In another thread, again and again, by turns with true and false, while the block runs."""
    stop = threading.Event()

    def to_and_fro() -> None:
        for turn in cycle([True, False]):
            if stop.is_set():
                return
            change(turn)

    other = threading.Thread(target=to_and_fro)
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()


def test_an_individual_is_read_whole_beside_merges_and_their_undoing(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 4, "Fleck": 6})
    counts = set()

    def merge(turn: bool) -> None:
        with catalogue.write("test", who="Ada", what="") as write:
            for sighting in seen["Fleck"]:
                write.set("sighting", sighting, individual_id=1 if turn else 2)

    with beside(merge):
        for _ in range(300):
            summary, sightings = catalogue.whole_individual(1)
            counts.add(summary.sightings)
            assert summary.sightings == len(sightings)
            assert summary.encounters == len({one.encounter_id for one in sightings})
    assert counts == {4, 10}


def test_a_page_of_individuals_counts_those_that_it_was_taken_from(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1, "Fleck": 0})
    counts = set()

    def delete(turn: bool) -> None:
        with catalogue.write("test", who="Ada", what="") as write:
            write.set("individual", 2, live=not turn)

    with beside(delete):
        for _ in range(300):
            found, total = catalogue.page_of_individuals(limit=10)
            counts.add(total)
            assert len(found) == total
    assert counts == {1, 2}
