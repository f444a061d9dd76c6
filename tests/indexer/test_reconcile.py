"""The index follows the catalogue, also while others write: a real index, and a second view of the catalogue."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from catalog.values import Ids
from indexer.edits import delete_sightings, set_species
from indexer.enrol import enrol
from indexer.given import Given
from indexer.reconcile import reconcile
from indexer.sightings import Source
from indexer.station import Station, open_books
from indexer.undo import undo
from vector_db.port import Point


def photo(whales: Path, number: int) -> Source:
    return Source("a.jpg", Given(), path=whales / f"W{number}" / "0.jpg")


def test_point_that_another_process_adds_while_an_index_is_opened_stays(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(station, "W0", [photo(whales, 0)], who="me")
    with open_books(station.settings) as ours:
        real = ours.live_ids

        def meanwhile(bundle_id: str) -> Ids:
            found = real(bundle_id)
            enrol(station, "W1", [photo(whales, 1)], who="another")
            return found

        monkeypatch.setattr(ours, "live_ids", meanwhile)
        reconcile(station.index, ours, station.bundle_id)
    assert station.index.ids().tolist() == [1, 2]


def test_facts_that_change_while_a_photo_is_enrolled_are_the_index_s_too(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(station, "W0", [photo(whales, 0)], who="me")
    real, read, followed = station.index.upsert, threading.Event(), threading.Event()

    def slow(points: Sequence[Point]) -> None:
        if threading.current_thread() is enrolling:
            read.set()
            followed.wait(0.5)
        real(points)

    monkeypatch.setattr(station.index, "upsert", slow)
    enrolling = threading.Thread(target=lambda: enrol(station, "W0", [photo(whales, 1)], who="me"))
    enrolling.start()
    assert read.wait(60)
    with open_books(station.settings) as others:
        set_species(others, "W0", "beluga", who="another")
    station.follower.follow()
    followed.set()
    enrolling.join()
    station.follower.follow()
    assert [point.facts.species for point in station.index.points([1, 2])] == ["beluga", "beluga"]


def test_point_that_an_undo_brings_back_while_it_is_dropped_stays(
    station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(station, "W0", [photo(whales, 0)], who="me")
    enrol(station, "W1", [photo(whales, 1)], who="me")
    deleted = delete_sightings(station.catalogue, [2], who="me")
    real = station.index.delete

    def meanwhile(ids: Iterable[int]) -> None:
        undo(station.catalogue, deleted.event_id, who="another")
        station.follower.follow()
        real(ids)

    monkeypatch.setattr(station.index, "delete", meanwhile)
    reconcile(station.index, station.catalogue, station.bundle_id)
    assert station.index.ids().tolist() == [1, 2]
