"""Files are what was given to the last byte, however they reach the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.durable import sync_files, sync_folders, write_new


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 3 * 2**20 + 77])
def test_every_length_is_written_to_the_byte_and_still_there_once_synced(tmp_path: Path, length: int) -> None:
    data = os.urandom(length)
    write_new(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data
    sync_files([tmp_path / "photo"])
    sync_folders([tmp_path])
    assert (tmp_path / "photo").read_bytes() == data


def test_a_system_that_takes_no_advice_is_written_to_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    write_new(tmp_path / "photo", b"photo")
    assert (tmp_path / "photo").read_bytes() == b"photo"


def test_a_full_disk_is_said_and_not_worked_around() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device here is always full")
    with pytest.raises(OSError, match="No space left"):
        write_new(Path("/dev/full"), b"photo")
