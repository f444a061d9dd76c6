from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from encoder.batching import Batching
from encoder.bundle import load_bundle
from encoder.preprocess import Tensor
from encoder.session import RUNTIMES, OnnxSession, open_session
from encoder.values import Norms, Vector, Vectors


class Slow:
    """Stands before a real session, so that photos gather behind the first, and notes what came together."""

    def __init__(self, session: OnnxSession, fails: bool = False) -> None:
        self.session, self.fails = session, fails
        self.sizes: list[int] = []
        self.go = threading.Event()

    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        self.sizes.append(1)
        self.go.wait(20)
        return self.session.run(pixels)

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        self.sizes.append(len(pixels))
        if self.fails or np.isnan(pixels).any():
            raise RuntimeError("the batch failed")
        return self.session.run_all(pixels)

    def close(self) -> None:
        self.session.close()


def tensors(side: int, count: int) -> list[Tensor]:
    random = np.random.default_rng(0)
    return [random.standard_normal((1, 3, side, side), dtype=np.float32) for _ in range(count)]


def together(slow: Slow, most: int, photos: list[Tensor]) -> list[tuple[Vector, float]]:
    """The first goes alone; the others wait until it is done."""
    batching = Batching(slow, most)
    with ThreadPoolExecutor(len(photos)) as pool:
        first = pool.submit(batching.run, photos[0])
        while not slow.sizes:
            pass
        others = [pool.submit(batching.run, photo) for photo in photos[1:]]
        while len(batching._waiting) < len(others):
            pass
        slow.go.set()
        return [one.result(60) for one in (first, *others)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_batch_gives_each_photo_the_vector_that_it_has_alone(root: Path, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="needs the extra openvino")
    bundle = load_bundle(root / "bundles/starter-lite0")
    photos = tensors(bundle.shape.width, 6)
    alone, batched = open_session(bundle, runtime), open_session(bundle, runtime, 4, threads=2, batch=4)
    assert isinstance(batched, Batching)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(batched.run, photos))
    for photo, (vector, norm) in zip(photos, found, strict=True):
        expected, length = alone.run(photo)
        assert float(np.abs(vector - expected).max()) < 1e-5
        assert norm == pytest.approx(length, rel=1e-4)


def test_what_waits_goes_together_up_to_the_bound(root: Path) -> None:
    bundle = load_bundle(root / "bundles/starter-lite0")
    session = OnnxSession(bundle, 1, 3)
    photos = tensors(bundle.shape.width, 7)
    slow = Slow(session)
    found = together(slow, 3, photos)
    assert slow.sizes == [1, 3, 3]
    assert [norm for _, norm in found] == pytest.approx([session.run(photo)[1] for photo in photos], rel=1e-4)


def test_a_batch_that_fails_is_run_photo_by_photo(root: Path) -> None:
    bundle = load_bundle(root / "bundles/starter-lite0")
    slow = Slow(OnnxSession(bundle, 1, 4), fails=True)
    found = together(slow, 4, tensors(bundle.shape.width, 4))
    assert slow.sizes == [1, 3, 1, 1, 1]
    assert all(abs(float(np.linalg.norm(vector)) - 1) < 1e-4 for vector, _ in found)


def test_one_photos_failure_is_its_own(root: Path) -> None:
    bundle = load_bundle(root / "bundles/starter-lite0")
    batching = Batching(OnnxSession(bundle, 1, 4), 4)
    good, wrong = tensors(bundle.shape.width, 1)[0], np.zeros((1, 4, 8, 8), np.float32)
    with ThreadPoolExecutor(2) as pool:
        bad, well = pool.submit(batching.run, wrong), pool.submit(batching.run, good)
        assert well.result(60)[0].shape == (bundle.dimension,)
        with pytest.raises(Exception, match=r"(?i)dimension"):
            bad.result(60)
