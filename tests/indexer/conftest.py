"""A data folder of its own for each test, and drawn photos, drawn once a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

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


@pytest.fixture
def qdrant(monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantClient]:
    """The client's in-memory engine in the place of a Qdrant server: the same one for all who connect."""
    engine = QdrantClient(":memory:")
    close = engine.close
    monkeypatch.setattr(engine, "close", lambda: None)  # whoever closes an index leaves the server running
    monkeypatch.setattr("vector_db.server_client.connect", lambda _: engine)
    yield engine
    close()


@pytest.fixture
def on_server(settings: Settings, qdrant: QdrantClient) -> Settings:
    assert qdrant.get_collections().collections == []
    return settings.model_copy(update={"qdrant_url": "http://127.0.0.1:6333"})


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
