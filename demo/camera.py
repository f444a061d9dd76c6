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
    grain = draw.standard_normal((height, width), dtype=np.float32)
    grain *= np.float32(lens.noise * 255)
    grain += np.float32(255 * (0.5 - 0.5 * lens.contrast))
    shown = []
    for plane, balance in zip(planes, (1 + lens.warmth, 1.0, 1 - lens.warmth), strict=True):
        plane *= np.float32(-1.35 * gain * balance)
        plane -= np.float32(1.35 * 0.16 * lens.veil)
        cv2.exp(plane, plane)
        np.subtract(1, plane, out=plane)
        np.maximum(plane, 0, out=plane)
        np.sqrt(plane, out=plane)
        cv2.scaleAdd(plane, 255 * lens.contrast, grain, plane)
        np.maximum(plane, 0, out=plane)
        shown.append(cv2.convertScaleAbs(plane))  # rounds, and stops at 255
    return np.asarray(cv2.merge(shown), np.uint8)


def _blurred(light: Image, lens: Lens) -> Image:
    width = light.shape[1]
    sigma = lens.defocus * width
    if sigma > 0.3:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)
    length = lens.motion * width
    if length > 1.2:
        size = int(length) // 2 * 2 + 3
        kernel = np.zeros((size, size), np.uint8)
        middle, half = size / 2, length / 2
        ends = [(middle + s * half * cos(lens.motion_rad), middle + s * half * sin(lens.motion_rad)) for s in (-1, 1)]
        cv2.line(kernel, *[(round(x * 16 - 8), round(y * 16 - 8)) for x, y in ends], 255, 1, cv2.LINE_AA, 4)
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
