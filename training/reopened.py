"""The encoder that was taught, out of a bundle that was made of its run: the run itself need not be there any more.

A bundle's graph keeps tensors under their names. Batch norms were folded into their convolutions; where what is stored is what
the first weights give so folded, the encoder gets those as they were, and else norms that only add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import onnx
import onnx.numpy_helper
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from encoder.bundle import Bundle

from .config import Config
from .errors import CheckpointRefused, ConfigRefused
from .model import Embedder, make_embedder, part_sizes

Tensors = Mapping[str, torch.Tensor]
ROUNDED = 1e-3  # of a weight: what 16 bits may lose of it


def reopened(bundle: Bundle, *, beside: bool = False) -> tuple[Config, Embedder]:
    """With the configuration that it was taught by, in eval mode. The one `beside` it is there as far as the bundle uses it:
    of the whole photo alone.
    """
    if "config" not in bundle.training:
        raise CheckpointRefused(
            f"{bundle.id} was not made of a run, so there is no encoder of one in it. Name a run's folder, or a bundle of one."
        )
    stored = _stored(onnx.load(str(bundle.model)).graph)
    config = Config.from_json((bundle.training["beside"] if beside else bundle.training)["config"])
    if beside:
        config = replace(config, bands=1, dimension=part_sizes(config.dimension, config.bands)[0])
        stages = ("conv_stem", "bn1", *(f"blocks.{index}" for index in range(config.frozen_stages)))
        own = (".encoders.1.", *(f".trunk.backbone.{stage}." for stage in stages))  # the rest of that trunk is the first one's
        stored = {name: tensor for name, tensor in stored.items() if any(some in name for some in own)}
    else:
        stored = {name: tensor for name, tensor in stored.items() if ".encoders." not in name or ".encoders.0." in name}
    try:
        module = make_embedder(config)
    except ConfigRefused:  # its first weights are not at hand: what was frozen of them is stored too
        module = make_embedder(replace(config, weights="none"))
    module.eval()
    missing = list[str]()
    with torch.no_grad():
        folded = [*_unfold(module, "", stored, missing), *_necks(module, stored)]
        for name, tensor in module.state_dict().items():
            if name.endswith("num_batches_tracked") or any(name.startswith(f"{one}.") for one in folded):
                continue
            found = _find(stored, name, tensor.shape)
            missing += [name] if found is None else []
            tensor.copy_(tensor if found is None else found)
    if missing:
        raise CheckpointRefused(
            f"{bundle.id} does not hold {len(missing)} of its encoder's tensors under their names, first {missing[0]}: "
            "its graph was written otherwise. Go on from the folder of its run."
        )
    return config, module


def _stored(graph: onnx.GraphProto) -> Tensors:
    """By name. A graph keeps one of equal tensors, and no bias that adds nothing: each is taken from where it is used."""
    stored = {
        tensor.name.removesuffix("_16"): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).float()
        for tensor in graph.initializer
    }
    for node in graph.node:
        weight = node.input[1] if len(node.input) > 1 else ""
        if weight in stored and weight.endswith(".weight") and node.op_type in ("Conv", "BatchNormalization"):
            bias = stored[node.input[2]] if len(node.input) > 2 else torch.zeros(len(stored[weight]))
            stored.setdefault(f"{weight.removesuffix('weight')}bias", bias)
    return stored


def _unfold(module: nn.Module, path: str, stored: Tensors, missing: list[str]) -> list[str]:
    """The names of the convolutions and norms that were one when they were stored: they are what was stored now."""
    done = list[str]()
    children = list(module.named_children())
    for (first_name, first), (second_name, second) in pairwise(children):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            done += [path + first_name, path + second_name]
            weight = _find(stored, f"{path}{first_name}.weight", first.weight.shape)
            bias = _find(stored, f"{path}{first_name}.bias", first.weight.shape[:1])
            if weight is None or bias is None:
                missing.append(path + first_name)
            else:
                _set(first, second, weight, bias)
    for name, child in children:
        done += _unfold(child, f"{path}{name}.", stored, missing)
    return done


def _necks(module: Embedder, stored: Tensors) -> list[str]:
    """The norms of necks that were folded into their projections; the exporter did it too, where a neck was used once."""
    bands = ((f"bands.{at}.0", f"bands.{at}.1") for at in range(len(module.bands)))
    done = list[str]()
    for project, name in (("project", "norm"), *bands):
        norm = module.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm1d)
        biases = (_find(stored, f"{project}.{of}", norm.weight.shape) for of in ("bias", "weight_bias"))
        bias = next((one for one in biases if one is not None), None)
        if bias is not None:
            _only_add(norm, bias)
            done.append(name)
    return done


def _set(convolution: nn.Conv2d, norm: nn.BatchNorm2d, weight: torch.Tensor, bias: torch.Tensor) -> None:
    own = fuse_conv_bn_eval(convolution, norm)
    assert own.bias is not None
    if torch.allclose(own.weight, weight, ROUNDED, 1e-6) and torch.allclose(own.bias, bias, ROUNDED, 1e-6):
        return  # the first weights', which a trunk may share
    convolution.weight.copy_(weight)
    if convolution.bias is not None:
        convolution.bias.zero_()
    _only_add(norm, bias)


def _only_add(norm: nn.BatchNorm1d | nn.BatchNorm2d, bias: torch.Tensor) -> None:
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1)  # type: ignore[union-attr]
    norm.weight.fill_((1 + norm.eps) ** 0.5)
    norm.bias.copy_(bias)


def _find(stored: Tensors, name: str, shape: torch.Size) -> torch.Tensor | None:
    """Whatever looks came before it in the graph; of several the first, since those of the first weights come last."""
    found = sorted(
        one
        for one, tensor in stored.items()
        if one.endswith(f".{name}")
        and "backbone" not in one.removesuffix(name)
        and ".first." not in one
        and tensor.shape == shape
    )
    return stored[found[0]] if found else None
