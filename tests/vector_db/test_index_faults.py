"""What happens to an index when processes die, or others want it too."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import numpy as np
import psutil
import pytest
from index_catalogue import DIMENSION, Books, Keeps, plain_points
from index_processes import alive, all_gone, script, until, workers
from point_sets import Truth, drawn_points, unit

from vector_db.errors import IndexHeld, IndexUnavailable
from vector_db.port import NO_FILTER, Point, VectorIndex

KILLS = int(os.environ.get("FLUKEPRINT_TEST_KILLS", "10"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def books() -> Books:
    return Books(drawn_points(300, DIMENSION))


@pytest.fixture
def index(tmp_path: Path, books: Books) -> Iterator[VectorIndex]:
    index = books.open(tmp_path / "index")
    yield index
    index.close()


def test_worker_killed_while_serving_is_replaced_within_the_next_search(index: VectorIndex, books: Books) -> None:
    query = unit(np.random.default_rng(0), 1, DIMENSION)[0]
    before = index.search(query, 10)
    for _ in range(3):
        workers()[0].kill()
        started = time.monotonic()
        assert index.search(query, 10) == before
        assert time.monotonic() - started < 5
    assert books.runs == 4
    assert len(workers()) == 1


def test_points_that_the_catalogue_got_while_the_worker_was_dead_are_found(index: VectorIndex, books: Books) -> None:
    late, *_ = drawn_points(1, DIMENSION, seed=8)
    late = Point(10_000, late.vector)
    workers()[0].kill()
    books.points[late.id] = late  # SQL had committed, the index had not heard of it
    assert index.search(late.vector, 1)[0].id == 10_000


def test_worker_killed_during_a_write_does_not_lose_it(index: VectorIndex, books: Books) -> None:
    stop, written = threading.Event(), threading.Event()

    def killer() -> None:
        chance = random.Random(1)
        while not stop.wait(chance.uniform(0.2, 0.6)):
            if written.is_set():  # once a write: a machine so slow that each try dies is told to give up, and may
                written.clear()
                for worker in workers():
                    worker.kill()

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        for seed in range(20):
            books.add(
                index, [Point(1000 + 50 * seed + n, p.vector, p.facts) for n, p in enumerate(drawn_points(50, DIMENSION, seed))]
            )
            written.set()
    finally:
        stop.set()
        thread.join()
    assert books.refute(index) is None


def test_worker_that_hangs_is_replaced(index: VectorIndex, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_db.edge_process.EdgeProcess.ask.__kwdefaults__", {"patience_s": 2.0}, raising=True)
    hung = workers()[0]
    hung.suspend()
    assert index.count() == len(books.points)
    assert not hung.is_running()


def test_worker_that_hangs_before_a_long_write_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One longer than the socket holds, so that it cannot even be sent."""
    monkeypatch.setattr("vector_db.edge_process.EdgeProcess.ask.__kwdefaults__", {"patience_s": 2.0}, raising=True)
    books, wide = Books(), 512
    index = books.open(tmp_path / "wide", dimension=wide)
    hung = workers()[0]
    hung.suspend()
    index.upsert([Point(id, vector) for id, vector in enumerate(unit(np.random.default_rng(0), 1000, wide))])
    assert not hung.is_running()
    assert index.count() == 1000
    index.close()


def test_an_interrupted_call_leaves_no_answer_behind_for_the_next(index: VectorIndex, books: Books) -> None:
    query = unit(np.random.default_rng(0), 1, DIMENSION)[0]
    expected = index.search(query, 5)

    def interrupt(_: int, where: FrameType | None) -> None:
        if where is not None and "coverage" in where.f_code.co_filename:  # it would keep its lock for ever
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay_s in (0.0005, 0.001, 0.002, 0.004):
            signal.setitimer(signal.ITIMER_REAL, delay_s)
            try:
                for _ in range(200):
                    assert index.count() == len(books.points)
            except KeyboardInterrupt:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert index.search(query, 5) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_ctrl_c_and_a_polite_stop_do_not_reach_the_worker(index: VectorIndex, books: Books) -> None:
    worker = workers()[0]
    worker.send_signal(signal.SIGINT)
    worker.send_signal(signal.SIGTERM)
    assert index.count() == len(books.points)
    assert worker.is_running()
    assert books.runs == 1


