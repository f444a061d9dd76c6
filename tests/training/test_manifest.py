"""Which photos exactly, and what cannot be hashed is said by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import DataRefused
from training.manifest import make_manifest
from training.rows import Row, Table


@pytest.mark.parametrize(("path", "said"), [("absent.jpg", "No such file"), ("a\0.jpg", "null byte")])
def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(DataRefused, match=said):
        make_manifest(Table("t", (Row(path, "w"),)), tmp_path)
