"""Convolutions of a mobile network on a CPU: the same numbers as torch's, in two thirds of the time.

torch unfolds a convolution over single places, which is a product of matrices as it is, and a depthwise one's way back takes it
two to four times as long as the loop below. Both work on photos whose channels lie together. Each call stays on the thread that
makes it, so the parts of a batch may run side by side.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from . import torchvision_shim  # noqa: F401  # must stand before timm

from timm.layers.conv2d_same import Conv2dSame  # isort: skip

Floats = npt.NDArray[np.float32]


def quicken(module: nn.Module) -> nn.Module:
    """The same module, its parameters and their names untouched, with the convolutions that can be run quicker run so."""
    for child in module.modules():
        if not isinstance(child, nn.Conv2d) or child.dilation != (1, 1) or child.padding_mode != "zeros":
            continue
        same = isinstance(child, Conv2dSame)
        if child.kernel_size == (1, 1) and child.stride == (1, 1) and child.groups == 1 and child.padding in ((0, 0), "same"):
            child.__class__ = Pointwise
        elif child.groups == child.in_channels == child.out_channels and (same or not isinstance(child.padding, str)):
            child.__class__ = DepthwiseSame if same else Depthwise
    return module


class Pointwise(nn.Conv2d):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        channels_last = pixels.permute(0, 2, 3, 1)
        return nn.functional.linear(channels_last, self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = _Depthwise.apply(pixels, self.weight, self.stride, *self._frame(pixels.shape[2:]))
        return made if self.bias is None else made + self.bias[:, None, None]

    def _frame(self, size: torch.Size) -> tuple[tuple[int, int], tuple[int, int]]:
        """Places drawn on above and left of the photo, and the size of what comes out."""
        top, left = (int(p) for p in self.padding)
        steps = zip(size, (top, left), self.kernel_size, self.stride, strict=True)
        height, width = ((length + 2 * pad - kernel) // stride + 1 for length, pad, kernel, stride in steps)
        return (top, left), (height, width)


class DepthwiseSame(Depthwise):
    """With the padding of TensorFlow, which depends on the photo's size."""

    def _frame(self, size: torch.Size) -> tuple[tuple[int, int], tuple[int, int]]:
        out = [-(-length // stride) for length, stride in zip(size, self.stride, strict=True)]
        steps = zip(out, self.stride, self.kernel_size, size, strict=True)
        top, left = (max(0, (count - 1) * stride + kernel - length) // 2 for count, stride, kernel, length in steps)
        return (top, left), (out[0], out[1])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pixels: torch.Tensor, weight: torch.Tensor, stride: Any, before: Any, size: tuple[int, int]
    ) -> torch.Tensor:
        photos = pixels.permute(0, 2, 3, 1).contiguous()  # (n, h, w, c), as they lie already
        kernel = weight[:, 0].permute(1, 2, 0).contiguous()
        made = torch.empty((photos.shape[0], *size, photos.shape[3]))
        _forward(photos.numpy(), kernel.numpy(), made.numpy(), *stride, *before)
        ctx.save_for_backward(photos, kernel)
        ctx.how = (*stride, *before)
        return made.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        photos, kernel = ctx.saved_tensors
        slope = slopes[0].permute(0, 2, 3, 1).contiguous()
        of_photos, of_kernel = torch.zeros_like(photos), torch.zeros_like(kernel)
        _backward(photos.numpy(), kernel.numpy(), slope.numpy(), of_photos.numpy(), of_kernel.numpy(), *ctx.how)
        return of_photos.permute(0, 3, 1, 2), of_kernel.permute(2, 0, 1).unsqueeze(1), None, None, None


# Two loops and not one that is told what to do: the compiler has to see the innermost whole, over the channels of one place and
# one tap, to go eight at a time. Coverage cannot see into them; tests/training/test_step.py holds both against torch.
@numba.njit(nogil=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def _forward(
    photos: Floats, kernel: Floats, made: Floats, down: int, across: int, top: int, left: int
) -> None:  # pragma: no cover
    for n in range(made.shape[0]):
        for row in range(made.shape[1]):
            for column in range(made.shape[2]):
                made[n, row, column, :] = 0
                for i in range(kernel.shape[0]):
                    y = row * down + i - top
                    if y < 0 or y >= photos.shape[1]:
                        continue
                    for j in range(kernel.shape[1]):
                        x = column * across + j - left
                        if x < 0 or x >= photos.shape[2]:
                            continue
                        for c in range(photos.shape[3]):
                            made[n, row, column, c] += photos[n, y, x, c] * kernel[i, j, c]


@numba.njit(nogil=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def _backward(
    photos: Floats,
    kernel: Floats,
    slope: Floats,
    of_photos: Floats,
    of_kernel: Floats,
    down: int,
    across: int,
    top: int,
    left: int,
) -> None:  # pragma: no cover
    """Adds to `of_photos` and `of_kernel`."""
    for n in range(slope.shape[0]):
        for row in range(slope.shape[1]):
            for column in range(slope.shape[2]):
                for i in range(kernel.shape[0]):
                    y = row * down + i - top
                    if y < 0 or y >= photos.shape[1]:
                        continue
                    for j in range(kernel.shape[1]):
                        x = column * across + j - left
                        if x < 0 or x >= photos.shape[2]:
                            continue
                        for c in range(photos.shape[3]):
                            value = slope[n, row, column, c]
                            of_photos[n, y, x, c] += value * kernel[i, j, c]
                            of_kernel[i, j, c] += value * photos[n, y, x, c]
