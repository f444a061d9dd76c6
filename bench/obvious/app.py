"""The obvious build of such a service, to be measured beside ours: FastAPI, timm in eager torch, QdrantClient in local mode.

    OBVIOUS_STORE=folder OBVIOUS_BUNDLE=bundles/starter-lite0 python -m uvicorn --app-dir bench/obvious app:app

As one would write it in an afternoon who knows these libraries well: the network is loaded once, requests run in FastAPI's
threads and not in the event loop, torch is told that nothing is learnt and to use one thread a request, since requests come
several at once, and a lock stands around the local store, which is not thread-safe. Its weights are those of a bundle made as
the starter is. What it leaves out is left out in its favour: it keeps no answer, calibrates nothing, checks no key.
"""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import onnx
import torch
from fastapi import FastAPI, UploadFile
from onnx import numpy_helper
from PIL import Image, ImageOps
from qdrant_client import QdrantClient
from torch import nn

from training.weights import MEAN, STD, pretrained  # loads timm's EfficientNet-Lite0 from the registry's weights

from timm.data.transforms_factory import create_transform  # isort: skip: needs what training.weights mends on a CPU build

COLLECTION, DEPTH, TOP, KNOWN = "sightings", 50, 5, 0.5


class Encoder(nn.Module):
    """Features, generalised mean, projection, length 1: what the bundle's model.onnx computes."""

    def __init__(self, bundle: Path) -> None:
        super().__init__()
        self.backbone = pretrained("lite0")
        given = {one.name: numpy_helper.to_array(one) for one in onnx.load(bundle / "model.onnx").graph.initializer}
        weight, bias = given["module.1.weight"].copy(), given["module.1.bias"].copy()
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        self.head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.backbone.forward_features(pixels)  # type: ignore[operator]
        pooled = features.pow(3).mean(dim=(2, 3)).clamp_min(1e-12).pow(1 / 3)
        return nn.functional.normalize(self.head(nn.functional.normalize(pooled)))


class Obvious:
    """The network and the store, opened once."""

    def __init__(self, store: Path, bundle: Path) -> None:
        torch.set_num_threads(1)  # its default, a thread a core for each request, was up to nine times slower on busy cores
        self.encoder = Encoder(bundle).eval()
        self.transform = create_transform(
            (3, 224, 224), crop_pct=1.0, crop_mode="squash", interpolation="bilinear", mean=MEAN, std=STD
        )
        self.client = QdrantClient(path=str(store), force_disable_check_same_thread=True)
        self.lock = threading.Lock()

    def vector(self, data: bytes) -> list[float]:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        with torch.inference_mode():
            found: list[float] = self.encoder(self.transform(image)[None])[0].tolist()
        return found

    def identify(self, data: bytes) -> dict[str, Any]:
        vector = self.vector(data)
        with self.lock:
            near = self.client.query_points(COLLECTION, vector, limit=DEPTH).points
        best: dict[str, float] = {}
        for one in near:
            name = (one.payload or {})["individual"]
            best[name] = max(best.get(name, -1.0), one.score)
        ranked = sorted(best.items(), key=lambda item: -item[1])[:TOP]
        known = bool(ranked) and ranked[0][1] >= KNOWN
        return {"decision": "known" if known else "new", "candidates": [{"name": name, "score": s} for name, s in ranked]}


app = FastAPI()
_opened = (
    Obvious(Path(os.environ["OBVIOUS_STORE"]), Path(os.environ["OBVIOUS_BUNDLE"])) if "OBVIOUS_STORE" in os.environ else None
)


@app.post("/v1/identify")
def identify(photos: list[UploadFile]) -> dict[str, Any]:
    assert _opened is not None
    return _opened.identify(photos[0].file.read())
