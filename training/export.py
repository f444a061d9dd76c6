"""A trained module to a bundle folder, or nothing: torch, ONNX Runtime and OpenVINO must agree first.

`export_bundle` takes a module from normalised pixels (n, 3, h, w) to embeddings (n, dim), not yet normalised. Batch norms are
folded into their convolutions, "same" padding becomes the convolution's own, and normalisation is added, so that the graph
holds little but convolutions. Height and width are fixed wherever the shape's rule fixes them: transformers take one size
only. The folder is written whole and then renamed: a failure leaves no half a bundle, and nothing of one that was there.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from encoder.bundle import CONTRACT, MODEL, Bundle, Golden, Triple, load_bundle
from encoder.golden import golden_photo
from encoder.preprocess import InputShape, Tensor, to_tensor
from encoder.session import INPUT, OUTPUTS, RUNTIMES, open_session

from . import torchvision_shim  # noqa: F401  # must stand before timm
from .card import CARD, YAML, write_words
from .errors import ExportRefused

from timm.layers.conv2d_same import Conv2dSame  # isort: skip

TOLERANCE = 1e-4
GOLDEN_PHOTOS = (1, 2, 3)
RATIOS = np.geomspace(1 / 4, 4, 33)  # width to height of crops, for the shapes that one size on the disk never has


class Normalised(nn.Module):
    """Embeddings to unit vectors and the norms they had."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.module(pixels)
        norm = embedding.square().sum(dim=1).sqrt()
        return embedding / norm.clamp_min(1e-12).unsqueeze(1), norm


def export_bundle(
    module: nn.Module,
    folder: Path,
    *,
    name: str,
    version: str,
    shape: InputShape,
    mean: Triple,
    std: Triple,
    training: dict[str, Any],
    metrics: dict[str, Any],
    photos: Sequence[Tensor] = (),
) -> Bundle:
    """With `photos`, as `shape` makes them, the runtimes are held against torch on these too; `metrics` says how near."""
    reference = Normalised(module).eval()
    any_size = shape.rule == "budget"
    slim = slimmed(reference, any_size=any_size)
    tensors = [to_tensor(golden_photo(n), shape.fit(320, 240), mean, std) for n in GOLDEN_PHOTOS]
    model = as_onnx(slim, tensors[0], any_size=any_size)
    tensors += [to_tensor(golden_photo(4, *size), shape.fit(*size), mean, std) for size in _sizes(shape)]
    drawn = len(tensors)
    tensors += photos
    with torch.inference_mode():
        expected = [tuple(output[0].numpy() for output in reference(torch.from_numpy(t))) for t in tensors]
    dimension = int(expected[0][0].shape[0])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        made = Path(temporary) / "bundle"
        made.mkdir()
        onnx.save(model, made / MODEL)
        bundle = Bundle(
            folder=made,
            name=name,
            version=version,
            model_sha256=hashlib.sha256((made / MODEL).read_bytes()).hexdigest(),
            shape=shape,
            mean=mean,
            std=std,
            dimension=dimension,
            training=training,
            metrics=metrics,
            calibration=None,
            golden=(),
        )
        differences = {runtime: _difference(bundle, runtime, tensors, expected) for runtime in RUNTIMES}
        if max(differences.values()) > TOLERANCE:
            raise ExportRefused(
                f"The runtimes disagree with torch by {differences}, more than {TOLERANCE}: nothing was written. "
                "Look for an operator that is exported differently (padding, resize, eps)."
            )
        golden = tuple(
            Golden(n, tuple(round(float(v), 6) for v in vector), round(float(norm), 6))
            for n, (vector, norm) in zip(GOLDEN_PHOTOS, expected, strict=False)
        )
        metrics = metrics | {"runtimes": {"photos": len(photos), "drawn": drawn, "largest_difference": differences}}
        bundle = dataclasses.replace(bundle, golden=golden, metrics=metrics)
        (made / CONTRACT).write_text(as_text(bundle), "utf-8")
        write_words(load_bundle(made))
        publish(made, folder)
    return load_bundle(folder)


def publish(made: Path, folder: Path) -> None:
    """A finished bundle, beside `folder`, to its place: at once where there is none, else file by file, the contract last.

    Whoever reads meanwhile, or after a kill, finds a whole bundle or is refused by the model's hash.
    """
    try:
        made.rename(folder)  # also onto an empty folder
    except OSError:
        for file in (CARD, YAML, MODEL, CONTRACT):
            (made / file).replace(folder / file)


