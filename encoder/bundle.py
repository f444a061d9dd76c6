"""The bundle: an encoder as two files, `model.onnx` and `bundle.json`, and the contract between them.

`bundle.json` says everything that a vector depends on, and where the model came from. The loader refuses what does not fit,
since a wrong mean or size gives vectors that look right and find the wrong animal.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BundleRefused
from .preprocess import InputShape

FORMAT = 1
MODEL = "model.onnx"
CONTRACT = "bundle.json"
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Golden:
    """What the model must give for `encoder.golden.golden_photo(photo)`."""

    photo: int
    vector: tuple[float, ...]
    norm: float


@dataclass(frozen=True, slots=True)
class Bundle:
    folder: Path
    name: str
    version: str
    model_sha256: str
    shape: InputShape
    mean: Triple  # of pixels in 0-1
    std: Triple
    dimension: int
    training: Mapping[str, Any]  # data, licence, and how it was made
    metrics: Mapping[str, Any]
    calibration: Any  # JSON, defined by matching; None where there is none
    golden: tuple[Golden, ...]
    distance: str = "cosine"

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    @property
    def sha256(self) -> str:
        """Of all that a vector depends on: the model's hash, and how its input is prepared."""
        made_by = [self.model_sha256, self.shape.as_json(), self.mean, self.std]
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()

    @property
    def id(self) -> str:
        return f"{self.name}-{self.version}-{self.sha256[:8]}"

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "model_sha256": self.model_sha256,
            "input": self.shape.as_json(),
            "mean": list(self.mean),
            "std": list(self.std),
            "dimension": self.dimension,
            "distance": self.distance,
            "outputs": {"vector": "unit norm", "norm": "before normalisation"},
            "training": dict(self.training),
            "metrics": dict(self.metrics),
            "calibration": self.calibration,
            "golden": [{"photo": g.photo, "norm": g.norm, "vector": list(g.vector)} for g in self.golden],
        }


def load_bundle(folder: Path) -> Bundle:
    contract = folder / CONTRACT
    try:
        given = json.loads(contract.read_text("utf-8"))
        digest = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
    except OSError as error:
        raise BundleRefused(f"{folder} is not a bundle: {error}. A bundle is a folder with {CONTRACT} and {MODEL}.") from error
    except ValueError as error:
        raise BundleRefused(f"{contract} is not JSON: {error}. Copy the bundle again.") from error
    bundle = read_contract(folder, given)
    if digest != bundle.model_sha256:
        raise BundleRefused(
            f"{folder / MODEL} has sha256 {digest}, but {CONTRACT} says {bundle.model_sha256}. Copy the bundle again."
        )
    return bundle


def read_contract(folder: Path, given: Any) -> Bundle:
    def refuse(what: str) -> BundleRefused:
        return BundleRefused(f"{folder / CONTRACT}: {what}.")

    if not isinstance(given, dict):
        raise refuse("expected an object")
    if given.get("format") != FORMAT:
        raise refuse(f"format is {given.get('format')!r}, this Flukeprint reads format {FORMAT}; a newer one may read it")
    try:
        mean, std = _triple(given["mean"]), _triple(given["std"])
        return Bundle(
            folder=folder,
            name=str(given["name"]),
            version=str(given["version"]),
            model_sha256=str(given["model_sha256"]),
            shape=InputShape.from_json(given["input"]),
            mean=mean,
            std=std,
            dimension=int(given["dimension"]),
            training=given["training"],
            metrics=given["metrics"],
            calibration=given["calibration"],
            golden=tuple(Golden(g["photo"], tuple(g["vector"]), g["norm"]) for g in given["golden"]),
        )
    except KeyError as error:
        raise refuse(f"the field {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise refuse(str(error)) from error


def _triple(values: Any) -> Triple:
    red, green, blue = (float(v) for v in values)
    if not all(math.isfinite(v) for v in (red, green, blue)):
        raise ValueError(f"{values}: expected three finite numbers")
    return red, green, blue
