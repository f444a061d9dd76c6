"""The index follows the catalogue, also while others write: a real index, and a second view of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from catalog.values import Ids
from indexer.edits import delete_sightings
from indexer.enrol import enrol
from indexer.given import Given
from indexer.reconcile import reconcile
from indexer.sightings import Source
from indexer.station import Station, open_books
from indexer.undo import undo


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
