"""Weights that somebody saved: a file, or a folder as model hubs hand them out, to tensors by name.

Nothing of a file is run: tensors and plain values are all that is read. What it was wrapped in for training is taken off, and
so is what wrappers put before names. A `config.json` beside the weights, as timm's hub has it, says of what network they are
and how its input was prepared.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from .errors import ConfigRefused

FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")  # of a folder, the first that is there
HUB_CONFIG = "config.json"
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")  # averaged weights first, as timm has it
DEEP = 3  # wrappers within one another, of values and of names
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")

Tensors = dict[str, torch.Tensor]


def weights_file(source: Path) -> Path:
    """The file itself, or that of a folder."""
    if not source.is_dir():
        return source
    found = [source / name for name in FILES if (source / name).is_file()]
    if not found:
        raise ConfigRefused(f"The folder {source} holds none of {', '.join(FILES)}. Give the file of weights itself.")
    return found[0]


def hub_config(source: Path) -> Mapping[str, Any] | None:
    """What lies in the folder, or beside the file, if it is of timm's hub: runs and others have one of that name too."""
    path = (source if source.is_dir() else source.parent) / HUB_CONFIG
    try:
        given = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigRefused(
            f"{path} cannot be read as JSON: {error}. Copy it again, or move the weights away from it."
        ) from error
    return given if isinstance(given, dict) and isinstance(given.get("architecture"), str) else None


def read_weights(source: Path) -> Tensors:
    """In safetensors or torch's format. Whatever the library raises is the caller's to name."""
    if source.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(source)
    with torch.serialization.safe_globals([argparse.Namespace]):  # timm's own training saves its arguments: plain values
        return unwrapped(torch.load(source, map_location="cpu", weights_only=True))


def unwrapped(held: object) -> Tensors:
    for _ in range(DEEP):
        if isinstance(held, Mapping):
            held = next((held[name] for name in WRAPPERS if isinstance(held.get(name), Mapping)), held)
    if not isinstance(held, Mapping):
        raise ValueError(f"it holds a {type(held).__name__}")
    return {str(name): value for name, value in held.items() if isinstance(value, torch.Tensor)}


def bare(state: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
    """Without the prefix that makes most of the names the network's own.

    >>> list(bare({"module.model.stem": torch.zeros(1), "epoch": torch.zeros(1)}, ["stem"]))
    ['stem']
    """
    chains = ("".join(chain) for deep in range(DEEP + 1) for chain in itertools.product(PREFIXES, repeat=deep))
    best = max(chains, key=lambda prefix: sum(prefix + name in state for name in names))
    return {name.removeprefix(best): value for name, value in state.items() if name.startswith(best)}
