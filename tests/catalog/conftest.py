"""A catalogue on real files. With FLUKEPRINT_TEST_POSTGRES_URL the same tests run on that server too, each in a new schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from catalog.catalogue import Catalogue
from catalog.open import open_catalogue

SERVER = os.environ.get("FLUKEPRINT_TEST_POSTGRES_URL")


def fresh_schema(server: str) -> str:
    """The address of an empty schema on this server."""
    address = make_url(server).set(drivername="postgresql+psycopg")
    schema = f"test_catalog_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    return address.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", *(["postgresql"] if SERVER else [])])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        assert SERVER is not None
        return fresh_schema(SERVER)
    return f"sqlite:///{tmp_path / 'catalogue.db'}"


@pytest.fixture
def catalogue(address: str) -> Iterator[Catalogue]:
    with open_catalogue(address) as opened:
        yield opened


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Catalogue]:
    """On SQLite whatever else is tested: for what only a file can show."""
    with open_catalogue(f"sqlite:///{tmp_path / 'book.db'}") as opened:
        yield opened
