"""A bundle of an encoder that somebody else trained: any of timm's, with weights from a file or from its hub.

It is measured by nobody here, and its bundle and card say so. timm's own settings say how its input is prepared.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from encoder.bundle import Bundle
from encoder.preprocess import STEP, InputShape

from . import torchvision_shim  # noqa: F401  # before timm
from .errors import ConfigRefused
from .export import export_bundle
from .model import load_backbone, size_for

import timm  # isort: skip
from timm.data.config import resolve_data_config  # isort: skip


def borrow(
    backbone: str,
    folder: Path,
    *,
    name: str,
    version: str,
    licence: str,
    checkpoint: Path | None = None,
    side: int | None = None,
) -> Bundle:
    """Without a checkpoint the weights come from timm's hub. `side` replaces the input's size where the model allows it."""
    try:
        module: nn.Module = timm.create_model(backbone, pretrained=checkpoint is None, num_classes=0)
        if checkpoint is not None:
            load_backbone(module, checkpoint)
    except (OSError, RuntimeError, KeyError) as error:
        raise ConfigRefused(
            f"{backbone} cannot be made: {error}. Name a timm model, and give --checkpoint FILE where there is no network."
        ) from error
    settings = resolve_data_config({}, model=module)
    _, height, width = settings["input_size"]
    width, height = (side or width), (side or height)
    if width % STEP or height % STEP:
        raise ConfigRefused(f"{backbone} takes {width} x {height} pixels: expected multiples of {STEP}; give --side.")
    size_for(module, width, height)
    return export_bundle(
        module.eval(),
        folder,
        name=name,
        version=version,
        shape=InputShape("square" if width == height else "rectangle", width, height),
        mean=settings["mean"],
        std=settings["std"],
        training={
            "data": "not known here",
            "licence": licence,
            "timm": backbone,
            "checkpoint": checkpoint.name if checkpoint else "hub",
        },
        metrics={},
    )
