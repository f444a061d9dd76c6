"""Two encoders as one: what training taught, beside what the first weights knew.

Training on one species makes an encoder worse on others. A cosine that is the mean of both encoders' cosines does not: each
vector is the two unit vectors side by side, weighted, brought back to a usual length by a linear discriminant of the photos
that were taught. It costs two runs of the backbone; stored weights may be rounded to 16 bits to fit a bundle's size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Floats = npt.NDArray[np.floating]


class PlainFeatures(nn.Module):
    """A backbone's features, averaged over places: what the first weights give without anything of ours."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.backbone.forward_features(pixels).mean(dim=(2, 3))  # type: ignore[no-any-return, operator]


class Mixture(nn.Module):
    """`weight` of the first, the rest of the second, as shares of the cosine; then `centre` (width,), `matrix` (width, dim)."""

    def __init__(self, first: nn.Module, second: nn.Module, weight: float, centre: Floats, matrix: Floats) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.shares = (weight**0.5, (1 - weight) ** 0.5)
        self.project = nn.Linear(*matrix.shape)
        with torch.no_grad():
            self.project.weight.copy_(torch.from_numpy(matrix.T))
            self.project.bias.copy_(torch.from_numpy(-centre @ matrix))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to embeddings (n, dimension), not yet normalised."""
        parts = (nn.functional.normalize(module(pixels)) for module in (self.first, self.second))
        return self.project(torch.cat([share * part for share, part in zip(self.shares, parts, strict=True)], dim=1))  # type: ignore[no-any-return]


def side_by_side(first: Floats, second: Floats, weight: float) -> npt.NDArray[np.float64]:
    """(n, a) and (n, b), unit norm, to (n, a + b), unit norm, whose cosines are the weighted means of theirs."""
    return np.concatenate([weight**0.5 * first, (1 - weight) ** 0.5 * second], axis=1).astype(np.float64)


def round_weights(module: nn.Module) -> nn.Module:
    """Every large weight to the nearest that 16 bits hold, in place: storing it in 16 bits then changes nothing."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())
    return module
