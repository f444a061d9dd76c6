"""The sea: waves in perspective, what they mirror, and what they hide.

The surface is a height field from a wind-wave spectrum, drawn front to back over every column, so a near crest covers
what lies behind it, the animal's base too. Lengths are metres at the distance of the animal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import cos, sin

import cv2
import numpy as np
import numpy.typing as npt

from demo.chance import Image, Light, noise, rng, smoothstep
from demo.light import Outing

TILE = 256  # samples along a side of the wave pattern, which repeats
FINER = 8.0  # each cascade repeats the pattern this much smaller
STRIP = 64  # rows
PEAK = 6.0  # of the longest waves come so many to a tile


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera stands and what it takes in."""

    width: int
    height: int
    metre_px: float  # pixels a metre at the animal's distance
    distance_m: float
    camera_m: float  # above the water
    water_y: float  # row of the still water at the animal
    tilt: float  # of the horizon, radians

    @property
    def horizon_y(self) -> float:
        return self.water_y - self.camera_m * self.metre_px

    @property
    def focal_px(self) -> float:
        return self.metre_px * self.distance_m


@dataclass(frozen=True, slots=True)
class Water:
    colour: Light  # sky included
    waterline: Image  # (w,) the row down from which near water hides the animal
    slope: Image  # (h, w) of the surface, across


def waves(seed: int, chop: float, wind_rad: float, tile_m: float) -> Image:
    """(TILE, TILE, 3): height in metres, slope across, slope away, of a pattern that repeats every `tile_m`."""
    amplitude, turn_x, turn_z = _spectrum()
    along = turn_x * np.float32(sin(wind_rad)) + turn_z * np.float32(cos(wind_rad))
    phase = rng("waves", seed).standard_normal((2, *amplitude.shape), dtype=np.float32)
    phase *= amplitude * np.sqrt(0.25 + along * along)
    spectrum = phase[0] + 1j * phase[1]
    height = np.fft.irfft2(spectrum, (TILE, TILE)).astype(np.float32)
    rim = cv2.copyMakeBorder(height, 1, 1, 1, 1, cv2.BORDER_WRAP)
    half = np.float32(TILE / tile_m / 2)
    across, away = (rim[1:-1, 2:] - rim[1:-1, :-2]) * half, (rim[2:, 1:-1] - rim[:-2, 1:-1]) * half
    scale = np.float32(chop / np.sqrt(float((across**2).mean() + (away**2).mean())))
    return np.asarray(cv2.merge([height * scale, across * scale, away * scale]), np.float32)


