from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from filling import fill
from sqlalchemy import create_engine, make_url, text

from catalog import open as opening
from catalog.catalogue import Catalogue
from catalog.errors import CatalogueNewer, CatalogueUnavailable
from catalog.migrations.run import scripts
from catalog.open import HEAD, REVISIONS, open_catalogue
from catalog.schema import metadata


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def statements(path: Path) -> dict[str, str]:
    """Every table and index as SQLite holds it, but for white space, Alembic's own and the triggers."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'").fetchall()
    connection.close()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows if name != "alembic_version"}


def test_the_migrated_tables_are_those_of_the_schema(tmp_path: Path) -> None:
    open_catalogue(url(tmp_path / "migrated.db")).close()
    engine = create_engine(url(tmp_path / "made.db"))
    metadata.create_all(engine)
    engine.dispose()
    assert statements(tmp_path / "migrated.db") == statements(tmp_path / "made.db")


def test_alembic_finds_nothing_to_migrate(address: str, catalogue: Catalogue) -> None:
    assert catalogue.fact("catalogue")
    engine = create_engine(make_url(address))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_revisions_known_by_heart_are_those_of_the_scripts() -> None:
    assert tuple(reversed([script.revision for script in scripts().walk_revisions()])) == REVISIONS
    assert scripts().get_heads() == [HEAD]


def test_migrating_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_catalogue(url(tmp_path / "new.db")).close()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_each_catalogue_has_an_identity_of_its_own_that_stays(tmp_path: Path) -> None:
    with open_catalogue(url(tmp_path / "a.db")) as one, open_catalogue(url(tmp_path / "b.db")) as other:
        first = one.fact("catalogue")
        assert first != other.fact("catalogue")
    with open_catalogue(url(tmp_path / "a.db")) as again:
        assert again.fact("catalogue") == first


def test_opening_what_is_at_head_imports_no_alembic(tmp_path: Path) -> None:
    open_catalogue(url(tmp_path / "new.db")).close()
    code = f"import sys; from catalog.open import open_catalogue; open_catalogue({url(tmp_path / 'new.db')!r}).close()"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('alembic' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_catalogue_of_an_older_revision_is_brought_to_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a revision that exists for this test alone."""
    path = tmp_path / "old.db"
    with open_catalogue(url(path)) as old:
        fill(old, {"Muddy": 2})
    folder = tmp_path / "migrations"
    shutil.copytree(scripts().dir, folder)
    (folder / "versions" / "9999_later.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '9999', '{HEAD}'\n\n\n"
        "def upgrade():\n    with op.batch_alter_table('individuals', recreate='always') as batch:\n"
        "        batch.add_column(sa.Column('sex', sa.String(8)))\n"
    )
    monkeypatch.setattr("catalog.migrations.run.FOLDER", folder)
    monkeypatch.setattr(opening, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr(opening, "HEAD", "9999")
    with open_catalogue(url(path)) as new:
        assert [one.name for one in new.individuals()] == ["Muddy"]
        assert new.check().is_well()
    assert "sex" in statements(path)["individuals"]


def test_a_catalogue_of_the_first_revision_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made as the first version made it, filled, then opened by this one."""
    path = tmp_path / "old.db"
    with monkeypatch.context() as first:
        first.setattr(opening, "REVISIONS", REVISIONS[:1])
        first.setattr(opening, "HEAD", REVISIONS[0])
        with open_catalogue(url(path)) as old:
            fill(old, {"Muddy": 2})
            before, events = old.individuals(), old.history()
    assert "jobs" not in statements(path)
    with open_catalogue(url(path)) as new:
        assert (new.individuals(), new.history()) == (before, events)
        assert new.check().is_well()
    assert {"keys", "requests", "jobs", "job_rows", "feedback"} <= set(statements(path))


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    open_catalogue(url(path)).close()
    before = statements(path)
    folder = tmp_path / "migrations"
    shutil.copytree(scripts().dir, folder)
    (folder / "versions" / "9999_later.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{HEAD}'\n\n\n"
        "def upgrade():\n    op.execute('CREATE TABLE extra (id INTEGER)')\n    op.execute('CREATE TABLE extra (id INTEGER)')\n"
    )
    monkeypatch.setattr("catalog.migrations.run.FOLDER", folder)
    monkeypatch.setattr(opening, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr(opening, "HEAD", "9999")
    with pytest.raises(CatalogueUnavailable, match="extra"):
        open_catalogue(url(path))
    assert statements(path) == before


def test_two_that_make_the_same_catalogue_at_once_both_find_it_made(tmp_path: Path) -> None:
    code = f"from catalog.open import open_catalogue; print(open_catalogue({url(tmp_path / 'new.db')!r}).fact('catalogue'))"
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda _: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False), range(4)
            )
        )
    assert [run.stderr for run in done] == [""] * 4
    assert len({run.stdout for run in done}) == 1


def test_a_newer_catalogue_is_refused_with_both_revisions_and_what_to_do(address: str) -> None:
    open_catalogue(address).close()
    engine = create_engine(make_url(address))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    engine.dispose()
    with pytest.raises(CatalogueNewer, match=rf'"0999", this one knows "{HEAD}".*install the newer Flukeprint'):
        open_catalogue(address)


def test_where_nothing_is_it_is_refused_unless_it_may_be_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "catalogue.db"
    with pytest.raises(CatalogueUnavailable, match=r"There is no catalogue at .*catalogue\.db\. Check the data folder"):
        open_catalogue(url(path), create=False)
    assert not path.parent.exists()
    open_catalogue(url(path)).close()
    open_catalogue(url(path), create=False).close()


def test_a_path_may_hold_what_an_address_would_take_for_its_own(tmp_path: Path) -> None:
    path = tmp_path / "whales? #1 %20" / "catalogue.db"
    open_catalogue(path).close()
    with open_catalogue(path, create=False) as catalogue:
        assert catalogue.place == str(path)
    assert path.is_file()


def test_an_empty_file_is_no_catalogue_but_may_become_one(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    path.touch()
    with pytest.raises(CatalogueUnavailable, match="only an empty database"):
        open_catalogue(url(path), create=False)
    open_catalogue(url(path)).close()


def test_a_folder_where_the_file_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").mkdir()
    for create in (True, False):
        with pytest.raises(CatalogueUnavailable, match=r"should be the file .*catalogue\.db, but a folder is there"):
            open_catalogue(url(tmp_path / "catalogue.db"), create=create)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CatalogueUnavailable, match="a part of its path is a file"):
        open_catalogue(url(tmp_path / "data" / "catalogue.db"))


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(CatalogueUnavailable, match="is not a Flukeprint catalogue: it is no SQLite database"):
        open_catalogue(url(path))
    assert path.read_bytes() == b"not a database at all " * 100


def test_the_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0999')")
    connection.close()
    with pytest.raises(CatalogueUnavailable, match="holds tables of something else"):
        open_catalogue(url(path))
    assert set(statements(path)) == set()


def test_a_damaged_file_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with open_catalogue(url(path)) as whole:
        fill(whole, {"Muddy": 200})
    data = bytearray(path.read_bytes())
    data[8192 * 4 :] = b"\xff" * (len(data) - 8192 * 4)
    path.write_bytes(bytes(data))
    with (
        pytest.raises(CatalogueUnavailable, match=r"is damaged .*restore the last backup"),
        open_catalogue(url(path)) as broken,
    ):
        broken.individuals()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nonsense", 'address "nonsense" cannot be read; expected "sqlite:'),
        ("mysql://somewhere/db", 'cannot be kept in "mysql"; expected'),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
    ],
)
def test_an_address_that_cannot_be_is_refused(given: str, says: str) -> None:
    with pytest.raises(CatalogueUnavailable, match=says):
        open_catalogue(given)


def test_a_server_without_its_driver_or_that_does_not_answer_is_said_to_be_so() -> None:
    with pytest.raises(CatalogueUnavailable, match=r"make setup EXTRAS=postgresql|cannot be used: ") as refused:
        open_catalogue("postgresql://someone:secret@127.0.0.1:9/none")  # pragma: allowlist secret: made up
    assert "secret" not in str(refused.value)


def test_a_lock_held_too_long_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.engine.WAIT_S", 0.1)
    path = tmp_path / "catalogue.db"
    with open_catalogue(url(path)) as catalogue:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogueUnavailable, match="is locked: somebody else has been writing"):
            catalogue.set_fact("a", "b")
        holder.execute("ROLLBACK")
        holder.close()
        catalogue.set_fact("a", "b")


def test_a_full_disk_is_said_to_be_so_and_loses_nothing(tmp_path: Path) -> None:
    """SQLite's own cap on pages stands in for the disk; it reports the same error."""
    path = tmp_path / "catalogue.db"
    with open_catalogue(url(path)) as catalogue:
        fill(catalogue, {"Muddy": 1})
        before = catalogue.counts()
        with catalogue.write("probe", who="tester", what="") as write:
            write.connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(CatalogueUnavailable, match=r"No space is left for the catalogue .*catalogue\.db"):
            fill(catalogue, {"Fleck": 500})
        assert catalogue.counts() == before
        assert catalogue.check().is_well()


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root may mount a disk of its own")
def test_a_disk_that_is_full_to_the_last_byte_is_not_called_broken(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with open_catalogue(url(disk / "catalogue.db")) as catalogue:
            catalogue.set_fact("a", "b")
        with suppress(OSError), (disk / "others").open("wb", buffering=0) as others:
            while True:
                others.write(bytes(4096))
        with (
            pytest.raises(CatalogueUnavailable, match=r"No space is left for the catalogue .*catalogue\.db"),
            open_catalogue(url(disk / "catalogue.db")) as catalogue,
        ):
            catalogue.set_fact("a", "c")
        (disk / "others").unlink()
        with open_catalogue(url(disk / "catalogue.db")) as catalogue:
            assert catalogue.fact("a") == "b"
    finally:
        subprocess.run(["umount", disk], check=True)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
import catalog.migrations.run, getpass
from catalog.errors import CatalogueUnavailable
from catalog.open import open_catalogue
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        with open_catalogue(Path(path)) as catalogue:
            print("read", len(catalogue.individuals()))
            catalogue.set_fact("a", "b")
            print("wrote")
    except CatalogueUnavailable as refused:
        print(refused)
"""


def unprivileged(*paths: Path) -> list[str]:
    """The lines that opening and writing says to a user who may not write there."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("COV")
    }  # it could not be written either
    command = [sys.executable, "-c", UNPRIVILEGED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """One that every user may enter; pytest's own are private."""
    folder = Path("/tmp") / f"flukeprint-test-{os.getpid()}-{tmp_path.name}"
    folder.mkdir(mode=0o755)
    (folder / "private").mkdir(mode=0o000)
    yield folder
    for closed in (folder, folder / "private"):
        closed.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_said_to_be_so(open_folder: Path) -> None:
    paths = [open_folder / name / "catalogue.db" for name in (".", "deeper", "private", "private/data")]
    open_folder.chmod(0o555)
    here, deeper, private, in_private = unprivileged(*paths)
    assert here.startswith(f"The catalogue {paths[0]} cannot be written: {open_folder} is closed or read-only for the user")
    assert f"{open_folder} is closed or read-only for the user" in deeper
    assert f"{open_folder}/private is closed or read-only for the user" in private
    assert f"{open_folder}/private is closed or read-only for the user" in in_private


def test_a_read_only_catalogue_is_said_to_be_so(open_folder: Path) -> None:
    path = open_folder / "catalogue.db"
    with open_catalogue(url(path)) as catalogue:
        fill(catalogue, {"Muddy": 1})
    path.chmod(0o444)
    open_folder.chmod(0o555)
    [said] = unprivileged(path)
    assert said.startswith(f"The catalogue {path} cannot be written: {open_folder} is closed or read-only for the user")


def test_a_read_only_catalogue_that_another_has_open_can_be_read(open_folder: Path) -> None:
    path = open_folder / "catalogue.db"
    with open_catalogue(url(path)) as catalogue:
        fill(catalogue, {"Muddy": 1})
        for file in open_folder.glob("catalogue*"):
            file.chmod(0o444)
        open_folder.chmod(0o555)
        read, refused = unprivileged(path)
    assert read == "read 1"
    assert "cannot be written" in refused


def test_reading_goes_on_beside_another_process_that_writes(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with open_catalogue(url(path)) as catalogue, catalogue.write("enrol", who="tester", what="") as write:
        write.add_individual("Muddy")
        assert write.connection.in_transaction()
        code = f"from catalog.open import open_catalogue; print(len(open_catalogue({url(path)!r}, create=False).individuals()))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == "0\n"


def test_connections_keep_the_promises(tmp_path: Path) -> None:
    with open_catalogue(url(tmp_path / "a.db")) as catalogue:
        with catalogue.write("probe", who="tester", what="") as write:
            asked = {name: write.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PROMISED}
        assert asked == PROMISED


PROMISED = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000, "page_size": 8192}
