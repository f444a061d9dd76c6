"""An encoder that timm knows becomes a bundle, from a file of weights."""

from __future__ import annotations

from pathlib import Path

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
from training.borrowed import borrow  # noqa: E402
from training.errors import ConfigRefused  # noqa: E402

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
