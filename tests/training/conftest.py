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


@pytest.fixture(scope="module")
def finished(images: Path, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run that has ended; needs the extra train."""
    from small_run import SMALL

    from training.train import train

    out = tmp_path_factory.mktemp("finished")
    train(SMALL, table, images, out)
    return out
