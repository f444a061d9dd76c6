"""A bundle of an encoder that somebody else trained: any of timm's, with weights from a file, a folder, or timm's hub.

It is measured by nobody here; its bundle and card say so, and where the weights came from. How its input is prepared is read
from the `config.json` beside the weights, or else known to timm. Two things of it cannot be kept, and are stated: photos are
averaged over areas however its makers scaled them, and taken whole however they cropped them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from encoder.bundle import Bundle, Triple
from encoder.errors import PhotoRefused
from encoder.kinds import is_read
from encoder.photo import read_photo
from encoder.preprocess import STEP, InputShape, Tensor, to_tensor

from . import torchvision_shim  # noqa: F401  # before timm
from .errors import ConfigRefused
from .export import export_bundle
from .model import load_backbone, size_for
from .photos import keep
from .saved import hub_config, weights_file

import timm  # isort: skip
from timm.data.config import resolve_data_config  # isort: skip

HELD = 16  # photos, on which the runtimes are held against torch
LOCAL = "local-dir:"  # timm's own way of naming a folder


def borrow(
    backbone: str,
    folder: Path,
    *,
    name: str,
    version: str,
    licence: str,
    checkpoint: Path | None = None,
    side: int | None = None,
    images: Path | None = None,
) -> Bundle:
    """Without a checkpoint the weights come from timm's hub. `side` replaces the input's size where the model allows it.

    The runtimes are held against torch on drawn patterns, and on photos of `images` where a folder of some is given.
    """
    if backbone.startswith(LOCAL) and checkpoint is None:
        checkpoint = Path(backbone.removeprefix(LOCAL))
    config = hub_config(checkpoint) if checkpoint else None
    architecture = _architecture(backbone, checkpoint, config)
    # timm reads the configuration of a folder as that of its hub.
    source = f"{LOCAL}{_folder(checkpoint)}" if checkpoint and config else architecture
    try:
        module: nn.Module = timm.create_model(source, pretrained=checkpoint is None, num_classes=0)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # TypeError: of arguments in a config.json
        raise ConfigRefused(
            f"{backbone} cannot be made: {error}. Name a timm model, and give --checkpoint FILE where there is no network."
        ) from error
    if checkpoint is not None:
        load_backbone(module, checkpoint)
    settings = resolve_data_config({}, model=module)
    _, height, width = settings["input_size"]
    width, height = (side or width), (side or height)
    if width % STEP or height % STEP:
        raise ConfigRefused(f"{backbone} takes {width} x {height} pixels: expected multiples of {STEP}; give --side.")
    try:
        shape = InputShape("square" if width == height else "rectangle", width, height)
    except ValueError as error:
        raise ConfigRefused(f"{backbone} cannot take such photos: {error}; give another --side.") from error
    size_for(module, width, height)
    mean, std = _three(settings, "mean"), _three(settings, "std")
    if min(std) <= 0:
        raise ConfigRefused(f"std of {backbone} is {std}, by which pixels are divided: expected three numbers above 0.")
    return export_bundle(
        module.eval(),
        folder,
        name=name,
        version=version,
        shape=shape,
        mean=mean,
        std=std,
        training={
            "data": "not known here",
            "licence": licence,
            "timm": architecture if backbone.startswith(LOCAL) else backbone,
            **_came_from(module, checkpoint),
            "prepared": {
                "by": "the config.json beside the weights" if config else "timm",
                "interpolation": settings["interpolation"],
                "crop_pct": settings["crop_pct"],
            },
        },
        metrics={},
        photos=_photos(images, shape, mean, std) if images else (),
    )


def _architecture(backbone: str, checkpoint: Path | None, config: Mapping[str, Any] | None) -> str:
    """What the configuration says, where the name is a place and no network; where it is one, both must say the same."""
    if config is None:
        if backbone.startswith(LOCAL):
            raise ConfigRefused(
                f"{backbone} has no config.json that names the architecture. "
                f"Name the network: --timm NAME --checkpoint {checkpoint}"
            )
        return backbone
    stated = str(config["architecture"])
    if ":" not in backbone and backbone.partition(".")[0] != stated.partition(".")[0]:
        raise ConfigRefused(
            f"{checkpoint} is of {stated}, as its config.json says, and not of {backbone}. Say --timm {stated}."
        )
    return stated


def _folder(checkpoint: Path) -> Path:
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def _came_from(module: nn.Module, checkpoint: Path | None) -> dict[str, str]:
    """Where the weights came from, with a hash: of the file, or of what a hub's file held, which timm does not say."""
    if checkpoint is None:
        known: Mapping[str, Any] = module.pretrained_cfg  # type: ignore[assignment]
        digest = hashlib.sha256()
        for tensor_name, tensor in sorted(module.state_dict().items()):
            digest.update(tensor_name.encode() + tensor.numpy().tobytes())
        place = known.get("hf_hub_id") or known.get("url") or "not said by timm"
        return {"checkpoint": "hub", "hub": str(place), "tensors_sha256": digest.hexdigest()}
    file = weights_file(checkpoint)
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    named = f"{checkpoint.resolve().name}/{file.name}" if checkpoint.is_dir() else file.name
    return {"checkpoint": named, "checkpoint_sha256": sha256}


def _three(settings: Mapping[str, Any], name: str) -> Triple:
    given = settings[name]
    if len(given) != 3 or not all(isinstance(value, int | float) and math.isfinite(value) for value in given):
        raise ConfigRefused(f"{name} of the configuration is {given}: expected three finite numbers, one for each of RGB.")
    red, green, blue = map(float, given)
    return red, green, blue


def _photos(images: Path, shape: InputShape, mean: Triple, std: Triple) -> list[Tensor]:
    """Some of the folder's photos as serving would make them, spread over the names, without those that cannot be read."""
    files = sorted(path for path in images.rglob("*") if is_read(path))
    tensors = []
    for file in files[:: -(-len(files) // HELD) or 1]:
        try:
            kept = keep(read_photo(file), None, shape)
        except PhotoRefused:
            continue
        tensors.append(to_tensor(kept.pixels, kept.fit(shape), mean, std))
    if not tensors:
        raise ConfigRefused(f"{images} holds no photo that can be read: expected a folder of photos, or no --images.")
    return tensors
