"""An index laid out anew on a copy: searches and writes go on, and a crash at any moment leaves a sound one."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from index_catalogue import DIMENSION, Books, plain_points
from index_processes import all_gone, script, until, workers
from point_sets import Truth, drawn_points, unit

from vector_db import rebuild
from vector_db.errors import IndexUnavailable
from vector_db.port import NO_FILTER, Filter, Point, VectorIndex

KILLS = int(os.environ.get("FLUKEPRINT_TEST_KILLS", "10"))
QUERIES = unit(np.random.default_rng(0), 10, DIMENSION)


@pytest.fixture
def books() -> Books:
    return Books(drawn_points(1500, DIMENSION))


def recall(index: VectorIndex, where: Filter = NO_FILTER) -> float:
    """The share of the ten nearest by brute force that a search finds."""
    found = 0
    for query in QUERIES:
        exact = {one.id for one in index.search(query, 10, where, exact=True)}
        found += len(exact & {one.id for one in index.search(query, 10, where)})
    return found / (10 * len(QUERIES))


@pytest.mark.parametrize(("hnsw_above", "layout"), [(10**9, "codes"), (1000, "graph")])
def test_index_is_built_above_its_size_and_finds_the_same(tmp_path: Path, books: Books, hnsw_above: int, layout: str) -> None:
    index = books.open(tmp_path / "index", codes_above=500, hnsw_above=hnsw_above)
    assert index.info().wants_optimising
    assert index.info().layout == "flat"
    index.optimise()
    info = index.info()
    assert (info.layout, info.built, info.wants_optimising) == (layout, 1500, False)
    assert recall(index) >= 0.99
    assert recall(index, Filter(species="orca")) >= 0.99
    assert books.refute(index) is None
    index.optimise()  # nothing to do
    index.close()

    again = books.open(tmp_path / "index", codes_above=500, hnsw_above=hnsw_above)
    assert again.info().layout == layout
    assert books.refute(again) is None
    assert books.added == 1500
    again.close()
    assert [path.name for path in (tmp_path / "index").glob("shard-*")] == ["shard-2"]


def test_small_index_is_left_alone(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=1500)
    index.optimise()
    assert index.info().layout == "flat"
    assert [path.name for path in (tmp_path / "index").glob("shard-*")] == ["shard-1"]
    index.close()


def test_what_is_written_while_it_is_built_is_in_it(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=500)
    building = threading.Thread(target=index.optimise)
    building.start()
    fixed, wrong, first = Truth(list(books.points.values())), [], 50_000
    while building.is_alive():
        index.delete([next(iter(books.points))])
        del books.points[next(iter(books.points))]
        books.add(index, plain_points(first, 20))
        books.add(index, [Point(first, plain_points(first + 1, 1)[0].vector)])  # written twice
        first += 20
        found = index.search(QUERIES[0], 3)
        wrong += [] if len(found) == 3 else [found]
        time.sleep(0.01)
    building.join()
    assert wrong == []
    assert first > 50_100
    assert index.info().layout == "codes"
    assert books.refute(index) is None
    assert len(workers()) == 1
    assert fixed.points
    index.close()


def test_worker_killed_while_it_is_built_is_no_matter(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=500)
    for _ in range(3):
        building = threading.Thread(target=index.optimise)
        building.start()
        time.sleep(random.Random(1).uniform(0, 0.3))
        for worker in workers():
            worker.kill()
        assert len(index.search(QUERIES[0], 3)) == 3
        building.join()
        assert books.refute(index) is None
    index.close()


def test_clear_while_it_is_built_leaves_an_empty_index(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=500)
    building = threading.Thread(target=index.optimise)
    building.start()
    assert until(lambda: bool(list((tmp_path / "index").glob("shard-2"))) or not building.is_alive())
    index.clear()
    books.points.clear()
    building.join()
    assert index.count() == 0
    assert index.info().layout == "flat"
    index.close()


def test_close_while_it_is_built_does_not_wait_for_it(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=500)
    building = threading.Thread(target=index.optimise)
    building.start()
    assert until(lambda: len(builders()) == 1)
    index.close()
    building.join(10)
    assert not building.is_alive()
    assert builders() == workers() == []
    assert len(list((tmp_path / "index").glob("shard-*"))) == 1
    again = books.open(tmp_path / "index", codes_above=500)
    assert books.refute(again) is None
    again.close()


def test_builder_that_dies_is_said_and_the_index_goes_on(tmp_path: Path, books: Books) -> None:
    index = books.open(tmp_path / "index", codes_above=500)
    failed: list[BaseException] = []

    def optimise() -> None:
        try:
            index.optimise()
        except IndexUnavailable as error:
            failed.append(error)

    building = threading.Thread(target=optimise)
    building.start()
    assert until(lambda: len(builders()) == 1)
    builders()[0].kill()
    building.join()
    assert "could not be built" in str(failed[0])
    assert index.info().layout == "flat"
    assert books.refute(index) is None
    index.optimise()
    assert index.info().layout == "codes"
    index.close()


def test_too_little_space_for_a_copy_is_said(tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(rebuild.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    index = books.open(tmp_path / "index", codes_above=500)
    with pytest.raises(IndexUnavailable, match="1 MB are free"):
        index.optimise()
    assert books.refute(index) is None
    index.close()


OPTIMISER = """
    from pathlib import Path
    from index_catalogue import Books, DIMENSION
    from point_sets import drawn_points
    index = Books(drawn_points(1500, DIMENSION)).open(Path(sys.argv[3]), codes_above=500)
    print("ready", flush=True)
    sys.stdin.readline()
    index.optimise()
    print("done", flush=True)
    sys.stdin.read()
