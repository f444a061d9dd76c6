"""Light and sea of one outing: the day that all photos of an encounter share.

There are sixty outings; several animals are met on the same one, as at sea, so that neither the water nor the sky
gives an individual away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, pi, sin

import numpy as np

from demo.chance import rng

OUTINGS = 60
Colour = tuple[float, float, float]  # linear light


@dataclass(frozen=True, slots=True)
class Outing:
    number: int
    start: datetime
    lat: float
    lon: float
    overcast: float  # 0 clear, 1 grey
    haze: float
    chop: float  # slope of the waves, root mean square
    wind_rad: float
    sun: tuple[float, float, float]  # unit vector: right, up, towards the camera
    sunlight: Colour
    skylight: Colour
    horizon: Colour
    zenith: Colour
    water: Colour
    land: float  # height of a far coast, 0 where there is none


def outing(number: int, seed: int = 0) -> Outing:
    draw = rng("outing", seed, number)
    start = datetime(2018, 4, 1, 8) + timedelta(
        days=number * 36 + int(draw.integers(0, 30)), minutes=int(draw.integers(0, 480))
    )
    overcast = 0.05 + 0.8 * float(draw.beta(0.8, 1.1))
    elevation = float(draw.uniform(0.25, 1.1))
    azimuth = float(draw.normal(0, 0.7) + (pi if draw.random() < 0.08 else 0))  # whoever can has the sun behind them
    low = max(0.0, 1 - elevation / 0.5) * (1 - overcast)  # a low sun is yellow
    sun = (sin(azimuth) * cos(elevation), sin(elevation), cos(azimuth) * cos(elevation))
    strength = (1 - 0.93 * overcast) * (0.55 + 0.45 * min(1.0, elevation / 0.6))
    grey = float(draw.uniform(0.45, 0.62))
    clear_zenith, clear_horizon = np.array([0.10, 0.22, 0.50]), np.array([0.52, 0.64, 0.78])
    warm = np.array([1.0, 0.82 - 0.1 * low, 0.62 - 0.25 * low]) * low * 0.35
    zenith = clear_zenith * (1 - overcast) + grey * np.array([0.86, 0.93, 1.0]) * overcast
    horizon = (clear_horizon + warm) * (1 - overcast) + grey * np.array([0.98, 1.0, 1.02]) * 1.12 * overcast
    green = float(draw.uniform(0, 0.8))
    water = np.array([0.010, 0.050 + 0.035 * green, 0.085 - 0.030 * green]) * float(draw.uniform(0.6, 1.1))
    return Outing(
        number=number,
        start=start,
        lat=float(np.round(draw.uniform(-36, 63), 2)),
        lon=float(np.round(draw.uniform(-170, 170), 2)),
        overcast=overcast,
        haze=float(draw.beta(1.2, 4)),
        chop=float(draw.uniform(0.065, 0.115)),
        wind_rad=float(draw.uniform(-pi, pi)),
        sun=sun,
        sunlight=_colour(np.array([1.0, 0.94 - 0.22 * low, 0.84 - 0.45 * low]) * strength * 2.0),
        skylight=_colour((zenith + horizon) * 0.55 + 0.05),
        horizon=_colour(horizon),
        zenith=_colour(zenith),
        water=_colour(water),
        land=float(draw.uniform(0.3, 1.0)) if draw.random() < 0.4 else 0.0,
    )


def _colour(values: np.ndarray) -> Colour:
    r, g, b = (float(v) for v in values)
    return r, g, b
