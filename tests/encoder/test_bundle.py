"""The bundle's contract: what is read, and what is refused with which words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.bundle import Bundle, load_bundle
from encoder.errors import BundleRefused
from encoder.golden import golden_photo
from encoder.session import open_session


@pytest.fixture
def copy(starter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(starter, tmp_path / "bundle"))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    contract = folder / "bundle.json"
    given = json.loads(contract.read_text("utf-8"))
    change(given)
    contract.write_text(json.dumps(given), "utf-8")
    return folder


def test_the_starter_bundle_says_what_it_is(starter: Path) -> None:
    bundle = load_bundle(starter)
    assert bundle.dimension == 512
    assert bundle.id == f"starter-lite0-{bundle.version}-{bundle.sha256[:8]}"
    assert (bundle.shape.rule, bundle.shape.width, bundle.shape.height) == ("square", 224, 224)
    assert bundle.training["licence"]
    assert bundle.metrics
    assert bundle.model.stat().st_size < 20_000_000
    assert len(bundle.golden) >= 2


def test_the_contract_is_written_as_it_is_read(starter: Path) -> None:
    assert load_bundle(starter).as_json() == json.loads((starter / "bundle.json").read_text("utf-8"))


def test_the_id_changes_with_whatever_changes_vectors_and_with_nothing_else(copy: Path) -> None:
    before = load_bundle(copy).id
    rewritten(copy, lambda given: given.update(calibration={"any": 1}, metrics={"new": 2}))
    assert load_bundle(copy).id == before
    rewritten(copy, lambda given: given.update(mean=[0.4, 0.5, 0.5]))
    assert load_bundle(copy).id != before


def test_a_folder_that_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"not a bundle.*bundle\.json and model\.onnx"):
        load_bundle(tmp_path)
    with pytest.raises(BundleRefused, match="not a bundle"):
        load_bundle(tmp_path / "nowhere")


def test_a_model_that_was_changed_is_refused(copy: Path) -> None:
    model = copy / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleRefused, match=r"has sha256 .* Copy the bundle again"):
        load_bundle(copy)


def test_a_missing_model_is_refused(copy: Path) -> None:
    (copy / "model.onnx").unlink()
    with pytest.raises(BundleRefused, match=r"model\.onnx"):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '"bundle"', "\x00", "[" * 100_000])
def test_a_contract_that_is_not_an_object_is_refused(copy: Path, text: str) -> None:
    (copy / "bundle.json").write_text(text, "utf-8")
    with pytest.raises(BundleRefused, match=r"bundle\.json"):
        load_bundle(copy)


def test_a_contract_in_another_encoding_is_refused(copy: Path) -> None:
    (copy / "bundle.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(BundleRefused, match="not JSON"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "version",
        "model_sha256",
        "input",
        "mean",
        "std",
        "dimension",
        "distance",
        "training",
        "metrics",
        "calibration",
        "golden",
    ],
)
def test_a_missing_field_is_named(copy: Path, field: str) -> None:
    with pytest.raises(BundleRefused, match=f"the field '{field}' is missing"):
        load_bundle(rewritten(copy, lambda given: given.pop(field)))


def test_a_newer_format_is_refused_with_advice(copy: Path) -> None:
    with pytest.raises(BundleRefused, match=r"format is 2.*newer"):
        load_bundle(rewritten(copy, lambda given: given.update(format=2)))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "name"),
        ("name", "../etc", "name"),
        ("name", 7, "name"),
        ("version", "1 2", "version"),
        ("version", None, "version"),
        ("mean", [0.5, 0.5], "mean"),
        ("mean", [0.5, 0.5, "x"], "mean"),
        ("mean", [0.5, 0.5, float("nan")], "NaN"),
        ("metrics", {"top1": float("inf")}, "Infinity"),
        ("mean", [0.5, 0.5, 10**400], "too large"),
        ("std", [0.5, 0.0, 0.5], "std"),
        ("std", [0.5, -1.0, 0.5], "std"),
        ("std", None, "std"),
        ("dimension", 0, "dimension"),
        ("dimension", "512", "dimension"),
        ("dimension", 512.5, "dimension"),
        ("distance", "euclid", "distance"),
        ("input", {"rule": "circle", "width": 224, "height": 224}, "rule"),
        ("input", "square", "input"),
        ("training", "ImageNet", "training"),
        ("metrics", [], "metrics"),
        ("golden", {}, "golden"),
        ("golden", [{"photo": 1}], "golden"),
        ("golden", [{"photo": 1, "norm": 1.0, "vector": [1.0]}], "golden"),
        ("model_sha256", "abc", "sha256"),
    ],
)
def test_a_field_that_cannot_be_is_named(copy: Path, field: str, value: object, words: str) -> None:
    with pytest.raises(BundleRefused, match=words):
        load_bundle(rewritten(copy, lambda given: given.update({field: value})))


def test_a_dimension_that_the_model_does_not_give_is_refused(copy: Path) -> None:
    def shorter(given: dict[str, Any]) -> None:
        given["dimension"] = 256
        for golden in given["golden"]:
            golden["vector"] = golden["vector"][:256]

    with pytest.raises(BundleRefused, match=r"shape \(512,\).*says \(256,\)"):
        open_session(load_bundle(rewritten(copy, shorter)))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_model_that_is_not_onnx_is_refused(copy: Path, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    bundle = load_bundle(copy)
    (copy / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleRefused, match="does not load"):
        open_session(bundle, runtime)


def test_golden_photos_are_the_same_everywhere_and_differ_from_each_other() -> None:
    """Integers only, so these sums hold for any numpy on any processor."""
    sums = [int(golden_photo(number).astype(np.int64).sum()) for number in (1, 2, 3)]
    assert sums == [26571348, 28311046, 28438883]
    assert golden_photo(1).shape == (240, 320, 3)


def test_bundles_are_plain_values(starter: Path) -> None:
    assert load_bundle(starter) == load_bundle(starter)
    with pytest.raises(AttributeError):
        load_bundle(starter).name = "other"  # type: ignore[misc]
    assert isinstance(load_bundle(starter), Bundle)
