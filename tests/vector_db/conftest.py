"""Indexes to test, of each engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_over_http import Contract, QdrantOverHttp

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Qdrant's published contract; None where it is not at hand."""
    shared = Path(os.environ.get("FLUKEPRINT_TEST_SHARED", ROOT.parent / "shared"))
    path = shared / "contracts" / "qdrant-openapi.json"
    return Contract(path) if path.is_file() else None


@pytest.fixture
def http_qdrant(contract: Contract | None) -> Iterator[QdrantOverHttp]:
    """A server of ours that found nothing to complain of by the end."""
    server = QdrantOverHttp(contract)
    yield server
    server.close()
    assert server.broken == []
