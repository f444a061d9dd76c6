"""What may differ between two photos of one animal: frame, pose a little, light, water, focus, compression, a splash.

Pure: the same pixels, settings and draw give the same photo. No flips unless the animal allows it (a scar has a side), no
shared background: nothing is pasted from another photo.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from encoder.preprocess import resize
from encoder.values import Pixels

from .config import Augment

RAMP = np.arange(256) / 255
BLUR = (0.003, 0.015)  # of the short side
QUALITY = (15, 80)
GRAIN = (3, 16)  # of 255


def worn(pixels: Pixels, seen: tuple[int, int], how: Augment, draw: np.random.Generator) -> Pixels:
    """Out of focus, compressed, grainy: what a camera and a file do to a photo, at the width and height that they `seen` it at.
    Scaled up afterwards, as a distant animal's crop is, grains and blocks are larger than any that are drawn on the result.
    """
    blurred, compressed, grainy = draw.random(3) < (how.blur, how.jpeg, how.noise)
    if not (blurred or compressed or grainy):
        return pixels
    changed = resize(pixels, *seen)
    if blurred:
        sigma = draw.uniform(*BLUR) * min(seen)
        changed = cv2.GaussianBlur(changed, (0, 0), max(sigma, 0.1)).astype(np.uint8)
    if compressed:
        _, code = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(*QUALITY))])
        changed = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)  # channels stay in the order they were given in
    if grainy:
        changed = np.clip(changed + draw.normal(0, draw.uniform(*GRAIN), changed.shape), 0, 255).astype(np.uint8)
    return resize(changed, pixels.shape[1], pixels.shape[0])


def augment(pixels: Pixels, how: Augment, draw: np.random.Generator, *, mirrored: bool = False) -> Pixels:
    """(height, width, 3) uint8 to the same shape: another frame, another light, something in front."""
    changed = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    changed = _relit(_reframed(changed, how, draw), how, draw)
    if draw.random() < how.occlude:
        changed = _occluded(changed, draw)
    return changed


def _reframed(pixels: npt.NDArray[np.uint8], how: Augment, draw: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Zoomed, turned and shifted in one resampling; the edge is drawn out where the frame leaves the photo."""
    height, width = pixels.shape[:2]
    angle = math.radians(draw.normal(0, how.rotate_deg))
    zoom_x, zoom_y = draw.uniform(how.zoom, 1.1, 2)
    cos, sin, shape = math.cos(angle), math.sin(angle), width / height
    back = np.array([[zoom_x * cos, -zoom_x * sin * shape, 0], [zoom_y * sin / shape, zoom_y * cos, 0]])
    centre = np.array([width, height]) / 2
    back[:, 2] = centre + draw.uniform(-how.shift, how.shift, 2) * (width, height) - back[:, :2] @ centre
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _relit(pixels: npt.NDArray[np.uint8], how: Augment, draw: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Gamma, contrast, brightness and the colour of the water, as one look-up."""
    curve = RAMP ** math.exp(draw.normal(0, 0.6 * how.light))
    curve = (curve - 0.5) * draw.uniform(1 - how.light, 1 / (1 - how.light)) + 0.5 + draw.uniform(-how.light, how.light) / 2
    gains = np.exp(draw.normal(0, how.colour, 3))
    if draw.random() < how.grey:
        pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
        gains = np.ones(3)
    table = np.clip(curve[:, None] * gains * 255, 0, 255).astype(np.uint8)
    return cv2.LUT(pixels, table[None])  # type: ignore[return-value]


def _occluded(pixels: npt.NDArray[np.uint8], draw: np.random.Generator) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    area, shape = draw.uniform(0.03, 0.2) * height * width, math.exp(draw.normal(0, 0.5))
    tall, broad = min(height - 1, int(math.sqrt(area * shape))), min(width - 1, int(math.sqrt(area / shape)))
    top, left = int(draw.integers(height - tall)), int(draw.integers(width - broad))
    covered = pixels.copy()
    covered[top : top + tall, left : left + broad] = draw.integers(0, 256, 3)
    return covered
