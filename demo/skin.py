"""Skin in light: albedo and relief to the colour that the camera sees, wet and under this day's sky."""

from __future__ import annotations

import cv2
import numpy as np

from demo.chance import Image, Light
from demo.light import Colour, Outing


def lit(grey: Image, tint: Colour, relief: Image, unit_px: float, day: Outing, wet: float, facing: Colour) -> Light:
    """`grey` is the albedo, `relief` the height towards the camera in units, `facing` the card's own normal."""
    across: Image = np.asarray(cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=-unit_px / 8), np.float32)
    up: Image = np.asarray(cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=unit_px / 8), np.float32)
    across += np.float32(facing[0])
    up += np.float32(facing[1])
    towards = np.float32(facing[2])
    length = across * across
    length += up * up
    length += towards * towards
    np.sqrt(length, out=length)
    np.divide(1, length, out=length)
    across *= length
    up *= length
    length *= towards
    sun = day.sun
    direct = _cosine(across, up, length, sun)
    half = np.array([sun[0], sun[1], sun[2] + 1])
    half /= max(float(np.sqrt((half**2).sum())), 0.05)
    shine = _cosine(across, up, length, (float(half[0]), float(half[1]), float(half[2])))
    cv2.pow(shine, 36, shine)
    shine *= np.float32(wet * 0.35 * (1 - day.overcast))
    up += 1
    up *= np.float32(0.5)  # how much of the sky it sees
    sheen = np.subtract(1, length, out=length)
    sheen *= sheen
    sheen *= np.float32(0.9 * wet)
    sheen += np.float32(0.025 * wet)
    sheen *= up
    up *= np.float32(0.9)
    up += np.float32(0.1)
    up *= grey
    direct *= grey
    planes = []
    for c in range(3):
        light = up * np.float32(day.skylight[c] * tint[c])
        cv2.scaleAdd(direct, day.sunlight[c] * 0.7 * tint[c], light, light)
        cv2.scaleAdd(shine, day.sunlight[c], light, light)
        cv2.scaleAdd(sheen, day.skylight[c], light, light)
        planes.append(light)
    return planes


def _cosine(across: Image, up: Image, towards: Image, way: Colour) -> Image:
    cosine = across * np.float32(way[0])
    cv2.scaleAdd(up, way[1], cosine, cosine)
    cv2.scaleAdd(towards, way[2], cosine, cosine)
    np.maximum(cosine, 0, out=cosine)
    return cosine
