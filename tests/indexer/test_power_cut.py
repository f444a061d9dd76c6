"""What a data folder is begun with is on disk before it has its name: each file and folder was synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer import registry
from indexer.backup import back_up, restore
from indexer.bulk import import_rows
from indexer.station import DEFAULT_BUNDLE, open_station
from settings import Settings


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes of all that was synced so far."""
    found: set[int] = set()
    really = os.fsync

    def sync(handle: int) -> None:
        found.add(os.fstat(handle).st_ino)
        really(handle)

    monkeypatch.setattr(os, "fsync", sync)
    return found


def unsynced(folder: Path, synced: set[int]) -> list[str]:
    return [path.name for path in (folder, *folder.rglob("*")) if path.stat().st_ino not in synced]


def test_bundle_that_is_added_or_mended_is_on_disk(settings: Settings, synced: set[int]) -> None:
    own = registry.add(settings, DEFAULT_BUNDLE).bundle.folder
    assert unsynced(own.parent, synced) == []
    (own / "model.onnx").write_bytes(b"damaged")
    synced.clear()
    assert registry.add(settings, DEFAULT_BUNDLE).replaced
    assert unsynced(own.parent, synced) == []


@pytest.mark.parametrize("there", [False, True])
def test_folder_that_is_restored_is_on_disk(
    settings: Settings, whales: Path, tmp_path: Path, synced: set[int], there: bool
) -> None:
    with open_station(settings) as station:
        import_rows(station, whales, who="me")
    back_up(settings, tmp_path / "all.flukeprint")
    elsewhere = settings.model_copy(update={"data_dir": tmp_path / "restored"})
    if there:
        elsewhere.data_dir.mkdir()
    synced.clear()
    restore(elsewhere, tmp_path / "all.flukeprint")
    assert unsynced(elsewhere.data_dir, synced) == []
    assert tmp_path.stat().st_ino in synced
