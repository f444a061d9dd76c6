"""The sea: waves in perspective, what they mirror, and what they hide.

The surface is a height field from a wind-wave spectrum, drawn front to back over every column, so a near crest covers
what lies behind it, the animal's base too. Lengths are metres at the distance of the animal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np
import numpy.typing as npt

from demo.chance import Image, Light, noise, rng, smoothstep
from demo.light import Outing

TILE = 256  # samples along a side of the wave pattern, which repeats
FINER = 5.3  # each cascade repeats the pattern this much smaller
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
    draw = rng("waves", seed)
    k = np.fft.fftfreq(TILE, 1 / TILE)
    kz, kx = k[:, None], k[None, : TILE // 2 + 1]
    size = np.hypot(kx, kz)
    size[0, 0] = 1
    along = (kx * sin(wind_rad) + kz * cos(wind_rad)) / size
    power = np.exp(-((PEAK / size) ** 2)) / size**3.6 * (0.25 + along**2)
    power[0, 0] = 0
    phase = draw.standard_normal((2, *power.shape), dtype=np.float32)
    spectrum = np.sqrt(power).astype(np.float32) * (phase[0] + 1j * phase[1])
    turn = np.float32(2 * np.pi / tile_m) * 1j
    each = (spectrum, spectrum * (turn * kx), spectrum * (turn * kz))
    tile = np.stack([np.fft.irfft2(part, (TILE, TILE)).astype(np.float32) for part in each], axis=2)
    return np.asarray(tile * np.float32(chop / float(np.sqrt((tile[:, :, 1:] ** 2).mean() * 2))), np.float32)


def _sampled(tile: Image, x: Image, z: Image, tile_m: float, melt: float = 0.0) -> Image:
    """The tile's values there. `melt` samples are averaged away from the camera, where a pixel covers that many."""
    padded = cv2.copyMakeBorder(tile, 2, 3, 2, 3, cv2.BORDER_WRAP)  # so that no pixel needs the wrap, which is slow
    if melt > 0.3:
        padded = cv2.GaussianBlur(padded, (1, 0), sigmaX=0.1, sigmaY=melt)
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
    z = _layers(view)
    rows = _rise(view, z, columns, tile[:, :, 0], tile_m) + lean[None, :]
    near = int(np.searchsorted(z, view.distance_m))
    np.minimum.accumulate(rows, axis=0, out=rows)
    waterline = rows[min(near, len(z) - 1)].copy()
    away, sky_above = _depth(rows, z, height)
    across = (columns[None, :] - width / 2) * away * np.float32(1 / view.focal_px)
    colour, slope = _shaded(view, day, tile, tile_m, across, away)
    rows_of_sky = int(np.flatnonzero(sky_above.any(axis=1)).max(initial=-1)) + 1
    if rows_of_sky:
        for plane, sky in zip(colour, _sky(view, day, lean, seed, rows_of_sky), strict=True):
            np.copyto(plane[:rows_of_sky], sky, where=sky_above[:rows_of_sky])
    return Water(colour, waterline, slope)


def _layers(view: View) -> Image:
    """Distances at which the sea is cut, near to far, about one to a row of the picture."""
    horizon = view.horizon_y
    bottom = view.height + 0.25 * view.height
    top = max(horizon + 1.2, -0.35 * view.height)
    rows = np.linspace(bottom, top, max(round((bottom - top) / 1.3), 16))
    return (view.camera_m * view.focal_px / (rows - horizon)).astype(np.float32)


def _rise(view: View, z: Image, columns: Image, tile: Image, tile_m: float) -> Image:
    """(layers, w): the row at which each layer's water stands."""
    x = (columns[None, :] - view.width / 2) * (z * np.float32(1 / view.focal_px))[:, None]
    away = np.broadcast_to(z[:, None], x.shape)
    rise = _sampled(tile, x, away, tile_m)
    rise += _sampled(tile, x, away, tile_m / FINER) * np.float32(0.6 / FINER)
    return np.asarray(
        np.float32(view.horizon_y) + (np.float32(view.camera_m) - rise) * (view.focal_px / z)[:, None], np.float32
    )