def test_catalogue_that_fails_while_the_index_opens_is_heard_and_the_index_let_go(tmp_path: Path, books: Books) -> None:
    class Locked(Exception):
        """As a database says it."""

    def fails(_: VectorIndex) -> None:
        raise Locked

    real, books.reconcile = books.reconcile, fails  # type: ignore[method-assign]
    with pytest.raises(Locked):
        books.open(tmp_path / "index")
    assert workers() == []
    books.reconcile = real  # type: ignore[method-assign]
    index = books.open(tmp_path / "index")
    assert books.refute(index) is None
    index.close()


def test_worker_killed_while_the_catalogue_is_compared_starts_that_again(tmp_path: Path, books: Books) -> None:
    real, killed = books.reconcile, []

    def dies_once(index: VectorIndex) -> None:
        if not killed:
            killed.append(workers()[0])
            killed[0].kill()
        real(index)

    books.reconcile = dies_once  # type: ignore[method-assign]
    index = books.open(tmp_path / "index")
    assert books.refute(index) is None
    index.close()


def test_second_process_is_told_which_process_holds_the_index(index: VectorIndex, tmp_path: Path) -> None:
    other = script(
        """
        from index_catalogue import Books
        from pathlib import Path
        try:
            Books().open(Path(sys.argv[3]))
        except Exception as error:
            print(type(error).__name__, error)
        """,
        tmp_path / "index",
    )
    said, errors = other.communicate(timeout=60)
    assert said.startswith("IndexHeld"), errors
    assert f"in use by process {os.getpid()} (" in said
    assert "pytest" in said
    assert index.count() == 300  # the one who has it did not notice


def test_same_process_is_told_that_it_has_the_index_itself(index: VectorIndex, books: Books, tmp_path: Path) -> None:
    with pytest.raises(IndexHeld, match="this very process"):
        books.open(tmp_path / "index")
    assert index.count() == 300


def test_closed_index_is_free_for_the_next_and_says_that_it_is_closed(tmp_path: Path, books: Books) -> None:
    first = books.open(tmp_path / "index")
    first.close()
    first.close()
    with pytest.raises(IndexUnavailable, match="closed"):
        first.count()
    second = books.open(tmp_path / "index")
    assert books.refute(second) is None
    assert books.added == 300
    second.close()
    assert workers() == []


WRITER = """
    import random
    from pathlib import Path
    from index_catalogue import Keeps, plain_points
    index = Keeps().open(Path(sys.argv[3]))
    points = plain_points(int(sys.argv[4]), 4000)
    print("ready", flush=True)
    while points:
        some = [points.pop(0) for _ in range(min(len(points), random.randint(1, 20)))]
        index.upsert(some)
        print(some[-1].id, flush=True)
    sys.stdin.read()
"""


@pytest.mark.faults
def test_no_acknowledged_point_is_lost_when_the_owner_is_killed(tmp_path: Path) -> None:
    """And the orphaned worker goes, and frees the lock, within two seconds."""
    folder, chance = tmp_path / "index", random.Random(os.environ.get("FLUKEPRINT_TEST_SEED", "7"))
    known: dict[int, Point] = {}
    for run in range(KILLS):
        first = 10_000 * (run + 1)
        writer = script(WRITER, folder, first)
        assert writer.stdout is not None
        if writer.stdout.readline() != "ready\n":
            raise AssertionError(writer.communicate()[1])
        time.sleep(chance.uniform(0.0, 0.6))
        orphans = workers(writer.pid)
        writer.kill()
        acknowledged = writer.communicate()[0].split()
        assert until(partial(all_gone, orphans), 2.0)
        latest = {point.id: point for point in plain_points(first, 4000) if acknowledged and point.id <= int(acknowledged[-1])}
        known.update(latest)

        index = Keeps().open(folder)
        held = set(index.ids().tolist())
        assert known.keys() <= held, f"lost {sorted(known.keys() - held)[:10]}"
        assert len(held - known.keys()) <= 20  # a batch that was taken as the owner died
        assert index.info().rebuilt is None or run == 0
        index.delete(held - known.keys())
        kept = list(index.points(list(latest)))
        assert all(np.allclose(point.vector, latest[point.id].vector, atol=1e-6) for point in kept)
        assert len(kept) == len(latest)
        index.close()
    index = Keeps().open(folder)
    assert Books(known.values()).refute(index) is None  # all of them once, since to read them all takes seconds in the end
    index.close()
    assert known


