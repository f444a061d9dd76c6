from __future__ import annotations

import doctest
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest

from encoder.bundle import load_bundle
from indexer import tuning
from indexer.station import DEFAULT_BUNDLE
from indexer.tuning import Way, limit_of, photos, queue_of, tuned, ways, write_tuned
from settings import Settings, cores, read_settings
from vector_db.growth import HNSW_ABOVE


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(tuning).attempted > 1
    assert doctest.testmod(tuning).failed == 0


def test_one_stream_a_core_is_what_others_are_held_against_and_each_way_is_tried_once() -> None:
    for there in (1, 2, 4, 64, 192):
        found = ways(there)
        assert found[0] == Way(there)
        assert len(found) == len(set(found))
        assert all(way.streams <= 256 for way in found), "settings take no more"
        assert all(way.streams >= way.batch for way in found), "a batch cannot fill with fewer callers"


def test_the_photos_are_of_one_and_of_twelve_megapixels() -> None:
    shapes = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape for data in photos()]  # type: ignore[union-attr]
    assert shapes == [(864, 1152, 3), (3024, 4032, 3)]


def test_the_queue_lets_nobody_wait_longer_than_is_borne() -> None:
    for streams in (1, 2, 16):
        places = queue_of(per_s=streams / 0.1, alone_s=0.1, streams=streams, there=streams)
        assert (places + streams) / (streams / 0.1) == pytest.approx(tuning.PATIENCE * 0.1)
    settings = read_settings({})
    assert queue_of(per_s=1.0, alone_s=0.1, streams=2, there=cores()) == settings.queue, (
        "no shorter than where nothing is tuned"
    )


def test_what_is_faster_in_each_round_of_a_quiet_machine_is_taken_and_nothing_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, other = Way(2), Way(4)
    monkeypatch.setattr(tuning, "ways", lambda _: [usual, other])
    monkeypatch.setattr(tuning, "scan_limit", lambda *_: None)
    monkeypatch.setattr(tuning, "_alone", lambda *_: 0.05)

    def run(rates: dict[Way, list[float]], others: float | None) -> tuning.Tuned:
        left = {way: iter(each) for way, each in rates.items()}
        monkeypatch.setattr(tuning, "_opened", lambda *given: nullcontext(given[-1]))
        monkeypatch.setattr(tuning, "_rate", lambda way, *_: next(left[way]))
        monkeypatch.setattr(tuning, "_others", lambda: nullcontext(lambda: others))
        return tuned(load_bundle(DEFAULT_BUNDLE), settings)

    steady, faster = [20.0] * 5, [24.0, 23.0, 22.0, 25.0, 24.0]
    assert run({usual: steady, other: faster}, 0.02).way == other
    assert run({usual: steady, other: faster}, None).way == other
    once = run({usual: steady, other: [30.0, 30.0, 30.0, 30.0, 19.0]}, 0.0)
    assert once.way == usual
    assert "1.50 times as fast, and 0.95 in its slowest round" in once.reason
    crowded = run({usual: steady, other: faster}, 0.4)
    assert crowded.way == usual
    assert "others had 40% of this machine" in crowded.reason


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux tells what others take")
def test_what_others_take_of_the_processor_is_told() -> None:
    busy = "import time\nuntil = time.monotonic() + 20\nwhile time.monotonic() < until: pass"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            time.sleep(0.2)
            with tuning._others() as others:
                time.sleep(2)
            taken = others()
        finally:
            other.kill()
    assert taken is not None
    assert taken > 0.5 / cores()


def test_a_graph_is_built_where_scanning_is_slow() -> None:
    slow, fast = limit_of(0.01, 0.03, 0.05), limit_of(0.0001, 0.0003, 0.05)
    assert slow == 100_000
    assert fast == tuning.HNSW_MOST
    assert limit_of(0.002, 0.001, 0.05) == HNSW_ABOVE  # a machine that does other work


@pytest.mark.slow
def test_what_is_measured_is_written_and_read_by_the_next_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, only shorter."""
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    monkeypatch.setattr(tuning, "ROUND_S", 0.1)
    monkeypatch.setattr(tuning, "POINTS", (1_000, 6_000))
    monkeypatch.setattr(tuning, "MARGIN", 0.0)
    monkeypatch.setattr(tuning, "BUSY", 1.0)
    ticks: list[tuple[int, int]] = []
    found = tuned(load_bundle(DEFAULT_BUNDLE), settings, lambda done, all_: ticks.append((done, all_)))
    assert [one.way for one in found.tried] == ways(cores())
    assert all(one.per_s > 0 for one in found.tried)
    assert ticks[-1] == (len(ways(cores())),) * 2
    settings.data_dir.mkdir()
    write_tuned(found, settings.data_dir)
    read = read_settings({}, data_dir=settings.data_dir)
    assert Way(read.streams, read.threads, read.batch) == found.way
    assert found.way in [one.way for one in found.tried if one.least >= 1], "one that was never slower"
    assert (read.queue, read.hnsw_above) == (found.queue, found.hnsw_above)
    assert [path.name for path in settings.data_dir.iterdir()] == ["tuned.toml"]


def test_with_a_qdrant_server_the_graph_is_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    monkeypatch.setattr(tuning, "ROUND_S", 0.01)
    monkeypatch.setattr(tuning, "ways", lambda there: [Way(there)])
    found = tuned(load_bundle(DEFAULT_BUNDLE), settings.model_copy(update={"qdrant_url": "http://127.0.0.1:1"}))
    assert found.hnsw_above is None
    write_tuned(found, tmp_path)
    assert "hnsw" not in (tmp_path / "tuned.toml").read_text("utf-8")
