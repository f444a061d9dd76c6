"""A module that does not learn, run by OpenVINO: a fifth of torch's time on a CPU, and the same numbers but for rounding.

The frozen first stages of a run are run so by the threads that make the batches: nothing goes back through them, and the steps
begin with features instead of pixels (256 px, one core: 8 ms where torch takes 35). So are whole encoders over many photos.
"""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import torch
from torch import nn

from encoder.kernels import with_quick_kernels
from encoder.preprocess import Tensor

from .export import as_onnx, slimmed


class Engine:
    """Normalised pixels (n, 3, h, w) to what the module makes of them. Safe to call from several threads."""

    def __init__(self, module: nn.Module, threads: int, size: tuple[int, int] | None = None) -> None:
        """`size` is the pixels' width and height where all have the same, without which a transformer cannot be made."""
        import openvino as ov  # heavy: only who runs much needs it

        with torch.inference_mode(False):  # the exporter traces, which it cannot do where its caller measures
            slim = slimmed(module, any_size=size is None)
            width, height = size or (64, 64)
            model = as_onnx(slim, np.zeros((1, 3, height, width), np.float32), ["made"], any_size=size is None)
        settings = {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        core = ov.Core()
        read = core.read_model(model.SerializeToString())
        compiled = core.compile_model(with_quick_kernels(core, read), "CPU", settings)
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Here, not by the threads: a request that is made while another works may wait for it for ever, and two threads that
        # are the process's first to hand it an array wait for each other.
        for _ in range(threads):
            self._free.put(compiled.create_infer_request())
        self._one(np.zeros((1, 3, height, width), np.float32))

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        # One photo at a time stays in the cache; a batch of 32 takes half as long again.
        return torch.cat([self._one(photo[None].contiguous().numpy()) for photo in pixels])

    def _one(self, photo: Tensor) -> torch.Tensor:
        request = self._free.get()
        try:
            request.infer([photo], share_inputs=True)
            return torch.from_numpy(request.get_output_tensor().data.copy())  # the next call overwrites it
        finally:
            self._free.put(request)
