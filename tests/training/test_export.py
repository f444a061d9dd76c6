"""A module becomes a bundle that every runtime reads alike, or nothing is written."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
timm = pytest.importorskip("timm", reason="needs the extra train")
onnx = pytest.importorskip("onnx", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from encoder.bundle import Bundle, load_bundle  # noqa: E402
from encoder.encode import open_encoder  # noqa: E402
from encoder.golden import golden_photo  # noqa: E402
from encoder.preprocess import InputShape, to_tensor  # noqa: E402
from encoder.session import open_session  # noqa: E402
from training import export  # noqa: E402
from training.card import card  # noqa: E402
from training.errors import ExportRefused  # noqa: E402
from training.export import export_bundle, fix_padding, fold_batch_norms  # noqa: E402
from training.half import halve  # noqa: E402
from training.mixture import Look, Mixture, step_of  # noqa: E402

# The exporter of torch warns of torch's own other parts.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]
HALF = (0.5, 0.5, 0.5)


def small_backbone() -> Any:
    """TensorFlow's padding, as EfficientNet-Lite has it, and batch norms that have seen something."""
    torch.manual_seed(3)
    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=0, pad_type="same").train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 3, 64, 64))
    return model.eval()


def exported(folder: Path, module: Any, shape: InputShape) -> Any:
    return export_bundle(
        module, folder, name="small", version="1", shape=shape, mean=HALF, std=HALF, training={"data": "none"}, metrics={}
    )


@pytest.mark.parametrize("side", [64, 96, 224])
def test_folding_and_fixed_padding_change_nothing(side: int) -> None:
    module = small_backbone()
    pixels = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        before = module(pixels)
        after = fix_padding(fold_batch_norms(module))(pixels)
    kinds = {type(part).__name__ for part in module.modules()}
    assert not {"Conv2dSame", "BatchNorm2d", "BatchNormAct2d"} & kinds
    assert torch.allclose(before, after, atol=1e-4, rtol=1e-4)


def test_a_bundle_gives_torch_s_vectors_at_every_shape_of_its_rule(tmp_path: Path) -> None:
    module = small_backbone()
    shape = InputShape("budget", 96, 96)
    bundle = exported(tmp_path / "bundle", module, shape)
    assert open_encoder(bundle.folder).golden_difference() <= 1e-4
    session = open_session(bundle)
    for size in ((320, 240), (100, 400)):
        tensor = to_tensor(golden_photo(9, *size), shape.fit(*size), HALF, HALF)
        with torch.inference_mode():
            embedding = module(torch.from_numpy(tensor))[0].numpy()
        vector, norm = session.run(tensor)
        assert np.abs(vector - embedding / np.linalg.norm(embedding)).max() <= 1e-4
        assert norm == pytest.approx(np.linalg.norm(embedding), rel=1e-4)


def two_looks(side: float, step: int = 1) -> Any:
    """One encoder at two sizes, each of which moves every number of the vector."""
    backbone = small_backbone()
    width = 2 * backbone.num_features
    mixed = np.linalg.qr(np.random.default_rng(1).standard_normal((width, 8)))[0]
    return Mixture([Look(backbone), Look(backbone, side, step)], [0.5, 0.5], np.zeros(width), mixed).eval()


def test_look_at_a_side_that_is_no_multiple_of_32_is_padded_as_torch_pads_it(tmp_path: Path) -> None:
    """96 and 43 pixels, at which its convolutions need other padding."""
    bundle = exported(tmp_path / "bundle", two_looks(0.45), InputShape("square", 96, 96))
    assert open_encoder(bundle.folder).golden_difference() <= 1e-4
    assert "Pad" not in {node.op_type for node in onnx.load(bundle.model).graph.node}


def test_two_looks_at_photos_of_any_shape(tmp_path: Path) -> None:
    """At 96 pixels half a side is 48, where the convolutions need other padding: the look is 64."""
    shape = InputShape("budget", 128, 128)
    module = two_looks(0.5, step_of(shape))
    bundle = exported(tmp_path / "bundle", module, shape)
    session = open_session(bundle)
    outers = set()
    for size in ((320, 240), (300, 300), (200, 500), (100, 400), (500, 300)):
        tensor = to_tensor(golden_photo(9, *size), shape.fit(*size), HALF, HALF)
        outers.add(tensor.shape)
        with torch.inference_mode():
            embedding = module(torch.from_numpy(tensor))[0].numpy()
        assert np.abs(session.run(tensor)[0] - embedding / np.linalg.norm(embedding)).max() <= 1e-4
    assert any(side // 32 % 2 for outer in outers for side in outer[2:])


def test_looks_whose_padding_would_be_wrong_at_some_shape_are_refused(tmp_path: Path) -> None:
    """The golden photos alone would not show it: of 192 x 128 pixels half is 96 x 64."""
    shape = InputShape("budget", 160, 160)
    assert shape.fit(320, 240).outer == (192, 128)
    with pytest.raises(ExportRefused, match="disagree with torch"):
        exported(tmp_path / "bundle", two_looks(0.5), shape)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("square") / "bundle", small_backbone(), InputShape("square", 96, 96))


