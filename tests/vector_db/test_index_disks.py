"""What happens to an index when the disk does not play along."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from pathlib import Path

import pytest
from index_catalogue import DIMENSION, Books
from index_processes import script, workers
from point_sets import drawn_points

from vector_db.edge_worker import SPACE_KEPT
from vector_db.errors import IndexUnavailable
from vector_db.port import Point


@pytest.fixture
def books() -> Books:
    return Books(drawn_points(300, DIMENSION))


def test_full_disk_is_said_and_loses_nothing(tmp_path: Path, books: Books) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        index = books.open(disk / "index")
        filler = disk / "filler"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler.write_bytes(bytes(free - SPACE_KEPT // 2))
        with pytest.raises(IndexUnavailable, match=r"too little space.*Free some"):
            index.upsert([Point(9999, drawn_points(1, DIMENSION)[0].vector)])
        with pytest.raises(IndexUnavailable, match="too little space"):
            index.upsert([Point(9999, drawn_points(1, DIMENSION)[0].vector)])
        filler.unlink()
        assert books.refute(index) is None
        books.add(index, [Point(9999, drawn_points(1, DIMENSION)[0].vector)])
        assert books.refute(index) is None
        index.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_files_that_may_not_grow_are_said_and_lose_nothing(tmp_path: Path, books: Books) -> None:
    """As a quota does it: the disk has room, the process may not have it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    index = books.open(tmp_path / "index")
    resource.prlimit(workers()[0].pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    more = [Point(20_000 + n, p.vector) for n, p in enumerate(drawn_points(3000, DIMENSION, seed=3))]
    try:
        books.add(index, more)
    except IndexUnavailable as error:
        assert "Run" in str(error) or "run" in str(error)  # noqa: PT017
    assert books.refute(index) is None  # a worker without that limit
    index.close()


def test_folder_that_may_not_be_written_is_said(books: Books) -> None:
    with tempfile.TemporaryDirectory() as reachable:  # pytest's own folders are closed to other users
        Path(reachable).chmod(0o755)
        folder = Path(reachable) / "index"
        books.open(folder).close()
        folder.chmod(0o555)
        other = script(
            """
            import os
            from pathlib import Path
            from index_catalogue import Books
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            try:
                Books().open(Path(sys.argv[3]))
            except Exception as error:
                print(type(error).__name__, error)
            """,
            folder,
        )
        said, errors = other.communicate(timeout=60)
        folder.chmod(0o755)
    assert said.startswith("IndexUnavailable"), errors
    assert "cannot be written" in said
    assert "right to write" in said


def test_file_where_the_folder_should_be_is_said(tmp_path: Path, books: Books) -> None:
    (tmp_path / "index").write_text("not a folder")
    with pytest.raises(IndexUnavailable, match="not a folder"):
        books.open(tmp_path / "index")
