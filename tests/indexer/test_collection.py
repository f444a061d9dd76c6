"""A catalogue's collection on a Qdrant server is its own: neither a restored copy nor another catalogue touches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from indexer import registry
from indexer.backup import back_up, restore
from indexer.collection import IDENTITY, collection_of
from indexer.enrol import enrol
from indexer.given import Given
from indexer.reembed import use
from indexer.sightings import Source
from indexer.station import DEFAULT_BUNDLE, Station, open_books, open_station
from settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


def enrol_one(station: Station, whales: Path, number: int) -> None:
    source = Source("a.jpg", Given(), path=whales / f"W{number}" / "0.jpg")
    enrol(station, f"W{number}", [source], who="me")


def test_restored_backup_leaves_the_points_of_the_catalogue_it_was_made_of(
    on_server: Settings, whales: Path, tmp_path: Path
) -> None:
    with open_station(on_server) as station:
        enrol_one(station, whales, 0)
        back_up(on_server, tmp_path / "old.flukeprint")
        enrol_one(station, whales, 1)
        elsewhere = on_server.model_copy(update={"data_dir": tmp_path / "restored"})
        restore(elsewhere, tmp_path / "old.flukeprint")
        with open_station(elsewhere) as restored:
            assert restored.index.ids().tolist() == [1]
        assert station.index.ids().tolist() == [1, 2]


def test_catalogue_keeps_its_collection(on_server: Settings, whales: Path, qdrant: QdrantClient) -> None:
    for number in range(2):
        with open_station(on_server) as station:
            enrol_one(station, whales, number)
            name = collection_of(station.catalogue, station.bundle_id)
    assert [one.name for one in qdrant.get_collections().collections] == [name]
    assert qdrant.count(name).count == 2


def test_identity_is_drawn_once_by_two_who_open_a_catalogue_at_once(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_books(station.settings) as other:
        real = other.fact

        def meanwhile(key: str) -> str | None:
            found = real(key)
            if key == IDENTITY:
                collection_of(station.catalogue, "one")
            return found

        monkeypatch.setattr(other, "fact", meanwhile)
        assert collection_of(other, "one") == collection_of(station.catalogue, "one")
        assert station.catalogue.last_event_id() == 0


def test_bundle_that_is_removed_takes_its_collection_along(
    on_server: Settings,
    whales: Path,
    qdrant: QdrantClient,
    tmp_path: Path,
    prepared_otherwise: Callable[..., Path],
) -> None:
    registry.add(on_server, prepared_otherwise(DEFAULT_BUNDLE, tmp_path / "other", name="other", mean=[0.4, 0.4, 0.4]))
    with open_station(on_server) as station:
        enrol_one(station, whales, 0)
        old = station.bundle_id
    with open_books(on_server) as catalogue:
        new = use(on_server, catalogue, "other", who="me").bundle_id
        registry.remove(on_server, catalogue, old)
        assert [one.name for one in qdrant.get_collections().collections] == [collection_of(catalogue, new)]
