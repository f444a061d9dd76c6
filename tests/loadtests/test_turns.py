"""The bare pipeline's turns, by its real processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo import animals
from loadtests.ground import make_ground
from loadtests.plan import Plan
from loadtests.turns import Pipelines
from settings import read_settings


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
        begun = time.time()
        at_once = sorted(pipelines.waited_s("small", [begun] * 8))
        took_s = time.time() - begun
        apart = sorted(pipelines.waited_s("small", (time.time() + one_s * 3 for _ in range(5))))
        assert pipelines.waited_s("small", []) == []
        assert pipelines.turn("small", 0.5).alone.photos_s, "they take turns again"
    assert len(at_once) == 8
    assert 2 * at_once[0] < at_once[-1] <= took_s, "four pairs, one after the other"
    assert len(apart) == 5
    assert apart[2] < at_once[-1], "nobody was before them"
