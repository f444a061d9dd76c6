"""The starter bundle, opened once for all of the encoder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoder.encode import Encoder, open_encoder


@pytest.fixture(scope="session")
def starter(root: Path) -> Path:
    return root / "bundles" / "starter-lite0"


@pytest.fixture(scope="session")
def encoder(starter: Path) -> Iterator[Encoder]:
    opened = open_encoder(starter, streams=2)
    yield opened
    opened.close()
