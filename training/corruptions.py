"""What goes wrong with photos at sea, in three strengths, to measure how much of the figures each costs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from encoder.values import Pixels

STRENGTHS = ("mild", "middle", "strong")
Corruption = Callable[[Pixels, int, np.random.Generator], Pixels]


def noise(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:
    spread = (6, 12, 24)[strength]  # of 255
    return np.clip(pixels + draw.normal(0, spread, pixels.shape), 0, 255).astype(np.uint8)


def blur(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Out of focus by a share of the short side: a pixel means less in a larger photo."""
    sigma = (0.005, 0.01, 0.02)[strength] * min(pixels.shape[:2])
    return cv2.GaussianBlur(pixels, (0, 0), max(sigma, 0.1)).astype(np.uint8)


def jpeg(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:  # noqa: ARG001
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, (50, 25, 10)[strength]])
    decoded: Pixels = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return decoded


def darker(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:  # noqa: ARG001
    dimmed: Pixels = (pixels * np.float32((0.8, 0.6, 0.4)[strength])).astype(np.uint8)
    return dimmed


def brighter(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:  # noqa: ARG001
    lit: Pixels = np.clip(pixels * np.float32((1.2, 1.4, 1.8)[strength]), 0, 255).astype(np.uint8)
    return lit


def occlusion(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:
    """A grey patch over a share of the photo."""
    side = np.sqrt((0.03, 0.08, 0.2)[strength])
    height, width = pixels.shape[:2]
    tall, broad = max(1, int(height * side)), max(1, int(width * side))
    top, left = int(draw.integers(height - tall + 1)), int(draw.integers(width - broad + 1))
    covered = pixels.copy()
    covered[top : top + tall, left : left + broad] = 128
    return covered


def downscaling(pixels: Pixels, strength: int, draw: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Photographed from further away, at the same size again."""
    share = (0.75, 0.5, 0.25)[strength]
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(1, round(width * share)), max(1, round(height * share))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": noise,
    "blur": blur,
    "jpeg": jpeg,
    "darker": darker,
    "brighter": brighter,
    "occlusion": occlusion,
    "downscaling": downscaling,
}
