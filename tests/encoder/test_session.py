"""The two runtimes: the same vectors, from any number of threads, and what is refused."""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoder.bundle import Bundle, load_bundle
from encoder.errors import BundleRefused, RuntimeUnavailable
from encoder.golden import golden_photo
from encoder.preprocess import InputShape, Tensor, to_tensor
from encoder.session import RUNTIMES, Session, open_session


@pytest.fixture(scope="module")
def bundle(starter: Path) -> Bundle:
    return load_bundle(starter)


@pytest.fixture(scope="module", params=RUNTIMES)
def session(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Session]:
    pytest.importorskip(request.param)
    opened = open_session(bundle, request.param, streams=2)
    yield opened
    opened.close()


def tensor_of(bundle: Bundle, number: int) -> Tensor:
    return to_tensor(golden_photo(number), bundle.shape.fit(320, 240), bundle.mean, bundle.std)


def test_the_golden_vectors_come_out(session: Session, bundle: Bundle) -> None:
    for golden in bundle.golden:
        vector, norm = session.run(tensor_of(bundle, golden.photo))
        assert np.abs(vector - np.array(golden.vector, np.float32)).max() <= 1e-4
        assert norm == pytest.approx(golden.norm, rel=1e-4)


def test_a_wrong_mean_does_not_give_the_golden_vectors(session: Session, bundle: Bundle) -> None:
    """What the golden vectors are for: a change too small to see."""
    golden = bundle.golden[0]
    changed = to_tensor(golden_photo(golden.photo), bundle.shape.fit(320, 240), (0.49, 0.5, 0.5), bundle.std)
    assert np.abs(session.run(changed)[0] - np.array(golden.vector, np.float32)).max() > 1e-3


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.01, 1.0))
def test_vectors_are_of_unit_length_and_float32(session: Session, seed: int, spread: float) -> None:
    pixels = np.random.default_rng(seed).uniform(-spread, spread, (1, 3, 224, 224)).astype(np.float32)
    vector, norm = session.run(pixels)
    assert vector.shape == (512,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1, abs=1e-5)
    assert norm > 0


def test_the_runtimes_agree(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    sessions = [open_session(bundle, runtime) for runtime in RUNTIMES]
    draw = np.random.default_rng(5)
    tensors = [tensor_of(bundle, n) for n in range(10)]
    tensors += [draw.uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32) for _ in range(5)]
    for tensor in tensors:
        (ours, our_norm), (theirs, their_norm) = (session.run(tensor) for session in sessions)
        assert np.abs(ours - theirs).max() <= 1e-4
        assert our_norm == pytest.approx(their_norm, rel=1e-4)


def test_many_threads_get_each_their_own_vector(session: Session, bundle: Bundle) -> None:
    tensors = [tensor_of(bundle, n) for n in range(6)]
    expected = [session.run(tensor) for tensor in tensors]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            for (vector, norm), (right, right_norm) in zip(pool.map(session.run, tensors), expected, strict=True):
                assert np.abs(vector - right).max() <= 1e-6
                assert norm == pytest.approx(right_norm, rel=1e-6)


def test_a_vector_is_not_overwritten_by_the_next(session: Session, bundle: Bundle) -> None:
    first, _ = session.run(tensor_of(bundle, 1))
    kept = first.copy()
    session.run(tensor_of(bundle, 2))
    assert (first == kept).all()


def test_the_photo_s_own_shape_runs_at_every_size_of_the_budget(bundle: Bundle) -> None:
    free = dataclasses.replace(bundle, shape=InputShape("budget", 224, 224))
    sessions = [open_session(free, runtime) for runtime in RUNTIMES if runtime == "onnxruntime" or _installed(runtime)]
    for size in ((640, 480), (157, 434), (300, 300)):
        pixels = golden_photo(1, *size)
        tensor = to_tensor(pixels, free.shape.fit(*size), free.mean, free.std)
        vectors = [session.run(tensor)[0] for session in sessions]
        assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
        assert np.abs(vectors[0] - vectors[-1]).max() <= 1e-4


def _installed(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def test_an_unknown_runtime_is_refused_with_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(RuntimeUnavailable, match="'tensorrt': choose one of onnxruntime and openvino"):
        open_session(bundle, "tensorrt")


def test_a_runtime_that_is_not_installed_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_openvino(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "openvino":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_openvino)
    with pytest.raises(RuntimeUnavailable, match="make setup EXTRAS=openvino"):
        open_session(bundle, "openvino")


def test_no_stream_at_all_is_a_mistake_of_the_caller(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        open_session(bundle, streams=0)


def test_a_model_of_another_input_size_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """The contract says a size for which the graph was not made: sides that are not what its strides divide."""
    other = dataclasses.replace(bundle, folder=tmp_path)
    (tmp_path / "model.onnx").write_bytes(bundle.model.read_bytes()[:-1000])
    with pytest.raises(BundleRefused, match="does not load"):
        open_session(other)
