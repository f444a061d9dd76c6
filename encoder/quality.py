"""How much there is to see in a crop: brightness, sharpness, and whether it is enough to tell an animal by.

Measured on the crop at the encoder's size, so that the figures of a phone's and a camera's photo compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from .errors import NoDetail
from .values import Pixels

MIN_SIDE = 16  # pixels of the crop; the smallest beluga crop that was ever matched is 31 wide
MIN_CONTRAST = 1.5  # standard deviation of luma, of 255


@dataclass(frozen=True, slots=True)
class Quality:
    brightness: float  # mean luma, 0-1
    contrast: float  # standard deviation of luma, of 255
    sharpness: float  # variance of the Laplacian, luma in 0-1


def measure(small: Pixels) -> Quality:
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return Quality(
        brightness=float(mean[0, 0]) / 255,
        contrast=float(deviation[0, 0]),
        sharpness=float(edges[0, 0] / 255) ** 2,
    )


def refuse_tiny(width: int, height: int) -> None:
    """Of the photo as it was given: a smaller copy of it shows less of the same, which was enough once."""
    if min(width, height) < MIN_SIDE:
        raise NoDetail(
            f"The crop is {width} x {height} pixels, too few to tell an animal by: expected {MIN_SIDE} or more a side. "
            "Choose a larger box, or a photo taken closer."
        )


def refuse_flat(quality: Quality) -> None:
    if quality.contrast < MIN_CONTRAST:
        shade = "black" if quality.brightness < 0.05 else "white" if quality.brightness > 0.95 else "grey"
        raise NoDetail(
            f"The photo is an even {shade}: its light varies by {quality.contrast:.1f} of 255, "
            f"expected {MIN_CONTRAST} or more. Leave it out, or choose a photo or a box that shows the animal."
        )