def _sizes(shape: InputShape) -> list[tuple[int, int]]:
    """Of photos, one for each shape of tensor that the rule makes of them besides that of the golden photos."""
    sizes = [(round(240 * ratio**0.5), round(240 / ratio**0.5)) for ratio in RATIOS]
    of = {shape.fit(*size).outer: size for size in sizes} if shape.rule == "budget" else {}
    of.pop(shape.fit(320, 240).outer, None)
    return list(of.values())


def as_text(bundle: Bundle) -> str:
    """bundle.json as it is written: readable, each golden vector on one line."""
    given = bundle.as_json()
    golden = given.pop("golden")
    body = json.dumps(given, indent=2, ensure_ascii=False)
    lines = ",\n".join("    " + json.dumps(g) for g in golden)
    return f'{body[:-2]},\n  "golden": [\n{lines}\n  ]\n}}\n'


def slimmed(module: nn.Module, *, any_size: bool) -> nn.Module:
    """A copy for `as_onnx`, which gives the same and is written as little but convolutions."""
    folded = fold_batch_norms(copy.deepcopy(module).eval())
    return fix_padding(folded) if any_size else folded


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Each batch norm that directly follows a convolution or a projection is folded into it; timm's keep their activation."""
    for (_, first), (name, second) in itertools.pairwise(list(module.named_children())):
        if isinstance(first, nn.Linear) and isinstance(second, nn.BatchNorm1d):
            whole = fuse_linear_bn_eval(first, second)
            first.weight, first.bias = whole.weight, whole.bias
            setattr(module, name, nn.Identity())
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            fused = fuse_conv_bn_eval(first, second)
            first.weight, first.bias = fused.weight, fused.bias
            setattr(module, name, getattr(second, "act", nn.Identity()))
    for child in module.children():
        fold_batch_norms(child)
    return module


def fix_padding(module: nn.Module) -> nn.Module:
    """Fixed numbers for timm's "same" convolutions, which work their padding out from each input's size.

    Sides that are multiples of 32 always give the same, and a graph for any size is spared 150 nodes of arithmetic on shapes.
    Its looks have such sides too (`mixture.step_of`). In a graph for one size they are numbers already, whatever the sides.
    """
    for name, child in module.named_children():
        if isinstance(child, Conv2dSame):
            setattr(module, name, _padded(child))
        else:
            fix_padding(child)
    return module


def _padded(same: Conv2dSame) -> nn.Module:
    spare = [max((k - 1) * d + 1 - s, 0) for k, d, s in zip(same.kernel_size, same.dilation, same.stride, strict=True)]
    (top, left), (bottom, right) = ((spare[0] // 2, spare[1] // 2), (-(-spare[0] // 2), -(-spare[1] // 2)))
    plain = nn.Conv2d(
        same.in_channels,
        same.out_channels,
        same.kernel_size,  # type: ignore[arg-type]
        same.stride,  # type: ignore[arg-type]
        dilation=same.dilation,  # type: ignore[arg-type]
        groups=same.groups,
        bias=same.bias is not None,
    )
    plain.weight, plain.bias = same.weight, same.bias
    return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), plain)


def as_onnx(module: nn.Module, sample: Tensor, outputs: Sequence[str] = OUTPUTS, *, any_size: bool = True) -> onnx.ModelProto:
    """The graph for any batch of the sample's size, or of any in multiples of 32, with no trace of where it was made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch's exporter about torch's own other parts
            program = torch.onnx.export(
                module,
                (torch.from_numpy(sample),),
                input_names=[INPUT],
                output_names=list(outputs),
                opset_version=18,
                dynamo=True,
                optimize=True,
                verbose=False,
                dynamic_shapes=({0: "n", 2: "h", 3: "w"} if any_size else {0: "n"},),
            )
    except torch.onnx.OnnxExporterError as error:
        height, width = sample.shape[2:]
        wanted = "any size, as the rule 'budget' has it" if any_size else f"{width} x {height} pixels"
        raise ExportRefused(
            f"torch cannot write this network for {wanted}: {str(error).strip().splitlines()[0]} Nothing was written. "
            "Choose another backbone, or, of one that takes one size, a square or a rectangle."
        ) from error
    if program is None:
        raise ExportRefused("torch.onnx.export gave no model and nothing was written: look at its report above.")
    model: onnx.ModelProto = program.model_proto
    for marked in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del marked.metadata_props[:]
        marked.doc_string = ""
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model


def _difference(bundle: Bundle, runtime: str, tensors: list[Any], expected: list[Any]) -> float:
    session = open_session(bundle, runtime)
    worst = 0.0
    for tensor, (vector, norm) in zip(tensors, expected, strict=True):
        got, got_norm = session.run(tensor)
        worst = max(worst, float(np.abs(got - vector).max()), abs(got_norm / float(norm) - 1))
    return worst