def _depth(rows: Image, z: Image, height: int) -> tuple[Image, npt.NDArray[np.bool_]]:
    """For each pixel the distance of the water seen there, and whether it is above all water."""
    layers, width = rows.shape
    first = np.clip(np.ceil(rows), 0, height).astype(np.int32)
    first *= width
    first += np.arange(width, dtype=np.int32)[None, :]
    counts = np.bincount(first.ravel(), minlength=(height + 1) * width).reshape(height + 1, width)
    seen = layers - np.cumsum(counts, axis=0, dtype=np.int32)[:height]  # first layer at or above the pixel
    above = seen >= layers
    at = np.minimum(seen, layers - 1)
    flat = at * width + np.arange(width, dtype=np.int32)[None, :]
    low = rows.ravel().take(flat)
    high = rows.ravel().take(np.maximum(flat - width, 0))
    y = np.arange(height, dtype=np.float32)[:, None]
    part = np.clip((y - low) / np.maximum(high - low, 1e-3), 0, 1)
    here, before = z.take(at), z.take(np.maximum(at - 1, 0))
    return np.asarray(here + (before - here) * part, np.float32), above


def _shaded(view: View, day: Outing, tile: Image, tile_m: float, x: Image, z: Image) -> tuple[Light, Image]:
    size, sample_px = tile_m, view.metre_px * tile_m / TILE
    footprint = view.distance_m / (view.camera_m * view.metre_px)  # metres of sea, away, that a pixel covers
    calm = np.clip(view.distance_m * 1.6 / z, 0.1, 1).astype(np.float32)  # ripples melt together far away
    slope_x = np.zeros_like(z)
    slope_z = np.zeros_like(z)
    while True:
        slope = _sampled(tile[:, :, 1:], x, z, size, melt=0.3 * footprint * TILE / size)
        slope_x += slope[:, :, 0] * calm
        slope_z += slope[:, :, 1] * calm
        if sample_px < 2.5 or size < tile_m / 200:
            break
        size, sample_px = size / FINER, sample_px / FINER
    grazing = np.float32(view.camera_m) / z
    length = slope_x * slope_x
    length += slope_z * slope_z
    length += 1
    np.sqrt(length, out=length)
    np.divide(1, length, out=length)
    facing = slope_z + grazing
    facing *= length
    np.clip(facing, 0, 1, out=facing)
    miss = 1 - facing
    mirror = cv2.pow(miss, 5)
    mirror *= np.float32(0.98)
    mirror += np.float32(0.02)
    turn = facing  # twice its normal is what a mirrored ray turns by
    turn *= length
    turn *= 2
    up = turn - grazing
    np.clip(up, 0, 1, out=up)
    glint = None
    if day.overcast < 0.8:
        glint = up * np.float32(day.sun[1])
        glint -= turn * slope_x * np.float32(day.sun[0])
        glint += (turn * slope_z - 1) * np.float32(day.sun[2])
        glint = cv2.pow(np.clip(glint, 0, 1), 150)
        glint *= np.float32(5 * (1 - day.overcast) ** 2)
        glint *= mirror + np.float32(0.1)
    sky = np.sqrt(up)
    sky *= mirror
    far = smoothstep(z, view.distance_m * 3, view.distance_m * 60)
    far *= np.float32(0.35 + 0.6 * day.haze)
    body = np.clip(slope_z, -0.3, 0.6)
    body *= np.float32(1.6)
    body += 1
    body *= 1 - mirror
    near = 1 - far
    colour = []
    for c in range(3):
        light = mirror * np.float32(day.horizon[c])
        light += sky * np.float32(day.zenith[c] - day.horizon[c])
        light += body * np.float32(day.water[c])
        if glint is not None:
            light += glint * np.float32(day.sunlight[c])
        light *= near
        light += far * np.float32(day.horizon[c] * 0.9)
        colour.append(light)
    if day.chop > 0.10:
        _foam(colour, x, z, tile, tile_m, day)
    return colour, slope_x


def _foam(colour: Light, x: Image, z: Image, tile: Image, tile_m: float, day: Outing) -> None:
    """White water on the crests of a rough sea."""
    height = np.ascontiguousarray(tile[:, :, 0])
    height *= np.float32(1 / max(float(height.std()), 1e-6))
    crest = _sampled(height, x, z, tile_m)
    crest += _sampled(height, x, z, tile_m / 7.7) * np.float32(0.6)
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
    ridge = noise(draw, (8, view.width), 5, octaves=6, gain=0.45)[:1]
    high = np.maximum((0.35 + 0.25 * ridge) * np.float32(day.land * 0.09 * view.width), 0)
    hill = np.clip(y - (view.horizon_y + lean[None, :] - high) + 0.5, 0, 1) if day.land else np.zeros(shape, np.float32)
    planes = []
    for c in range(3):
        clear = day.horizon[c] + (day.zenith[c] - day.horizon[c]) * up * 0.7
        clear += (1.05 * max(day.horizon) - clear) * cloud
        coast = 0.25 * day.skylight[c] * (0.6, 0.75, 0.9)[c] + 0.45 * day.horizon[c]
        planes.append(np.asarray(clear + hill * (coast - clear), np.float32))
    return planes
