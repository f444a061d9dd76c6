"""An encoder that timm knows becomes a bundle, from a file of weights."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
timm = pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from encoder.encode import open_encoder  # noqa: E402
from encoder.golden import golden_photo  # noqa: E402
from encoder.preprocess import InputShape, to_tensor  # noqa: E402
from encoder.session import RUNTIMES  # noqa: E402
from training.borrowed import borrow  # noqa: E402
from training.config import Config  # noqa: E402
from training.errors import ConfigRefused  # noqa: E402
from training.export import export_bundle  # noqa: E402
from training.model import first_backbone, load_backbone, size_for  # noqa: E402
from training.saved import hub_config  # noqa: E402

# The exporter of torch warns of torch's own other parts.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]


def test_weights_of_a_file_become_a_bundle_that_gives_their_vectors(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=10).train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 3, 96, 96))  # so that its batch norms know what passes through them
    model.eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    made = borrow(
        "test_efficientnet",
        tmp_path / "bundle",
        name="b",
        version="1",
        licence="MIT",
        checkpoint=tmp_path / "weights.pt",
        side=96,
    )
    assert (made.shape.width, made.training["timm"], list(made.metrics)) == (96, "test_efficientnet", ["runtimes"])
    encoder = open_encoder(made.folder)
    assert encoder.golden_difference() <= 1e-4
    encoder.close()
    pixels = golden_photo(1)
    tensor = torch.from_numpy(to_tensor(pixels, made.shape.fit(320, 240), made.mean, made.std))
    model.reset_classifier(0)
    expected = torch.nn.functional.normalize(model(tensor)).detach().numpy()[0]
    assert np.abs(np.array(made.golden[0].vector) - expected).max() <= 1e-4


def test_weights_that_do_not_fit_and_names_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(ConfigRefused, match="lacks"):
        borrow("test_efficientnet", tmp_path / "b", name="b", version="1", licence="MIT", checkpoint=tmp_path / "weights.pt")
    with pytest.raises(ConfigRefused, match="cannot be made"):
        borrow("no_such_net", tmp_path / "b", name="b", version="1", licence="MIT", checkpoint=tmp_path / "weights.pt")
    other = timm.create_model("test_efficientnet", pretrained=False)
    torch.save({name: torch.zeros(3, *value.shape) for name, value in other.state_dict().items()}, tmp_path / "weights.pt")
    with pytest.raises(ConfigRefused, match="of another backbone") as refused:
        borrow("test_efficientnet", tmp_path / "b", name="b", version="1", licence="MIT", checkpoint=tmp_path / "weights.pt")
    assert len(str(refused.value)) < 700
    assert not (tmp_path / "b").exists()


def test_network_that_makes_nothing_of_a_photo_that_is_all_mean_becomes_a_bundle(tmp_path: Path) -> None:
    class Biasless(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.convolve = torch.nn.Conv2d(3, 16, 32, stride=32, bias=False)

        def forward(self, pixels: Any) -> Any:
            return self.convolve(pixels).relu().mean(dim=(2, 3))

    torch.manual_seed(0)
    shape, half = InputShape("square", 96, 96), (0.5, 0.5, 0.5)
    made = export_bundle(
        Biasless(), tmp_path / "b", name="b", version="1", shape=shape, mean=half, std=half, training={}, metrics={}
    )
    assert made.dimension == 16


@pytest.fixture
def swin(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's Swin, made small: those that it has names for take a minute to export."""
    from timm.models import _registry, swin_transformer

    small = {"img_size": 64, "embed_dim": 16, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4}
    made = functools.partial(swin_transformer.swin_tiny_patch4_window7_224, **small)
    monkeypatch.setitem(_registry._model_entrypoints, "test_swin", made)


@pytest.mark.parametrize(("backbone", "side"), [("test_vit", 160), ("test_vit", 96), ("test_swin", 64)])
@pytest.mark.usefixtures("swin")
def test_transformer_of_one_size_becomes_a_bundle_that_both_runtimes_serve(backbone: str, side: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = timm.create_model(backbone, pretrained=False, num_classes=0).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    given = {"name": "b", "version": "1", "licence": "MIT", "checkpoint": tmp_path / "weights.pt", "side": side}
    made = borrow(backbone, tmp_path / "bundle", **given)  # type: ignore[arg-type]
    size_for(model, side, side)
    photo = golden_photo(9, 300, 200)
    tensor = to_tensor(photo, made.shape.fit(300, 200), made.mean, made.std)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model(torch.from_numpy(tensor)))[0].numpy()
    encoded = cv2.imencode(".png", photo[:, :, ::-1])[1].tobytes()
    for runtime in RUNTIMES:
        encoder = open_encoder(made.folder, runtime=runtime, streams=2, batch=2)
        assert np.abs(encoder.encode(encoded).vector - expected).max() <= 1e-4
        encoder.close()


def test_card_of_a_borrowed_encoder_says_that_nobody_measured_it_and_how_to(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit", pretrained=False, num_classes=0).state_dict(), tmp_path / "w.pt")
    given = {"name": "b", "version": "1", "licence": "CC-BY-NC-4.0", "checkpoint": tmp_path / "w.pt", "side": 96}
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "MODEL_CARD.md").write_text("of another bundle")
    made = borrow("test_vit", folder, **given)  # type: ignore[arg-type]
    words = (folder / "MODEL_CARD.md").read_text("utf-8")
    sha256 = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    told = ("timm's `test_vit`", f"file `w.pt` (SHA-256 `{sha256}`)", "drawn patterns and on no photo")
    for said in (*told, "Not measured", "flukeprint evaluate --bundle b", "CC-BY-NC-4.0"):
        assert said in words
    assert "--timm test_vit --checkpoint w.pt --side 96 --name b" in words
    assert made.model_sha256 in (folder / "model_contract.yaml").read_text("utf-8")