def test_the_model_holds_no_arithmetic_on_shapes_and_no_trace_of_its_maker(square: Bundle) -> None:
    model = onnx.load(square.model)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Shape", "Pad", "BatchNormalization", "Cast", "Concat"}
    assert [i.name for i in model.graph.input] == ["pixels"]
    assert [o.name for o in model.graph.output] == ["vector", "norm"]
    data = square.model.read_bytes()
    assert b".py" not in data
    assert b"site-packages" not in data
    assert str(Path(__file__).parent).encode() not in data


def test_many_photos_at_once_give_the_same_vectors(square: Bundle) -> None:
    """n is free in the file, for whoever has a processor that gains by it."""
    import onnxruntime

    tensors = np.concatenate([to_tensor(golden_photo(n), square.shape.fit(320, 240), HALF, HALF) for n in range(3)])
    bare = onnxruntime.InferenceSession(str(square.model), providers=["CPUExecutionProvider"])
    vectors, norms = bare.run(["vector", "norm"], {"pixels": tensors})
    session = open_session(square)
    for vector, norm, tensor in zip(vectors, norms, tensors, strict=True):
        ours, our_norm = session.run(tensor[None])
        assert np.abs(ours - vector).max() <= 1e-5
        assert our_norm == pytest.approx(norm, rel=1e-5)


def test_nothing_is_written_when_the_runtimes_disagree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export.as_onnx

    def wrongly(module: Any, sample: Any, **how: Any) -> Any:
        first = next(part for part in module.modules() if isinstance(part, torch.nn.Conv2d))
        with torch.no_grad():
            first.weight.mul_(1.1)
        return real(module, sample, **how)

    monkeypatch.setattr(export, "as_onnx", wrongly)
    with pytest.raises(ExportRefused, match=r"disagree with torch.*nothing was written"):
        exported(tmp_path / "bundle", small_backbone(), InputShape("square", 96, 96))
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_written_over_another_replaces_it_whole(square: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(square.folder, tmp_path / "bundle"))
    (folder / "MODEL_CARD.md").write_text("of another bundle")
    other = small_backbone()
    with torch.no_grad():
        other.conv_stem.weight.mul_(0.5)
    second = exported(folder, other, InputShape("square", 64, 64))
    assert second.model_sha256 != square.model_sha256
    assert {path.name for path in folder.iterdir()} == {"MODEL_CARD.md", "bundle.json", "model.onnx", "model_contract.yaml"}
    assert json.loads((folder / "bundle.json").read_text("utf-8"))["input"]["width"] == 64
    assert (folder / "MODEL_CARD.md").read_text("utf-8") == card(second)
    assert second.model_sha256 in (folder / "model_contract.yaml").read_text("utf-8")


def test_network_that_torch_cannot_write_for_any_size_is_refused(tmp_path: Path) -> None:
    """Attention over windows fixes its size."""
    kind = {"embed_dim": 16, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4}
    module = timm.models.swin_transformer.SwinTransformer(img_size=64, num_classes=0, **kind).eval()
    with pytest.raises(ExportRefused, match=r"cannot write this network for any size.*a square or a rectangle"):
        exported(tmp_path / "bundle", module, InputShape("budget", 64, 64))
    assert list(tmp_path.iterdir()) == []


def test_runtimes_are_held_against_torch_on_photos_too(tmp_path: Path) -> None:
    shape = InputShape("square", 64, 64)
    photos = [to_tensor(golden_photo(n), shape.fit(320, 240), HALF, HALF) for n in (7, 8)]
    bundle = export_bundle(
        small_backbone(),
        tmp_path / "b",
        **{"name": "s", "version": "1", "shape": shape, "mean": HALF, "std": HALF, "training": {}, "metrics": {}},
        photos=photos,
    )
    held = bundle.metrics["runtimes"]
    assert (held["photos"], held["drawn"], len(bundle.golden)) == (2, 3, 3)
    for runtime, stated in held["largest_difference"].items():
        assert 0 < stated <= 1e-4
        assert stated >= open_encoder(bundle.folder, runtime=runtime).golden_difference() - 1e-6
    assert "on 2 photos and 3 drawn patterns" in (bundle.folder / "MODEL_CARD.md").read_text("utf-8")


def test_halving_that_moves_vectors_is_refused_and_leaves_the_bundle_whole(root: Path, tmp_path: Path) -> None:
    bundle = load_bundle(Path(shutil.copytree(root / "bundles" / "starter-lite0", tmp_path / "b")))
    before = bundle.model.read_bytes()
    golden = dataclasses.replace(bundle.golden[0], vector=bundle.golden[1].vector)  # as if storage had moved it there
    with pytest.raises(ExportRefused, match=r"vectors change by .*the bundle was left whole.*without --half"):
        halve(dataclasses.replace(bundle, golden=(golden,)))
    assert bundle.model.read_bytes() == before
    assert load_bundle(bundle.folder) == bundle
