"""That our service and the obvious build are measured with the same network."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime as ort
import pytest

from bench.beside import OURS, WEIGHTS, _obvious
from settings import ROOT, read_settings

pytest.importorskip("torch")


def test_both_have_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.syspath_prepend(str(ROOT / "bench" / "obvious"))
    monkeypatch.delenv("OBVIOUS_STORE", raising=False)
    from app import Encoder

    monkeypatch.delitem(sys.modules, "app")
    _, told = _obvious(ROOT)
    assert told["OBVIOUS_BUNDLE"] == str(read_settings(OURS).bundle) == str(WEIGHTS)
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 3, 224, 224)).astype(np.float32)
    ours = ort.InferenceSession(WEIGHTS / "model.onnx").run(["vector"], {"pixels": pixels})[0]
    with torch.inference_mode():
        theirs = Encoder(WEIGHTS).eval()(torch.from_numpy(pixels)).numpy()
    assert np.allclose(ours, theirs, atol=1e-4)
