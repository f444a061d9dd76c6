"""Files are what was given to the last byte, however they reach the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from catalog.durable import BLOCK, LARGE, PIECE, write_new

LENGTHS = [0, 1, LARGE - 1, LARGE, LARGE + 1, PIECE - 1, PIECE, PIECE + 1, PIECE + BLOCK, 3 * PIECE + 77]


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_is_written_to_the_byte(tmp_path: Path, length: int) -> None:
    data = os.urandom(length)
    write_new(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system knows no way past its page cache")
@pytest.mark.parametrize("refused", ["open", "write"])
def test_a_file_system_that_knows_no_way_past_its_cache_is_written_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    really = getattr(os, refused)

    def refuse(*given: object) -> int:
        if refused == "write" or (isinstance(given[1], int) and given[1] & os.O_DIRECT):
            raise OSError(errno.EINVAL, "Invalid argument")
        return int(really(*given))

    monkeypatch.setattr(os, refused, refuse)
    data = os.urandom(LARGE + 5)
    write_new(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data


def test_a_full_disk_is_said_and_not_worked_around() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device here is always full")
    with pytest.raises(OSError, match="No space left"):
        write_new(Path("/dev/full"), b"photo")
