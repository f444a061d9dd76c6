"""Several looks at a photo as one vector: what training taught, at one or more sizes, beside what the first weights knew.

Training on one species makes an encoder worse on others. A cosine that is the mean of both encoders' cosines does not; one
encoder that looks at two sizes sees more than at either, and so does one whose features are pooled in bands too. Each vector
is the looks' unit vectors side by side, weighted, brought back to a usual length by a linear discriminant of the photos that
were taught. It costs one run of a backbone a look, less what two looks share; stored weights may be rounded to 16 bits to fit
a bundle's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from encoder.preprocess import STEP, InputShape

from .errors import ExportRefused
from .model import Embedder, Trunk, in_bands, rest

Floats = npt.NDArray[np.floating]


class PlainFeatures(nn.Module):
    """A backbone's features, averaged over places: what the first weights give without anything of ours."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def of(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean(dim=(2, 3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.of(_map_of(self.backbone, pixels, "mixed with its first weights", "--taught 1"))


def _map_of(backbone: nn.Module, pixels: torch.Tensor, wanted: str, instead: str) -> torch.Tensor:
    features: torch.Tensor = backbone.forward_features(pixels)  # type: ignore[operator]
    if features.ndim != 4 or features.shape[1] != backbone.num_features:
        raise ExportRefused(
            f"{type(backbone).__name__} gives features of shape {tuple(features.shape)}, and cannot be {wanted}: "
            f"expected a convolutional network's (n, {backbone.num_features}, height, width). Say {instead}."
        )
    return features


def step_of(shape: InputShape) -> int:
    """Whole pixels where each look has one size. A graph for photos of any shape pads for multiples of 32 (`fix_padding`)."""
    return STEP if shape.rule == "budget" else 1


def scaled(pixels: torch.Tensor, side: float, step: int = 1) -> torch.Tensor:
    """To this share of each side: of its whole pixels, up to the next multiple of `step`."""
    if side == 1:
        return pixels
    share = Fraction(side).limit_denominator(1000)  # whole numbers: a graph for any size knows no others of its sides
    over, under = share.numerator, share.denominator
    height, width = ((length * over + under * (step - 1)) // (under * step) * step for length in pixels.shape[2:])
    return nn.functional.interpolate(pixels, size=(height, width), mode="bilinear", align_corners=False)


class Look(nn.Module):
    """An encoder on the photo scaled to a share of its sides; unit vectors."""

    def __init__(self, encoder: nn.Module, side: float = 1.0, step: int = 1) -> None:
        super().__init__()
        self.encoder, self.side, self.step = encoder, side, step

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.encoder(scaled(pixels, self.side, self.step)))


