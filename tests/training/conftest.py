"""Drawn photos for the tests that teach."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_photos import draw_photos

from training.rows import Table


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for them."""
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module")
def table(images: Path) -> Table:
    return draw_photos(images)