GIVEN: dict[str, Any] = {"name": "b", "version": "1", "licence": "MIT"}
HUB = {
    "architecture": "test_vit",
    "num_classes": 0,
    "num_features": 64,
    "model_args": {"img_size": 64},
    "pretrained_cfg": {
        "input_size": [3, 64, 64],
        "fixed_input_size": True,
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
        "interpolation": "bilinear",
        "crop_pct": 0.9,
    },
}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {
            "state_dict": {f"model.{name}": tensor for name, tensor in state.items()} | {"loss.weight": torch.ones(2)}
        },
        lambda state: {f"module.model.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {name: tensor * 0 for name, tensor in state.items()}, "state_dict_ema": state},
    ],
    ids=["state_dict", "model and module.", "model. beside others", "module.model.", "the average"],
)
def test_weights_come_out_of_what_training_wrapped_them_in(wrapped: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs, ours = (timm.create_model("test_vit", pretrained=False, num_classes=n) for n in (10, 0))
    torch.save(wrapped(theirs.state_dict()), tmp_path / "w.pth")
    load_backbone(ours, tmp_path / "w.pth")
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())


class Runs:
    """What a file must not be able to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_file_of_weights_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "epoch": Runs(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ConfigRefused, match="cannot be read as weights"):
        load_backbone(timm.create_model("test_vit", pretrained=False, num_classes=0), tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def snapshot(folder: Path) -> Any:
    """A folder as a model hub hands it out, and the network that its weights are of."""
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(1)
    model = timm.create_model("test_vit", pretrained=False, num_classes=0, img_size=64).eval()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(HUB))
    return model


@pytest.mark.parametrize(
    ("backbone", "checkpoint"),
    [("hf-hub:somebody/whales", "hub"), ("local-dir:{}", None), ("test_vit", "hub/model.safetensors")],
)
def test_hub_folder_says_its_network_and_its_input(backbone: str, checkpoint: str | None, tmp_path: Path) -> None:
    model = snapshot(tmp_path / "hub")
    named, given = backbone.format(tmp_path / "hub"), tmp_path / checkpoint if checkpoint else None
    (tmp_path / "photos").mkdir()
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), golden_photo(number, 200, 150))
    (tmp_path / "photos" / "damaged.jpg").write_bytes(b"no photo")
    made = borrow(named, tmp_path / "bundle", checkpoint=given, images=tmp_path / "photos", **GIVEN)
    assert (made.shape.width, made.mean, made.std) == (64, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    tensor = torch.from_numpy(to_tensor(golden_photo(1), made.shape.fit(320, 240), made.mean, made.std))
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model(tensor))[0].numpy()
    assert np.abs(np.array(made.golden[0].vector) - expected).max() <= 1e-5
    words = (made.folder / "MODEL_CARD.md").read_text("utf-8")
    sha256 = hashlib.sha256((tmp_path / "hub" / "model.safetensors").read_bytes()).hexdigest()
    file = "model.safetensors" if backbone == "test_vit" else "hub/model.safetensors"
    assert f"weights from the file `{file}` (SHA-256 `{sha256}`)" in words
    assert "bilinear interpolation" in words
    assert "on 3 photos and 3 drawn patterns" in words
    assert str(tmp_path) not in words


def test_folder_that_does_not_fit_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    snapshot(tmp_path / "hub")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "b"
    for backbone, checkpoint, said in (
        ("test_efficientnet", tmp_path / "hub", r"is of test_vit.*not of test_efficientnet. Say --timm test_vit"),
        ("test_vit", tmp_path / "empty", r"holds none of model.safetensors, pytorch_model.bin"),
        (f"local-dir:{tmp_path / 'empty'}", None, r"no config.json that names the architecture"),
        ("owner/whales", tmp_path / "empty", r"cannot be made"),
    ):
        with pytest.raises(ConfigRefused, match=said):
            borrow(backbone, out, checkpoint=checkpoint, **GIVEN)
    with pytest.raises(ConfigRefused, match="holds no photo that can be read"):
        borrow("test_vit", out, checkpoint=tmp_path / "hub", images=tmp_path / "empty", **GIVEN)
    (tmp_path / "hub" / "config.json").write_text(json.dumps(HUB | {"pretrained_cfg": {"std": [0, 1, 1]}}))
    with pytest.raises(ConfigRefused, match="by which pixels are divided"):
        borrow("test_vit", out, checkpoint=tmp_path / "hub", **GIVEN)
    (tmp_path / "hub" / "config.json").write_text("{")
    with pytest.raises(ConfigRefused, match="cannot be read as JSON"):
        borrow("test_vit", out, checkpoint=tmp_path / "hub", **GIVEN)
    assert not out.exists()


def test_config_json_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(Config().as_json()))
    assert hub_config(tmp_path) is None
    assert hub_config(tmp_path / "w.pt") is None


def test_run_begins_with_a_folder_of_weights(tmp_path: Path) -> None:
    model = timm.create_model("test_vit", pretrained=False, num_classes=0)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    shape = InputShape("square", 160, 160)
    begun = first_backbone(Config(backbone="test_vit", weights=str(tmp_path), frozen_stages=0, shape=shape, stages=()))
    assert all(torch.equal(tensor, begun.state_dict()[name]) for name, tensor in model.state_dict().items())