class Banded(nn.Module):
    """The taught encoder on the whole photo and, with `share` of the cosine, its last features pooled in bands from top to
    bottom: where on an animal something is tells it from others. One run of the backbone; unit vectors.
    """

    def __init__(self, taught: Embedder, bands: int, share: float) -> None:
        super().__init__()
        self.taught, self.bands, self.share = taught, bands, share

    @property
    def backbone(self) -> nn.Module:
        return self.taught.backbone

    def of(self, features: torch.Tensor) -> torch.Tensor:
        height = features.shape[2]
        if self.bands > height:
            raise ExportRefused(f"{self.bands} bands were asked for of features {height} high: expected --bands 1 to {height}.")
        parts = [self.taught.of(features), *map(self.taught.pool, in_bands(features, self.bands))]
        shares = [1 - self.share, *[self.share / self.bands] * self.bands]
        weighted = zip(parts, shares, strict=True)
        return torch.cat([share**0.5 * nn.functional.normalize(part) for part, share in weighted], dim=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.of(_map_of(self.backbone, pixels, "pooled in bands", "--bands 1"))


Encoder = Embedder | PlainFeatures | Banded


def common_trunk(encoders: Sequence[Encoder]) -> Trunk | None:
    """The frozen stages of the first, where they are all the others' own too: of runs begun with others they may not be."""
    first = encoders[0].taught if isinstance(encoders[0], Banded) else encoders[0]
    trunk = first.trunk() if isinstance(first, Embedder) else None
    if trunk is None:
        return None
    frozen = ("conv_stem.", "bn1.", *(f"blocks.{index}." for index in range(trunk.stages)))
    ours = [(name, tensor) for name, tensor in first.backbone.state_dict().items() if name.startswith(frozen)]
    theirs = [one.backbone.state_dict() for one in encoders[1:]]
    return trunk if all(torch.equal(tensor, of[name]) for of in theirs for name, tensor in ours) else None


class Siblings(nn.Module):
    """Encoders with their shares of the cosine, at one size: they part where teaching began, so the stages before that, half
    of the time, are run once. Not of length 1: a `Mixture` takes it with a share of 1.
    """

    def __init__(self, encoders: Sequence[Encoder], shares: Sequence[float], side: float = 1.0, step: int = 1) -> None:
        super().__init__()
        trunk = common_trunk(encoders)
        if trunk is None:
            raise ValueError("these encoders have no frozen stages in common")
        self.encoders, self.trunk = nn.ModuleList(encoders), trunk
        self.shares, self.side, self.step = tuple(share**0.5 for share in shares), side, step

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.trunk(scaled(pixels, self.side, self.step))
        made = []
        for share, encoder in zip(self.shares, self.encoders, strict=True):
            own: Encoder = encoder  # type: ignore[assignment]
            made.append(share * nn.functional.normalize(own.of(rest(own.backbone, self.trunk.stages, features))))
        return torch.cat(made, dim=1)


@dataclass(frozen=True, slots=True)
class Placed:
    """An encoder of a mixture: at which share of the photo's sides it looks, and what share of the cosine it has."""

    encoder: Encoder
    side: float
    share: float


def looks_of(placed: Sequence[Placed], step: int) -> tuple[list[nn.Module], list[float]]:
    """With their shares. Encoders that follow each other at one side and began alike become `Siblings`."""
    looks, shares = list[nn.Module](), list[float]()
    for side, group in groupby(placed, key=lambda one: one.side):
        same = list(group)
        encoders, own = [one.encoder for one in same], [one.share for one in same]
        if len(same) > 1 and common_trunk(encoders) is not None:
            looks.append(Siblings(encoders, own, side, step))
            shares.append(1.0)
        else:
            looks += [Look(encoder, side, step) for encoder in encoders]
            shares += own
    return looks, shares


class Mixture(nn.Module):
    """Looks with their shares of the cosine, which sum to 1; then `centre` (width,), `matrix` (width, dim)."""

    def __init__(self, looks: Sequence[nn.Module], shares: Sequence[float], centre: Floats, matrix: Floats) -> None:
        super().__init__()
        self.looks = nn.ModuleList(looks)
        self.shares = tuple(share**0.5 for share in shares)
        self.project = nn.Linear(*matrix.shape)
        with torch.no_grad():
            self.project.weight.copy_(torch.from_numpy(matrix.T))
            self.project.bias.copy_(torch.from_numpy(-centre @ matrix))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to embeddings (n, dimension), not yet normalised."""
        parts = [share * look(pixels) for share, look in zip(self.shares, self.looks, strict=True)]
        return self.project(torch.cat(parts, dim=1))  # type: ignore[no-any-return]


def side_by_side(parts: Sequence[Floats], shares: Sequence[float]) -> npt.NDArray[np.float64]:
    """Unit vectors (n, a), (n, b)… to (n, a + b…), whose cosines are the weighted means of theirs."""
    return np.concatenate([share**0.5 * part for part, share in zip(parts, shares, strict=True)], axis=1).astype(np.float64)


def round_weights(module: nn.Module) -> nn.Module:
    """Every large weight to the nearest that 16 bits hold, in place: storing it in 16 bits then changes nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())
    return module
