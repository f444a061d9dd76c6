"""An encoder that timm knows becomes a bundle, from a file of weights."""

from __future__ import annotations

import functools
from pathlib import Path

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
from encoder.preprocess import to_tensor  # noqa: E402
from encoder.session import RUNTIMES  # noqa: E402
from training.borrowed import borrow  # noqa: E402
from training.errors import ConfigRefused  # noqa: E402
from training.model import size_for  # noqa: E402

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
    assert (made.shape.width, made.training["timm"], made.metrics) == (96, "test_efficientnet", {})
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
    assert not (tmp_path / "b").exists()


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
    for said in ("timm's `test_vit`", "`w.pt`", "Not measured", "flukeprint evaluate --bundle b", "CC-BY-NC-4.0"):
        assert said in words
    assert "--timm test_vit --checkpoint w.pt --side 96 --name b" in words
    assert made.model_sha256 in (folder / "model_contract.yaml").read_text("utf-8")
