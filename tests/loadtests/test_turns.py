"""The bare pipeline's turns, by its real processes."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from demo import animals
from loadtests.ground import make_ground
from loadtests.plan import Plan
from loadtests.turns import LINES_UP_S, Lately, Pipelines, arrivals
from settings import read_settings


def test_as_many_come_as_the_rate_says_each_at_a_moment_by_chance() -> None:
    """Of such moments the gaps are exponential: one in e is longer than their mean."""
    come = arrivals(Random(1), 100.0, 400.0, 12.5)
    assert len(come) == 5000
    gaps = [after - before for before, after in pairwise(come)]
    assert 100.0 <= come[0] <= come[-1] <= 500.0
    assert min(gaps) >= 0
    assert sum(gap > 0.08 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-1), abs=0.02)
    assert arrivals(Random(1), 100.0, 4.0, 0.0) == []


def test_a_capacity_is_of_the_latest_turns_of_its_size() -> None:
    lately = Lately()
    assert [lately.after("1mp", rate) for rate in (90.0, 30.0, 30.0, 30.0)][-1] == 45.0
    assert lately.after("12mp", 8.0) == 8.0
    assert lately.after("1mp", 30.0) == 30.0


@pytest.mark.slow
def test_photos_that_come_to_bare_pipelines_wait_for_whichever_is_free_first(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, read_settings({}), sightings=50, bare=2)
    photo = tmp_path / "q.jpg"
    photo.write_bytes(animals.photo(1, 5, size=(320, 240)))
    folders = tuple(map(str, ground.bare))
    Plan("http://nowhere", None, (), {"small": [str(photo)]}, "", (), folders, 1.0, 1, "").write(tmp_path / "plan.json")
    with Pipelines(tmp_path / "plan.json") as pipelines:
        pipelines.turn("small", 1.0)
        one_s = len(folders) / pipelines.capacity
        begun = time.time() + 2 * LINES_UP_S  # when they are ready: getting so is no wait
        at_once = sorted(pipelines.waited_s("small", [begun] * 8))
        took_s = time.time() - begun
        apart = sorted(pipelines.waited_s("small", (time.time() + one_s * 3 for _ in range(5))))
        assert pipelines.waited_s("small", []) == []
        assert pipelines.turn("small", 0.5).alone.photos_s, "they take turns again"
    assert len(at_once) == 8
    assert at_once[-1] <= took_s
    assert sum(at_once) > len(folders) * took_s, (
        "more than they can have worked: the rest is what each waited for those before it"
    )
    assert len(apart) == 5
    assert apart[2] < at_once[-1], "nobody was before them"
