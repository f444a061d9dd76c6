from __future__ import annotations

import sqlite3

from filling import BUNDLE, fill

from catalog.catalogue import Catalogue


def test_a_catalogue_counts_what_it_has(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 3, "Fleck": 2})
    with catalogue.write("test", who="Ada", what="") as write:
        write.set("sighting", seen["Muddy"][0], live=False)
    counts = catalogue.counts()
    assert (counts.individuals, counts.sightings, counts.encounters, counts.photos) == (2, 4, 3, 5)
    assert (counts.events, counts.identifications, counts.tombstones, counts.vectors) == (2, 0, 1, {BUNDLE: 4})


def test_a_well_catalogue_is_said_to_be_well(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 3})
    health = catalogue.check(BUNDLE)
    assert health.is_well()
    assert catalogue.check().is_well()


def test_live_sightings_without_a_vector_are_named(catalogue: Catalogue) -> None:
    seen = fill(catalogue, {"Muddy": 2})
    lacking = fill(catalogue, {"Muddy": 2}, vectors=False, prefix="more ")["Muddy"]
    assert catalogue.check(BUNDLE).without_vector == lacking
    assert not catalogue.check(BUNDLE).is_well()
    assert catalogue.check().is_well()
    with catalogue.write("test", who="Ada", what="") as write:
        write.set_many("sighting", lacking, live=False)
    assert catalogue.check(BUNDLE).is_well()
    assert catalogue.without_vector("another") == seen["Muddy"]


def test_rows_that_another_hand_has_broken_are_named(book: Catalogue) -> None:
    seen = fill(book, {"Muddy": 1, "Fleck": 1})
    hand = sqlite3.connect(book.place)
    hand.execute("UPDATE individuals SET live = 0 WHERE id = 1")
    hand.execute("UPDATE sightings SET encounter_id = 99 WHERE id = 2")
    hand.commit()
    hand.close()
    health = book.check(BUNDLE)
    assert health.live_of_dead == seen["Muddy"]
    assert health.orphans == ["sightings row 2 points at a row of encounters that is not there"]
    assert not health.is_well()


def test_a_damaged_page_is_named(book: Catalogue) -> None:
    fill(book, {"Muddy": 300})
    place = book.place
    hand = sqlite3.connect(place)
    root = hand.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_sightings_encounter_id'").fetchone()[0]
    hand.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    hand.close()
    with open(place, "r+b") as file:  # noqa: PTH123 (written in place)
        file.seek((root - 1) * 8192 + 8)
        file.write(b"\x7f" * 64)
    assert book.check(BUNDLE).damage != []
