"""One model, opened for inference: tensor in, unit vector and norm out.

Two runtimes stand behind the Protocol. Each call runs on one thread unless said, since two single-thread streams beat one call
on two threads. Refuses a model that does not do what its bundle says. A runtime is imported when it is opened, not before.
"""

from __future__ import annotations

import math
import queue
from typing import Any, Protocol

import numpy as np

from .batching import Batching
from .bundle import Bundle
from .errors import BundleRefused, RuntimeUnavailable
from .kernels import fold_constants, with_quick_kernels
from .preprocess import Tensor
from .values import Norms, Vector, Vectors

INPUT = "pixels"
OUTPUTS = ("vector", "norm")
RUNTIMES = ("onnxruntime", "openvino")


class Session(Protocol):
    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        """One photo's tensor (1, 3, h, w) to its (dim,) unit vector and the norm before normalisation."""

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        """Several photos' (n, 3, h, w) to (n, dim) and (n,), where the session was opened for batches."""

    def close(self) -> None: ...


class OnnxSession:
    """ONNX Runtime, the default. One session serves all threads: each call runs on the thread that makes it."""

    def __init__(self, bundle: Bundle, threads: int = 1, batch: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, size in _known_sizes(bundle, batch).items():
            options.add_free_dimension_override_by_name(name, size)
        try:
            self._session = onnxruntime.InferenceSession(str(bundle.model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base of their own
            raise BundleRefused(f"{bundle.model} does not load into ONNX Runtime: {error}. Copy or export it again.") from error

    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        vectors, norms = self.run_all(pixels)
        return vectors[0], float(norms[0])

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        vectors, norms = self._session.run(OUTPUTS, {INPUT: pixels})
        return vectors, norms

    def close(self) -> None:
        del self._session


class OpenVinoSession:
    """OpenVINO: the faster one on most processors, an extra of its own. `streams` calls run at once, more wait."""

    def __init__(self, bundle: Bundle, streams: int, threads: int = 1, batch: int = 1) -> None:
        try:
            import openvino
        except ImportError as error:
            raise RuntimeUnavailable(
                "The runtime openvino is not installed. Install it with make setup EXTRAS=openvino, or choose onnxruntime."
            ) from error
        settings: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": streams * threads,
            "NUM_STREAMS": streams,
            # By force: where the processor has bf16, the default moves vectors by more than 1e-3.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        sizes = _known_sizes(bundle, batch)
        try:
            core = openvino.Core()
            model = core.read_model(bundle.model)
            model.reshape({INPUT: [sizes.get("n", -1), 3, sizes.get("h", -1), sizes.get("w", -1)]})
            fold_constants(model)
            compiled = core.compile_model(with_quick_kernels(core, model), "CPU", settings)
            requests = [compiled.create_infer_request() for _ in range(streams)]
        except RuntimeError as error:
            raise BundleRefused(f"{bundle.model} does not load into OpenVINO: {error}. Copy or export it again.") from error
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for request in requests:
            self._free.put(request)

    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        vectors, norms = self.run_all(pixels)
        return vectors[0], float(norms[0])

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        request = self._free.get()
        try:
            request.infer({INPUT: pixels}, share_inputs=True)
            vectors = request.get_tensor(OUTPUTS[0]).data.copy()  # the next call overwrites it
            return vectors, request.get_tensor(OUTPUTS[1]).data.copy()
        finally:
            self._free.put(request)

    def close(self) -> None:
        del self._free


def open_session(
    bundle: Bundle, runtime: str = "onnxruntime", streams: int = 1, *, threads: int = 1, batch: int = 1
) -> Session:
    """For `streams` callers at once, each call on `threads`; `batch` photos at the most go through together."""
    if runtime not in RUNTIMES:
        raise RuntimeUnavailable(f"There is no runtime {runtime!r}: choose one of {' and '.join(RUNTIMES)}.")
    if streams < 1:
        raise ValueError(f"streams is {streams}: expected 1 or more, best one a core")
    session: Session
    if runtime == "onnxruntime":
        session = OnnxSession(bundle, threads, batch)
    else:
        session = OpenVinoSession(bundle, streams, threads, batch)
    _refuse_misfit(bundle, session)
    return Batching(session, batch) if batch > 1 else session


def _known_sizes(bundle: Bundle, batch: int) -> dict[str, int]:
    """The input's named dimensions as far as they are fixed; a fixed shape runs some 5 % faster."""
    count = {"n": 1} if batch == 1 else {}
    if bundle.shape.rule == "budget":
        return count
    return count | {"h": bundle.shape.height, "w": bundle.shape.width}


def _refuse_misfit(bundle: Bundle, session: Session) -> None:
    """One photo goes through: names, shapes and dimension must be the contract's. Of light and dark, since some networks
    make nothing of a photo that is all mean.
    """
    width, height = bundle.shape.width, bundle.shape.height
    shades = np.linspace(-1, 1, 3 * height * width, dtype=np.float32)
    try:
        vector, norm = session.run(shades.reshape(1, 3, height, width))
    except Exception as error:  # each runtime's own, with no base in common
        raise BundleRefused(
            f"{bundle.model} does not take {INPUT} (1, 3, {height}, {width}) and give {' and '.join(OUTPUTS)}: {error}. "
            "Its bundle.json is not of this model: copy or export the bundle again."
        ) from error
    if vector.shape != (bundle.dimension,) or vector.dtype != np.float32:
        raise BundleRefused(
            f"{bundle.model} gives vectors of shape {vector.shape} and {vector.dtype}, but its bundle.json says "
            f"({bundle.dimension},), and float32 is expected: copy or export the bundle again."
        )
    length = float(np.linalg.norm(vector))
    if not math.isfinite(norm) or abs(length - 1) > 1e-3:
        raise BundleRefused(
            f"{bundle.model} gives vectors of length {length:.4f} with a norm of {norm}; "
            "unit length and a finite norm were expected: export the bundle again."
        )
