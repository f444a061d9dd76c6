"""The bundle: an encoder as two files, `model.onnx` and `bundle.json`, and the contract between them.

`bundle.json` says everything that a vector depends on, and where the model came from. The loader refuses what does not fit,
since a wrong mean or size gives vectors that look right and find the wrong animal.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BundleRefused
from .preprocess import InputShape

FORMAT = 1
MODEL = "model.onnx"
CONTRACT = "bundle.json"
Triple = tuple[float, float, float]
LABEL = "up to 48 letters, digits, dots, dashes and underscores, the first a letter or digit"


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
        given = json.loads(contract.read_text("utf-8"), parse_constant=_no_number)
        digest = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
    except OSError as error:
        raise BundleRefused(f"{folder} is not a bundle: {error}. A bundle is a folder with {CONTRACT} and {MODEL}.") from error
    except (ValueError, RecursionError) as error:
        raise BundleRefused(f"{contract} is not JSON: {error}. Copy the bundle again.") from error
    bundle = read_contract(folder, given)
    if digest != bundle.model_sha256:
        raise BundleRefused(
            f"{folder / MODEL} has sha256 {digest}, but {CONTRACT} says {bundle.model_sha256}. Copy the bundle again."
        )
    return bundle


def read_contract(folder: Path, given: Any) -> Bundle:
    """The contract's fields, each of the kind it must be."""
    where = folder / CONTRACT
    if not isinstance(given, dict):
        raise BundleRefused(f"{where} holds a {type(given).__name__}: expected an object. Copy the bundle again.")
    if given.get("format") != FORMAT:
        raise BundleRefused(
            f"{where}: format is {given.get('format')!r}, this Flukeprint reads format {FORMAT}. "
            "Where it is a newer one, update Flukeprint; otherwise copy the bundle again."
        )
    try:
        dimension = _checked(given, "dimension", _is_dimension, "a whole number from 1 to 65536")
        return Bundle(
            folder=folder,
            name=_checked(given, "name", is_label, LABEL),
            version=_checked(given, "version", is_label, LABEL),
            model_sha256=_checked(given, "model_sha256", _is_sha256, "the sha256 in 64 hexadecimal digits"),
            shape=InputShape.from_json(_checked(given, "input", _is_object, "an object")),
            mean=_triple(_checked(given, "mean", _is_triple, "three numbers")),
            std=_triple(_checked(given, "std", lambda v: _is_triple(v) and min(v) > 0, "three numbers above 0")),
            dimension=dimension,
            distance=_checked(given, "distance", lambda v: v == "cosine", "cosine"),
            training=_checked(given, "training", _is_object, "an object"),
            metrics=_checked(given, "metrics", _is_object, "an object"),
            calibration=given["calibration"],
            golden=tuple(_golden(g, dimension) for g in _checked(given, "golden", lambda v: isinstance(v, list), "a list")),
        )
    except KeyError as error:
        raise BundleRefused(f"{where}: the field {error} is missing. Copy or export the bundle again.") from error
    except (ValueError, OverflowError) as error:  # OverflowError: a whole number beyond any float
        raise BundleRefused(f"{where}: {error}. Copy or export the bundle again.") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"it holds {text}, which is no number of JSON")


def is_label(value: Any) -> bool:
    """Whether a bundle can have this name or version: its id names collections and folders."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}", value) is not None


def _checked(given: Mapping[str, Any], field: str, fits: Callable[[Any], bool], expected: str) -> Any:
    value = given[field]
    if not fits(value):
        raise ValueError(f"{field} is {str(value)[:80]!r}: expected {expected}")
    return value


def _golden(given: Any, dimension: int) -> Golden:
    fits = isinstance(given, dict) and type(given.get("photo")) is int and _are_numbers([given.get("norm")])
    if not fits or not _are_numbers(given.get("vector")) or len(given["vector"]) != dimension:
        raise ValueError(f"golden holds {str(given)[:80]}: expected photo, norm and a vector of {dimension} numbers")
    return Golden(given["photo"], tuple(given["vector"]), given["norm"])


def _triple(values: Any) -> Triple:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_dimension(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 65536


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_triple(value: Any) -> bool:
    return _are_numbers(value) and len(value) == 3


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) in (int, float) and math.isfinite(v) for v in values)