"""


OLDER = """
    from pathlib import Path
    import numpy as np
    import vector_db.edge_shard as laid
    now, links = laid.GRAPH_SEARCH_WIDTH, laid.GRAPH_LINKS
    for links in (links, 32):
        laid.GRAPH_LINKS, folder = links, Path(sys.argv[3]) / str(links)
        shard = laid.Shard(folder, 8)
        rows = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        shard.upsert(range(200), rows.tobytes(), [{}] * 200)
        shard.close()
        laid.build(folder, 8, "graph")
    laid.GRAPH_LINKS = 64
    older, newer = (laid.Shard(Path(sys.argv[3]) / str(links), 8) for links in (32, 64))
    print(older._width == 2 * newer._width, newer._width == now)
    print([int(id) for id, _ in older.search(rows[7].tobytes(), 1, [], False)])
"""


def test_a_graph_of_fewer_links_that_was_built_before_is_walked_wider(tmp_path: Path) -> None:
    said, errors = script(OLDER, tmp_path).communicate()
    assert said == "True True\n[7]\n", errors


@pytest.mark.faults
def test_owner_killed_at_any_moment_of_building_leaves_a_sound_index(tmp_path: Path, books: Books) -> None:
    """And no builder or worker behind."""
    chance = random.Random(os.environ.get("FLUKEPRINT_TEST_SEED", "5"))
    sound = tmp_path / "sound"
    books.open(sound).close()
    reached = set()
    for run in range(KILLS):
        folder = tmp_path / str(run)
        shutil.copytree(sound, folder)
        owner = script(OPTIMISER, folder)
        assert owner.stdout is not None
        assert owner.stdin is not None
        if owner.stdout.readline() != "ready\n":
            raise AssertionError(owner.communicate()[1])
        owner.stdin.write("go\n")
        owner.stdin.flush()
        time.sleep(chance.uniform(0.0, 2.0))
        children = psutil.Process(owner.pid).children()
        owner.kill()
        owner.communicate()
        # One that has only just been started looks for its owner when it has loaded, which takes seconds on a busy machine.
        assert until(lambda children=children: all_gone(children), 10.0)
        reached.add((folder / "stamp.json").read_text())

        again = Books(books.points.values())
        index = again.open(folder, codes_above=500)
        assert index.info().rebuilt is None
        assert (again.added, again.removed) == (0, 0)
        assert again.refute(index) is None
        assert len(list(folder.glob("shard-*"))) == 1
        index.close()
        shutil.rmtree(folder)
    assert reached


def builders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "vector_db.edge_build" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
