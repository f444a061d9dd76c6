"""A photo that is kept smaller than it was given: how the copy is made, and where a box of the original lies in it.

The copy is made of the pixels that the encoder sees, upright and over the same backdrop, so that encoding it again gives
nearly the vector of the original.
"""

from __future__ import annotations

import cv2

from .errors import PhotoRefused
from .header import Header, read_header
from .photo import decode
from .preprocess import resize
from .values import DEFAULT_LIMITS, Box, Limits

JPEG_QUALITY = 90


def reduced(data: bytes, long_side: int, limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """A JPEG of this long side; None where it is no larger already, or cannot be decoded."""
    try:
        header = read_header(data, limits)
        if max(header.width, header.height) <= long_side:
            return None
        scale = long_side / max(header.width, header.height)
        size = max(1, round(header.width * scale)), max(1, round(header.height * scale))
        small = resize(decode(data, header, None, size), *size)
    except PhotoRefused:
        return None
    done, jpeg = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes() if done else None


def in_copy(box: Box, given: tuple[int, int], copy: Header) -> Box:
    """The box of a photo that was `given` with this width and height, in a copy of another size.

    Rounding may not carry it over the edge.
    """
    across, down = copy.width / given[0], copy.height / given[1]
    left, top = min(round(box.x * across), copy.width - 1), min(round(box.y * down), copy.height - 1)
    right = min(round((box.x + box.width) * across), copy.width)
    bottom = min(round((box.y + box.height) * down), copy.height)
    return Box(left, top, max(1, right - left), max(1, bottom - top))
