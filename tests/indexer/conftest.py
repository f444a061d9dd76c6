"""A data folder of its own for each test, and drawn photos, drawn once a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import animals
from indexer.station import Station, open_station
from settings import Settings, read_settings

SMALL = (320, 240)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({}, data_dir=tmp_path / "data", user="the tests")


@pytest.fixture
def station(settings: Settings) -> Iterator[Station]:
    with open_station(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def whales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six individuals, four photos each in two encounters: a folder an individual, and `rows.csv` beside it."""
    folder = tmp_path_factory.mktemp("whales")
    rows = ["path,identity,encounter"]
    for individual in range(6):
        for photo in range(4):
            path = folder / f"W{individual}" / f"{photo}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(animals.photo(individual, photo, size=SMALL, encounter=photo // 2))
            rows.append(f"{path.relative_to(folder)},W{individual},W{individual}-{photo // 2}")
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")
    return folder