@cache
def _spectrum() -> tuple[Image, Image, Image]:
    """Of all waves of a tile the amplitude and the direction; nothing of it is drawn."""
    k = np.fft.fftfreq(TILE, 1 / TILE)
    kz, kx = k[:, None], k[None, : TILE // 2 + 1]
    size = np.hypot(kx, kz)
    size[0, 0] = 1
    amplitude = np.exp(-((PEAK / size) ** 2) / 2) / size**1.8
    amplitude[0, 0] = 0
    return amplitude.astype(np.float32), (kx / size).astype(np.float32), (kz / size).astype(np.float32)


def _padded(tile: Image, melt: float = 0.0) -> Image:
    """With a rim, so that no pixel needs the wrap, which is slow. `melt` samples are averaged away from the camera."""
    padded = cv2.copyMakeBorder(tile, 2, 3, 2, 3, cv2.BORDER_WRAP)
    return cv2.GaussianBlur(padded, (1, 0), sigmaX=0.1, sigmaY=melt) if melt > 0.3 else padded


def _sampled(padded: Image, x: Image, z: Image, tile_m: float) -> Image:
    return cv2.remap(padded, _wrapped(x, tile_m), _wrapped(z, tile_m), cv2.INTER_LINEAR)


def _wrapped(metres: Image, tile_m: float) -> Image:
    turns = metres * np.float32(1 / tile_m)
    turns -= np.floor(turns)
    turns *= TILE
    turns += 2
    return turns


def water(view: View, day: Outing, seed: int, tile_m: float, swell: float) -> Water:
    """The picture's background: sky, coast and sea, with the waterline at the animal."""
    width, height = view.width, view.height
    tile = waves(seed, day.chop * swell, day.wind_rad, tile_m)
    columns = np.arange(width, dtype=np.float32)
    lean = ((columns - width / 2) * np.float32(np.tan(view.tilt))).astype(np.float32)
    flat = _layers(view)
    z = (view.camera_m * view.focal_px / (flat - view.horizon_y)).astype(np.float32)
    rows = _rise(view, z, columns, tile[:, :, 0], tile_m)
    rows += lean
    near = int(np.searchsorted(z, view.distance_m))
    np.minimum.accumulate(rows, axis=0, out=rows)
    waterline = rows[min(near, len(z) - 1)].copy()
    layer, sky_above = _layer_seen(rows, height)
    layer *= flat[1] - flat[0]
    layer += flat[0] - np.float32(view.horizon_y)
    away = np.divide(np.float32(view.camera_m * view.focal_px), layer, out=layer)
    across = away * ((columns - np.float32(width / 2)) * np.float32(1 / view.focal_px))
    colour, slope = _shaded(view, day, tile, tile_m, across, away)
    rows_of_sky = int(np.flatnonzero(sky_above.any(axis=1)).max(initial=-1)) + 1
    if rows_of_sky:
        for plane, sky in zip(colour, _sky(view, day, lean, seed, rows_of_sky), strict=True):
            np.copyto(plane[:rows_of_sky], sky, where=sky_above[:rows_of_sky])
    return Water(colour, waterline, slope)


def _layers(view: View) -> Image:
    """Rows of still water at which the sea is cut, near to far, one to two rows of the picture."""
    bottom = view.height + 0.25 * view.height
    top = max(view.horizon_y + 1.2, -0.35 * view.height)
    return np.linspace(bottom, top, max(round((bottom - top) / 2.4), 16), dtype=np.float32)


def _rise(view: View, z: Image, columns: Image, tile: Image, tile_m: float) -> Image:
    """(layers, w): the row at which each layer's water stands."""
    x = (columns[None, :] - view.width / 2) * (z * np.float32(1 / view.focal_px))[:, None]
    away = np.broadcast_to(z[:, None], x.shape)
    padded = _padded(tile)
    rise = _sampled(padded, x, away, tile_m)
    rise += _sampled(padded, x, away, tile_m / FINER) * np.float32(0.6 / FINER)
    np.subtract(np.float32(view.camera_m), rise, out=rise)
    rise *= (view.focal_px / z)[:, None]
    rise += np.float32(view.horizon_y)
    return rise


def _layer_seen(rows: Image, height: int) -> tuple[Image, npt.NDArray[np.bool_]]:
    """For each pixel the layer seen there, between two of them as a fraction, and whether it is above all water."""
    layers, width = rows.shape
    first = np.clip(np.ceil(rows), 0, height).astype(np.intp)
    first *= width
    first += np.arange(width)
    counts = np.bincount(first.ravel(), minlength=(height + 1) * width).reshape(height + 1, width)
    seen = np.cumsum(counts[:height], axis=0, dtype=np.int32)
    np.subtract(layers, seen, out=seen)  # the first layer at or above the pixel
    above = seen >= layers
    np.minimum(seen, layers - 1, out=seen)
    flat = seen * width
    flat += np.arange(width, dtype=np.int32)
    low = rows.ravel().take(flat)
    flat -= width
    np.maximum(flat, 0, out=flat)
    gap = rows.ravel().take(flat)
    gap -= low
    np.maximum(gap, np.float32(1e-3), out=gap)
    part = np.subtract(np.arange(height, dtype=np.float32)[:, None], low, out=low)
    part /= gap
    np.clip(part, 0, 1, out=part)
    return np.subtract(seen, part, dtype=np.float32), above


def _shaded(view: View, day: Outing, tile: Image, tile_m: float, x: Image, z: Image) -> tuple[Light, Image]:
    """The water's colour and its slope across, strip by strip so that a strip stays in the processor's cache."""
    cascades = _cascades(view, tile, tile_m)
    colour = [np.empty_like(z) for _ in range(3)]
    slopes = np.empty_like(z)
    for row in range(0, len(z), STRIP):
        part = slice(row, row + STRIP)
        strip, slopes[part] = _strip(view, day, cascades, x[part], z[part])
        for whole, plane in zip(colour, strip, strict=True):
            whole[part] = plane
    if day.chop > 0.10:
        _foam(colour, x, z, tile, tile_m, day)
    return colour, slopes


def _cascades(view: View, tile: Image, tile_m: float) -> list[tuple[Image, float]]:
    """The slopes' tiles from long waves down to ripples of a few pixels, each with its length in metres."""
    footprint = view.distance_m / (view.camera_m * view.metre_px)  # metres of sea, away, that a pixel covers
    found, size, sample_px = [], tile_m, view.metre_px * tile_m / TILE
    while True:
        found.append((_padded(tile[:, :, 1:], melt=0.3 * footprint * TILE / size), size))
        if sample_px < 3 or size < tile_m / 200:
            return found
        size, sample_px = size / FINER, sample_px / FINER


def _strip(view: View, day: Outing, cascades: list[tuple[Image, float]], x: Image, z: Image) -> tuple[Light, Image]:
    calm = np.clip(np.float32(view.distance_m * 1.6) / z, 0.1, 1)  # ripples melt together far away
    slope = _sampled(cascades[0][0], x, z, cascades[0][1])
    for tile, tile_m in cascades[1:]:
        slope += _sampled(tile, x, z, tile_m)
    slope_x, slope_z = (np.multiply(plane, calm, out=plane) for plane in cv2.split(slope))
    grazing = np.float32(view.camera_m) / z
    length = slope_x * slope_x
    length += slope_z * slope_z
    length += 1
    np.sqrt(length, out=length)
    np.divide(1, length, out=length)
    facing = slope_z + grazing
    facing *= length
    np.clip(facing, 0, 1, out=facing)
    mirror = _fresnel(facing)
    turn = facing  # twice its normal is what a mirrored ray turns by
    turn *= length
    turn *= 2
    up = turn - grazing
    np.clip(up, 0, 1, out=up)
    far = smoothstep(z, view.distance_m * 3, view.distance_m * 60)
    far *= np.float32(0.35 + 0.6 * day.haze)
    near = 1 - far
    body = np.clip(slope_z, -0.3, 0.6)
    body *= np.float32(1.6)
    body += 1
    body *= 1 - mirror
    body *= near
    glint = up * np.float32(day.sun[1])
    glint -= turn * slope_x * np.float32(day.sun[0])
    turn *= slope_z
    turn -= 1
    turn *= np.float32(day.sun[2])
    glint += turn
    np.clip(glint, 0, 1, out=glint)
    cv2.pow(glint, 150, glint)
    glint *= np.float32(5 * (1 - day.overcast) ** 2)
    glint *= mirror + np.float32(0.1)
    glint *= near
    mirror *= near
    sky = np.sqrt(up, out=up)
    sky *= mirror
    planes = []
    for c in range(3):
        light = mirror * np.float32(day.horizon[c])
        cv2.scaleAdd(sky, day.zenith[c] - day.horizon[c], light, light)
        cv2.scaleAdd(body, day.water[c], light, light)
        cv2.scaleAdd(glint, day.sunlight[c], light, light)
        cv2.scaleAdd(far, day.horizon[c] * 0.9, light, light)
        planes.append(light)
    return planes, slope_x


def _fresnel(facing: Image) -> Image:
    """The share of light that water mirrors, seen under this cosine."""
    mirror = 1 - facing
    cv2.pow(mirror, 5, mirror)
    mirror *= np.float32(0.98)
    mirror += np.float32(0.02)
    return mirror


def _foam(colour: Light, x: Image, z: Image, tile: Image, tile_m: float, day: Outing) -> None:
    """White water on the crests of a rough sea."""
    height = np.ascontiguousarray(tile[:, :, 0])
    height *= np.float32(1 / max(float(height.std()), 1e-6))
    padded = _padded(height)
    crest = _sampled(padded, x, z, tile_m)
    crest += _sampled(padded, x, z, tile_m / 7.7) * np.float32(0.6)
    white = smoothstep(crest, 2.2, 3.4)
    white *= np.float32(0.8)
    for c in range(3):
        colour[c] += white * (np.float32(0.55 * (day.skylight[c] + 0.4 * day.sunlight[c])) - colour[c])


def _sky(view: View, day: Outing, lean: Image, seed: int, rows: int) -> Light:
    draw = rng("sky", seed)
    shape = (rows, view.width)
    y = np.arange(rows, dtype=np.float32)[:, None]
    up = np.clip((view.horizon_y + lean[None, :] - y) / np.float32(view.width * 0.5), 0, 1)
    cells = noise(draw, (view.height, view.width), 3, stretch=3, octaves=5)[:rows]
    cloud = smoothstep(cells, -0.4, 1.6) * np.float32(0.5 * (1 - day.haze))
    ridge = noise(draw, (1, view.width), 5, octaves=6, gain=0.45, aspect=0)
    high = np.maximum((0.35 + 0.25 * ridge) * np.float32(day.land * 0.09 * view.width), 0)
    hill = np.clip(y - (view.horizon_y + lean[None, :] - high) + 0.5, 0, 1) if day.land else np.zeros(shape, np.float32)
    planes = []
    for c in range(3):
        clear = day.horizon[c] + (day.zenith[c] - day.horizon[c]) * up * 0.7
        clear += (1.05 * max(day.horizon) - clear) * cloud
        coast = 0.25 * day.skylight[c] * (0.6, 0.75, 0.9)[c] + 0.45 * day.horizon[c]
        planes.append(np.asarray(clear + hill * (coast - clear), np.float32))
    return planes
