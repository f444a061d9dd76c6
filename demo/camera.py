"""The camera: linear light to the pixels and the file that a person would bring home.

Exposure, white balance, blur, glare, noise, and a JPEG with the EXIF fields that photo-identification reads.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from math import cos, sin

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pictures

from demo.chance import Image, Light

STRIP = 64  # rows that stay in the processor's cache
Pixels = npt.NDArray[np.uint8]  # (h, w, 3) RGB


@dataclass(frozen=True, slots=True)
class Lens:
    exposure: float  # 1 is what the meter says
    warmth: float  # white balance, about -0.1 to 0.1
    contrast: float
    defocus: float  # radius as a share of the picture's width
    motion: float  # length as a share of the width
    motion_rad: float
    veil: float  # light scattered in the lens, 0-1
    noise: float  # standard deviation in mid grey, of 1


def developed(light: Light, lens: Lens, draw: np.random.Generator) -> Pixels:
    """Linear light to (h, w, 3) RGB."""
    height, width = light[0].shape
    planes = [_blurred(plane, lens) for plane in light]
    meter = float(np.mean([cv2.resize(plane, (32, 24), interpolation=cv2.INTER_AREA).mean() for plane in planes]))
    gain = 0.27 * lens.exposure / max(meter, 1e-4) * (1 - 0.5 * lens.veil)
    grain = draw.integers(0, 256, (2, height, width), np.uint8).sum(axis=0, dtype=np.float32)  # of two dice: 104 spread
    grain -= 255
    grain *= np.float32(lens.noise * 255 / 104)
    grain += np.float32(255 * (0.5 - 0.5 * lens.contrast))
    pixels = np.empty((height, width, 3), np.uint8)
    for row in range(0, height, STRIP):
        part = slice(row, row + STRIP)
        shown = []
        for plane, balance in zip(planes, (1 + lens.warmth, 1.0, 1 - lens.warmth), strict=True):
            strip = plane[part] * np.float32(-1.35 * gain * balance)
            strip -= np.float32(1.35 * 0.16 * lens.veil)
            cv2.exp(strip, strip)
            np.subtract(1, strip, out=strip)
            np.maximum(strip, 0, out=strip)
            np.sqrt(strip, out=strip)
            cv2.scaleAdd(strip, 255 * lens.contrast, grain[part], strip)
            np.maximum(strip, 0, out=strip)
            shown.append(cv2.convertScaleAbs(strip))  # rounds, and stops at 255
        pixels[part] = cv2.merge(shown)
    return pixels


def _blurred(light: Image, lens: Lens) -> Image:
    width = light.shape[1]
    sigma = lens.defocus * width
    if sigma > 0.4:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)
    length = lens.motion * width
    if length > 1.2:
        size = int(length) // 2 * 2 + 3
        kernel = np.zeros((size, size), np.uint8)
        middle, half = size / 2, length / 2
        across, down = half * cos(lens.motion_rad), half * sin(lens.motion_rad)
        start, end = ((round((middle + s * across) * 16 - 8), round((middle + s * down) * 16 - 8)) for s in (-1, 1))
        cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
        light = cv2.filter2D(light, -1, kernel.astype(np.float32) / max(float(kernel.sum()), 1.0))
    return light


def jpeg(pixels: Pixels, quality: int, taken: datetime, lat: float, lon: float) -> bytes:
    """A JPEG with DateTimeOriginal and the GPS place."""
    exif = Pictures.Exif()
    exif[0x010E] = "A drawn animal, not a real one"  # ImageDescription
    exif[0x8769] = {0x9003: taken.strftime("%Y:%m:%d %H:%M:%S")}  # DateTimeOriginal
    exif[0x8825] = {
        1: "N" if lat >= 0 else "S",
        2: _degrees(lat),
        3: "E" if lon >= 0 else "W",
        4: _degrees(lon),
    }
    out = io.BytesIO()
    Pictures.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=2, exif=exif)
    return out.getvalue()


def _degrees(value: float) -> tuple[float, float, float]:
    seconds = round(abs(value) * 3600, 2)
    return float(seconds // 3600), float(seconds % 3600 // 60), round(seconds % 60, 2)