def test_orphaned_worker_leaves_also_when_a_fork_of_its_owner_keeps_the_socket(tmp_path: Path) -> None:
    owner = script(
        """
        import os, time
        from pathlib import Path
        from index_catalogue import Books
        index = Books().open(Path(sys.argv[3]))
        if os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(30)
            os._exit(0)
        print("ready", flush=True)
        time.sleep(30)
        """,
        tmp_path / "index",
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    (orphan,) = workers(owner.pid)
    (fork,) = [child for child in psutil.Process(owner.pid).children() if child.pid != orphan.pid]
    owner.kill()
    owner.communicate()
    assert until(lambda: not alive(orphan), 2.0)
    fork.kill()
    assert until(lambda: not alive(fork))
    index = Books().open(tmp_path / "index")
    index.close()


def test_a_fork_of_the_owner_is_told_to_open_the_index_itself(tmp_path: Path) -> None:
    owner = script(
        """
        import os
        from pathlib import Path
        from index_catalogue import Books, plain_points
        index = Books(plain_points(1, 5)).open(Path(sys.argv[3]))
        if os.fork() == 0:
            try:
                index.count()
            except Exception as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        print(index.count())
        index.close()
        """,
        tmp_path / "index",
    )
    said, errors = owner.communicate(timeout=60)
    assert "before this process was forked" in said, errors
    assert said.splitlines()[-1] == "5"


def test_searches_go_on_beside_writes(index: VectorIndex, books: Books) -> None:
    queries = unit(np.random.default_rng(4), 20, DIMENSION)
    fixed = Truth(list(books.points.values()))
    wrong: list[str] = []
    stop = threading.Event()

    def search(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            query = chance.choice(list(queries))
            found = index.search(query, 1, NO_FILTER)
            own = max(float(p.vector @ query) for p in fixed.points)
            if not found or found[0].score < own - 1e-5:
                wrong.append(f"{found} where one of {own} was there all the time")

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        for seed in range(30):
            books.add(index, [Point(5000 + 20 * seed + n, p.vector) for n, p in enumerate(drawn_points(20, DIMENSION, seed))])
            index.delete([5000 + 20 * seed])
            del books.points[5000 + 20 * seed]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert books.refute(index) is None


def test_threads_that_come_and_go_do_not_take_the_worker_with_them(tmp_path: Path, books: Books) -> None:
    opened: list[VectorIndex] = []
    thread = threading.Thread(target=lambda: opened.append(books.open(tmp_path / "index")))
    thread.start()
    thread.join()
    time.sleep(0.7)
    assert opened[0].count() == 300
    assert books.runs == 1
    opened[0].close()


def test_worker_inherits_its_two_descriptors_and_nothing_else(tmp_path: Path, books: Books) -> None:
    with (tmp_path / "secret").open("wb") as mine:
        os.set_inheritable(mine.fileno(), True)
        index = books.open(tmp_path / "index")
        held = {str(path.readlink()) for path in Path(f"/proc/{workers()[0].pid}/fd").iterdir()}
        index.close()
    assert str(tmp_path / "secret") not in held
    assert str(tmp_path / "index" / "lock") in held
    assert sum(name.startswith("socket:") for name in held) == 1


def test_opening_and_closing_leaves_no_process_thread_or_descriptor(tmp_path: Path, books: Books) -> None:
    books.open(tmp_path / "index").close()
    own = psutil.Process()
    before = own.num_fds(), threading.active_count(), len(own.children())
    for _ in range(3):
        index = books.open(tmp_path / "index")
        workers()[0].kill()
        assert index.count() == 300
        index.close()
    assert (own.num_fds(), threading.active_count(), len(own.children())) == before
    assert {path.name.split("-")[0] for path in (tmp_path / "index").iterdir()} == {
        "engine.log",
        "lock",
        "seal.json",
        "shard",
        "stamp.json",
    }
