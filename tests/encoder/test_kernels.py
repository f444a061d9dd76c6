"""The kernels that OpenVINO is asked to run: where, and with the same vectors."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.bundle import load_bundle
from encoder.kernels import OLDER, with_quick_kernels
from encoder.session import OpenVinoSession

openvino = pytest.importorskip("openvino")
F32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


class Processor:
    """OpenVINO's core, on a processor that can do what is said."""

    def __init__(self, *capabilities: str) -> None:
        self._core = openvino.Core()
        self._capabilities = list(capabilities)

    def get_property(self, device: str, name: str) -> Any:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self._capabilities

    def read_model(self, *parts: bytes) -> Any:
        return self._core.read_model(*parts)


@pytest.fixture(scope="module")
def model(starter: Path) -> Any:
    read = openvino.Core().read_model(load_bundle(starter).model)
    read.reshape({"pixels": [1, 3, 224, 224]})
    return read


def wishes(model: Any) -> dict[str, int]:
    """How many nodes of each kind have a wish."""
    asking = [node.get_type_name() for node in model.get_ordered_ops() if "primitives_priority_0" in node.rt_info]
    return {kind: asking.count(kind) for kind in set(asking)}


def test_every_convolution_has_a_wish_and_nothing_else(model: Any) -> None:
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    told = wishes(with_quick_kernels(Processor("FP32", "INT8"), model))
    assert told == {kind: kinds.count(kind) for kind in OLDER}
    assert all(count > 10 for count in told.values())


def test_the_same_vectors_by_the_kernels_asked_for(model: Any) -> None:
    core = openvino.Core()
    plain, quick = (core.compile_model(each, "CPU", F32) for each in (model, with_quick_kernels(Processor("FP32"), model)))
    pixels = np.random.default_rng(3).standard_normal((1, 3, 224, 224)).astype(np.float32)
    before, after = (compiled([pixels])["vector"] for compiled in (plain, quick))
    assert np.abs(before - after).max() <= 1e-5
    if with_quick_kernels(core, model) is not model:  # a processor that the wish is for
        kernels = {node.rt_info["primitiveType"].value for node in quick.get_runtime_model().get_ops()}
        assert "jit_avx2_dw_f32" in kernels
        assert not any(kernel.startswith("brgconv") for kernel in kernels)


def steps(compiled: Any) -> list[str]:
    return [node.rt_info["layerType"].value for node in compiled.get_runtime_model().get_ops()]


def test_weights_of_16_bits_leave_bias_and_activation_in_their_convolution(starter: Path) -> None:
    bundle = load_bundle(starter.parent / "beluga-lite0")
    model = openvino.Core().read_model(bundle.model)
    model.reshape({"pixels": [1, 3, 320, 320]})
    plain = openvino.Core().compile_model(model, "CPU", F32)
    session = OpenVinoSession(bundle, streams=1)
    request = session._free.get()
    before, after = steps(plain), steps(request.get_compiled_model())
    session._free.put(request)
    assert before.count("Convolution") == after.count("Convolution") > 50
    assert after.count("Subgraph") < 20 < before.count("Subgraph")
    pixels = np.random.default_rng(3).standard_normal((1, 3, 320, 320)).astype(np.float32)
    assert np.abs(plain([pixels])["vector"] - session.run(pixels)[0]).max() <= 1e-5


def test_a_processor_with_wider_sums_keeps_its_own_choice(model: Any) -> None:
    assert with_quick_kernels(Processor("FP32", "BF16"), model) is model


def test_no_room_for_a_file_costs_speed_only(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with caplog.at_level(logging.WARNING):
        assert with_quick_kernels(Processor("FP32"), model) is model
    assert "kernels of its own choice" in caplog.text
