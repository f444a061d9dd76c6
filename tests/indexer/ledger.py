"""A catalogue with individuals in it, without photos or encoder: edits and undo touch neither."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, make_url, select, text

from catalog import schema
from catalog.catalogue import Catalogue
from catalog.open import open_catalogue
from catalog.values import PhotoRow
from indexer.edits import Done

SERVER = os.environ.get("FLUKEPRINT_TEST_POSTGRES_URL")
ENGINES = ["sqlite", *(["postgresql"] if SERVER else [])]
WHO = "Ada"
Table = list[tuple[Any, ...]]


def new_catalogue(engine: str, folder: Path) -> Catalogue:
    """On a file in the folder, or in an empty schema of the server."""
    if engine == "sqlite":
        (folder / "catalogue.db").write_bytes(_empty())
        return open_catalogue(f"sqlite:///{folder / 'catalogue.db'}", full_sync=False)
    assert SERVER is not None
    address = make_url(SERVER).set(drivername="postgresql+psycopg")
    name = f"test_indexer_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    server = create_engine(address)
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {name}"))
    server.dispose()
    ours = address.update_query_dict({"options": f"-csearch_path={name}"})
    return open_catalogue(ours.render_as_string(hide_password=False), full_sync=False)


@cache
def _empty() -> bytes:
    """A catalogue just made, so that not every test has to."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.db"
        open_catalogue(f"sqlite:///{path}").close()
        return path.read_bytes()


def enrol(catalogue: Catalogue, name: str, photos: Sequence[str], species: str | None = None) -> Done:
    """The photos of these names as sightings of this individual, new or known."""
    with catalogue.write("enrol", who=WHO, what=f'Enrolled {len(photos)} of "{name}".') as write:
        known = write.individual_named(name)
        number = write.add_individual(name, species) if known is None else known
        seen = []
        for photo in photos:
            digest = sha256(photo.encode()).hexdigest()
            write.add_photo(PhotoRow(digest, "original", f"{digest}.jpg", photo, "jpeg", 1, 1, 1))
            facts: dict[str, Any] = {"species": species, "brightness": 0.5, "sharpness": 0.1}
            seen.append(write.add_sighting(number, write.encounter(name), digest, **facts))
    return Done(write.event_id if write.changed else 0, write.what, number, tuple(seen))


def tables(catalogue: Catalogue) -> tuple[Table, Table]:
    """All of individuals and sightings, tombstones too."""
    return _rows(catalogue, schema.individuals), _rows(catalogue, schema.sightings)


def log(catalogue: Catalogue) -> tuple[Table, Table]:
    """All of events and changes."""
    return _rows(catalogue, schema.events), _rows(catalogue, schema.changes)


def _rows(catalogue: Catalogue, table: Any) -> Table:
    with catalogue.transactions.reading() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]


def living(catalogue: Catalogue) -> tuple[dict[int, tuple[str, str | None]], dict[int, int]]:
    """Live individuals with name and species, live sightings with whose they are."""
    individuals, sightings = tables(catalogue)
    return {row[0]: (row[1], row[2]) for row in individuals if row[4]}, {row[0]: row[1] for row in sightings if row[-1]}
