"""Lets torchvision be imported beside a CPU build of torch.

The wheel of torchvision carries operators built for CUDA, which a CPU torch cannot load; `import torchvision`, and so
`import timm`, then fails with "operator torchvision::nms does not exist". Declaring the two missing schemas first is
enough, since nothing here calls them. Where the real extension loads, this does nothing. Import this module before timm.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

_library: torch.library.Library | None = None  # must outlive the import: the schemas go when it does


def _extension_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for extension in sorted(Path(spec.origin).parent.glob("_C*.so")):
        try:
            torch.ops.load_library(str(extension))
        except OSError:
            continue
    return hasattr(torch.ops.torchvision, "nms")


def declare_missing_operators() -> None:
    global _library  # noqa: PLW0603
    if _library is not None or "torchvision" in sys.modules or _extension_loads():
        return
    _library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


declare_missing_operators()
