"""The index is laid out anew as it grows, and a failure of that fails nothing else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.bulk import import_rows
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from settings import Settings
from vector_db import rebuild

GROWN = {"codes_above": 3}


@pytest.fixture
def small_steps(settings: Settings) -> Settings:
    return settings.model_copy(update=GROWN)


def enrol_four(station: Station, whales: Path, number: int) -> None:
    photos = [Source(path.name, Given(), path=path) for path in sorted((whales / f"W{number}").glob("*.jpg"))]
    enrol(station, f"W{number}", photos, who="me")


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_index_that_is_tended_is_laid_out_as_it_grows(
    small_steps: Settings, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.tending.LOOK_EVERY_S", 0.05)
    with open_station(small_steps) as station:
        station.tend()
        enrol_four(station, whales, 0)
        assert until(lambda: station.index.info().layout == "codes")
        assert station.index.ids().tolist() == [1, 2, 3, 4]


def test_index_that_had_grown_before_is_laid_out_at_the_start(small_steps: Settings, whales: Path) -> None:
    with open_station(small_steps) as station:
        enrol_four(station, whales, 0)
        assert station.index.info().wants_optimising
    with open_station(small_steps) as station:
        station.tend()
        assert until(lambda: station.index.info().layout == "codes")


def no_room(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(rebuild.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))


def test_tended_index_without_room_goes_on_as_it_is(
    small_steps: Settings, whales: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_room(monkeypatch, whales)
    with open_station(small_steps) as station:
        enrol_four(station, whales, 0)
        station.tend()
        assert until(lambda: "1 MB are free" in caplog.text)
        enrol_four(station, whales, 1)
        assert station.index.count() == 8


def test_import_without_room_for_the_fast_layout_ends_well_and_says_so(
    small_steps: Settings, whales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_room(monkeypatch, whales)
    with open_station(small_steps) as station:
        done = import_rows(station, whales, who="me")
        assert done.enrolled == 24
        assert "1 MB are free" in str(done.not_laid_out)
        assert station.catalogue.imports.one(done.import_id).finished_at is not None
