"""ArcFace and sub-center ArcFace with a margin for each individual: wide where photos are few, narrow where they are many.

The losses are pytorch-metric-learning's; what is added is the margin. Past the angle where the margin would turn the cosine
round, the curve goes on as a straight shift, as there, so that it falls all the way from 0 to 180 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses

from .config import Config
from .errors import ConfigRefused
from .model import part_sizes

NEARLY_ONE = 1 - 1e-6  # the slope of acos is endless at 1


def margins(counts: Sequence[int], rule: tuple[float, float, float]) -> torch.Tensor:
    """(individuals,) float32 radians: a n^-b + c."""
    a, b, c = rule
    return a * torch.tensor(counts, dtype=torch.float32).clamp_min(1) ** -b + c


class _MarginPerClass:
    """Mixed into pytorch-metric-learning's ArcFace losses."""

    def compute_loss(self, embeddings: torch.Tensor, labels: torch.Tensor, *rest: Any) -> Any:
        self._of_batch = self.margins.to(embeddings.device)[labels]  # type: ignore[attr-defined]
        return super().compute_loss(embeddings, labels, *rest)  # type: ignore[misc]

    def modify_cosine_of_target_classes(self, cosine: torch.Tensor) -> torch.Tensor:
        margin = self._of_batch
        angle = torch.acos(cosine.clamp(-NEARLY_ONE, NEARLY_ONE))
        return torch.where(angle <= math.pi - margin, torch.cos(angle + margin), cosine - margin * torch.sin(margin))

    def logits(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(n, individuals) scaled cosines, each photo's own individual with its margin."""
        loss: Any = self
        loss.cast_types(embeddings.dtype, embeddings.device)
        self._of_batch = loss.margins.to(embeddings.device)[labels]
        cosine = loss.get_cosine(embeddings)
        own = cosine.gather(1, labels[:, None])
        with_margin = self.modify_cosine_of_target_classes(own[:, 0])[:, None]
        return loss.scale_logits(cosine.scatter(1, labels[:, None], with_margin), embeddings)  # type: ignore[no-any-return]


class ArcFace(_MarginPerClass, losses.ArcFaceLoss):  # type: ignore[misc]
    def __init__(self, margins: torch.Tensor, **kwargs: Any) -> None:
        super().__init__(num_classes=len(margins), **kwargs)
        self.register_buffer("margins", margins, persistent=False)


class SubCenterArcFace(_MarginPerClass, losses.SubCenterArcFaceLoss):  # type: ignore[misc]
    def __init__(self, margins: torch.Tensor, **kwargs: Any) -> None:
        super().__init__(num_classes=len(margins), **kwargs)
        self.register_buffer("margins", margins, persistent=False)


def among(loss: Any, embeddings: torch.Tensor, labels: torch.Tensor, rivals: torch.Tensor) -> torch.Tensor:
    """The loss with each photo told from its rivals only: (n, individuals) bool, its own individual among them."""
    logits = loss.logits(embeddings, labels)
    return torch.nn.functional.cross_entropy(logits.masked_fill(~rivals, float("-inf")), labels)


class SpeciesHead(torch.nn.Module):
    """Tells the species from the embedding; photos whose species is not known are not asked."""

    UNKNOWN = -100  # what cross entropy leaves out

    def __init__(self, species: Sequence[str | None], dimension: int) -> None:
        super().__init__()
        names = sorted({name for name in species if name is not None})
        if len(names) < 2:
            raise ConfigRefused(f"species is weighted, but the photos taught name {len(names)}: expected two or more.")
        number = {name: at for at, name in enumerate(names)}
        self.of = torch.tensor([number.get(name or "", self.UNKNOWN) for name in species])
        self.tell = torch.nn.Linear(dimension, len(names))

    def forward(self, embeddings: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        wanted = self.of[list(rows)].to(embeddings.device)
        if (wanted == self.UNKNOWN).all():
            return embeddings.sum() * 0
        told = self.tell(torch.nn.functional.normalize(embeddings))
        return torch.nn.functional.cross_entropy(told, wanted)


class OfParts(torch.nn.Module):
    """Each part of an embedding tells the individuals by itself: the whole photo's loss, and the mean of the bands'."""

    def __init__(self, parts: Sequence[torch.nn.Module], sizes: Sequence[int]) -> None:
        super().__init__()
        self.parts, self.sizes = torch.nn.ModuleList(parts), list(sizes)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        split = zip(self.parts, embeddings.split(self.sizes, dim=1), strict=True)
        whole, *bands = (part(own, labels) for part, own in split)
        return (whole + torch.stack(bands).mean()) / 2  # type: ignore[no-any-return]


def make_loss(config: Config, counts: Sequence[int]) -> torch.nn.Module:
    """`loss(embeddings, labels)` to a scalar; `counts` is the photos of each individual, in the order of labels."""
    sizes = part_sizes(config.dimension, config.bands)
    parts = [_loss(config, size, counts) for size in sizes]
    return parts[0] if len(parts) == 1 else OfParts(parts, sizes)


def _loss(config: Config, dimension: int, counts: Sequence[int]) -> torch.nn.Module:
    if config.loss == "softmax":
        made: torch.nn.Module = losses.NormalizedSoftmaxLoss(len(counts), dimension, temperature=1 / config.scale)
    elif config.loss == "subcenter":
        made = SubCenterArcFace(
            margins(counts, config.margin), embedding_size=dimension, scale=config.scale, sub_centers=config.sub_centers
        )
    else:
        made = ArcFace(margins(counts, config.margin), embedding_size=dimension, scale=config.scale)
    return made
