"""Drawn animals: photos of individuals that do not exist, from a seed.

    draw(7, 0)      a photo of individual 7, (480, 640, 3) RGB
    photo(7, 0)     the same as a JPEG with date and place

These are drawings, not whales: no real animal was photographed, and nothing measured on them says how well real animals
are told apart. They are there so that the demonstration, the tests and the load tests have as many individuals as they
like, the same on every machine with the same versions of numpy, OpenCV and Pillow.

What belongs to the individual: the outline of its fluke or fin, nicks, pigment, scars. What belongs to the encounter: the
day's light, sea and place, and roughly how it was seen. What belongs to the photo: pose, framing, waves in front,
water running off, blur, exposure, noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pi
from typing import Literal

import cv2
import numpy as np

from demo import camera, fins, flukes, sea
from demo.camera import Lens, Pixels
from demo.card import Card, Pose, Window
from demo.chance import Image, Light, noise, rng, smoothstep
from demo.light import OUTINGS, Outing, outing

Kind = Literal["fluke", "fin"]
SIZE = (640, 480)  # width, height
SMALLEST, LARGEST = 32, 16_384  # of a side, in pixels
PHOTOS_AN_ENCOUNTER = 4
SPECIES: dict[Kind, str] = {"fluke": "humpback whale", "fin": "bottlenose dolphin"}
DETAIL = 0.87  # pixels of an animal's canvas for one of the picture: photos are softer than drawings, and a quarter is saved
METRES: dict[Kind, float] = {"fluke": 2.2, "fin": 0.42}  # a unit of the animal's frame


def kind_of(individual: int) -> Kind:
    """Even numbers show a fluke, odd ones a fin."""
    return "fluke" if individual % 2 == 0 else "fin"


def encounter_of(photo: int) -> int:
    return photo // PHOTOS_AN_ENCOUNTER


@dataclass(frozen=True, slots=True)
class Facts:
    """What whoever took the photo would note."""

    species: str
    viewpoint: str  # "underside", "left", "right"
    taken: datetime
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Shot:
    """How one photo sees its animal; lengths are shares of the picture's width, angles radians."""

    side: str
    x: float
    water_y: float
    size: float  # of a unit
    lift: float  # of the animal's origin above the still water, in units
    yaw: float
    pitch: float
    roll: float
    curl: float
    tilt: float
    distance_m: float
    camera_m: float
    swell: float
    wet: float
    splash: float
    quality: int
    lens: Lens


def day_of(individual: int, encounter: int, seed: int) -> Outing:
    """Encounters of one individual fall on different outings, as long as there are any left."""
    first = int(rng("first outing", seed, individual).integers(OUTINGS))
    return outing((first + 23 * encounter) % OUTINGS, seed)  # 23 and 60 share no factor


def facts(individual: int, photo: int, *, kind: Kind | None = None, seed: int = 0, encounter: int | None = None) -> Facts:
    kind = kind or kind_of(individual)
    encounter = encounter_of(photo) if encounter is None else encounter
    day = day_of(individual, encounter, seed)
    draw = rng("facts", seed, individual, encounter)
    start = day.start + timedelta(minutes=int(draw.integers(0, 90)))
    return Facts(
        species=SPECIES[kind],
        viewpoint=shot(individual, photo, kind, encounter, seed).side,
        taken=start + timedelta(seconds=photo * 4 % 240),
        lat=round(day.lat + float(draw.normal(0, 0.03)), 5),
        lon=round(day.lon + float(draw.normal(0, 0.03)), 5),
    )


def shot(individual: int, photo: int, kind: Kind, encounter: int, seed: int) -> Shot:
    met = rng("encounter", seed, individual, encounter)
    now = rng("photo", seed, individual, photo)
    fluke = kind == "fluke"
    wide = 1.0 if fluke else 0.7
    side = "underside" if fluke else ("left" if met.random() < 0.9 else "right")
    blurred = now.random() < 0.10
    return Shot(
        side=side,
        x=0.5 + met.normal(0, 0.02) + now.normal(0, 0.022),
        water_y=0.66 + met.normal(0, 0.012) + now.normal(0, 0.015),
        size=(0.39 if fluke else 0.36) * float(np.exp(met.normal(0, 0.055) + now.normal(0, 0.04))),
        lift=(0.62 if fluke else 0.40) + met.normal(0, 0.04) + now.normal(0, 0.035),
        yaw=wide * (met.normal(0, 0.15) + now.normal(0, 0.06)),
        pitch=(0.12 if fluke else 0.0) + met.normal(0, 0.09 * wide) + now.normal(0, 0.05),
        roll=met.normal(0, 0.05) + now.normal(0, 0.03),
        curl=(met.normal(0.05, 0.07) + now.normal(0, 0.03)) if fluke else 0.0,
        tilt=float(now.normal(0, 0.015)),
        distance_m=float(met.uniform(45, 110)) if fluke else float(met.uniform(12, 32)),
        camera_m=float(met.uniform(1.6, 4.8)) if fluke else float(met.uniform(1.6, 3.2)),
        swell=float(np.exp(now.normal(0, 0.12))),
        wet=float(np.clip(met.uniform(0.1, 0.7) + now.normal(0, 0.15), 0, 1)),
        splash=float(np.clip(met.uniform(0.0, 0.8) + now.normal(0, 0.2), 0, 1)),
        quality=int(now.integers(72, 95)),
        lens=Lens(
            exposure=float(np.exp(met.normal(0, 0.08) + now.normal(0, 0.06))),
            warmth=float(met.normal(0, 0.03)),
            contrast=float(1.25 + met.normal(0, 0.05)),
            defocus=float(now.exponential(0.0004) + (now.uniform(0.001, 0.003) if blurred else 0)),
            motion=float(now.exponential(0.0008) + (now.uniform(0.0, 0.010) if blurred else 0)),
            motion_rad=float(now.uniform(0, pi)),
            veil=float(np.clip(met.normal(-0.06, 0.10) + now.normal(0, 0.03), 0, 0.35)),
            noise=float(met.uniform(0.006, 0.028)),
        ),
    )


def draw(
    individual: int,
    photo: int,
    *,
    kind: Kind | None = None,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    encounter: int | None = None,
) -> Pixels:
    """(h, w, 3) uint8 RGB; `size` is width and height. The same arguments give the same bytes.

    `encounter` moves a photo into another encounter than `encounter_of(photo)`.
    """
    kind = kind or kind_of(individual)
    encounter = encounter_of(photo) if encounter is None else encounter
    return _drawn(shot(individual, photo, kind, encounter, seed), individual, photo, kind, encounter, seed, size)


def photo(
    individual: int,
    photo: int,
    *,
    kind: Kind | None = None,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    encounter: int | None = None,
) -> bytes:
    """The photo as a JPEG with DateTimeOriginal and GPS in its EXIF."""
    kind = kind or kind_of(individual)
    encounter = encounter_of(photo) if encounter is None else encounter
    seen = shot(individual, photo, kind, encounter, seed)
    known = facts(individual, photo, kind=kind, seed=seed, encounter=encounter)
    pixels = _drawn(seen, individual, photo, kind, encounter, seed, size)
    return camera.jpeg(pixels, seen.quality, known.taken, known.lat, known.lon)


def _drawn(seen: Shot, individual: int, photo: int, kind: Kind, encounter: int, seed: int, size: tuple[int, int]) -> Pixels:
    width, height = size
    if min(size) < SMALLEST or max(size) > LARGEST:
        raise ValueError(f"a picture of {width} x {height} was asked for; each side is {SMALLEST} to {LARGEST} pixels")
    day = day_of(individual, encounter, seed)
    unit_px = seen.size * width
    view = sea.View(
        width=width,
        height=height,
        metre_px=unit_px / METRES[kind],
        distance_m=seen.distance_m,
        camera_m=seen.camera_m,
        water_y=min(height / 2 + (seen.water_y - 0.5) * width, height * 0.85),
        tilt=seen.tilt,
    )
    picture = int(rng("sea", seed, individual, photo).integers(2**31))
    background = sea.water(view, day, picture, METRES[kind] * 18, seen.swell)
    pose = Pose(
        x=seen.x * width,
        y=view.water_y - seen.lift * unit_px,
        unit_px=unit_px,
        yaw=seen.yaw,
        pitch=seen.pitch,
        roll=seen.roll + seen.tilt,
        curl=seen.curl,
    )
    chance = rng("drops", seed, individual, photo)
    if kind == "fluke":
        card = flukes.card(individual, seed, unit_px * DETAIL, day, seen.wet, pose.facing, chance)
    else:
        card = fins.card(individual, seed, seen.side, unit_px * DETAIL, day, seen.wet, pose.facing)
    light = _composed(background, card, pose, day, seen, view, chance)
    return camera.developed(light, seen.lens, rng("grain", seed, individual, photo))


def _composed(
    background: sea.Water, card: Card, pose: Pose, day: Outing, seen: Shot, view: sea.View, chance: np.random.Generator
) -> Light:
    """The animal in the water: its reflection, itself down to the waterline, foam where it breaks the surface."""
    painted = cv2.merge([*(plane * card.alpha for plane in card.colour), card.alpha])
    window = pose.window(card.frame, view.width, view.height)
    at_x, at_y = pose.lookup(card.frame, window, step=max(8, view.width // 80))
    animal = cv2.remap(painted, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    line = background.waterline[window.columns]
    _mirrored(background, animal, window, line)
    y = np.arange(window.top, window.top + window.height, dtype=np.float32)[:, None]
    above = np.clip(line - y + np.float32(0.5), 0, 1)
    share = 1 - animal[:, :, 3] * above
    for c, plane in enumerate(background.colour):
        behind = plane[window.rows, window.columns]
        behind *= share
        behind += animal[:, :, c] * above
    solid = np.zeros((view.height, view.width), np.float32)
    solid[window.rows, window.columns] = animal[:, :, 3]
    _foaming(background.colour, solid, background.waterline, day, seen, chance)
    return background.colour


def _mirrored(background: sea.Water, animal: Image, window: Window, line: Image) -> None:
    """The mirror image under the waterline, broken by the waves."""
    height, width = background.slope.shape
    top = min(max(int(line.min()), 0), height - 1)
    bottom = min(height, int(line.max() + (line.max() - window.top) + 8))  # the mirror image is as long as the animal
    if bottom <= top:
        return
    y = np.arange(top, bottom, dtype=np.float32)[:, None]
    ripple = background.slope[top:bottom, window.columns] * np.float32(0.10 * width)
    at_x = np.arange(window.width, dtype=np.float32) + ripple
    at_y = np.abs(ripple, out=ripple)
    at_y *= np.float32(0.8)
    at_y += 2 * line - np.float32(window.top) - y
    fade = np.exp((line - y) * np.float32(1 / (0.16 * width)))
    fade *= np.clip(y - line + np.float32(0.5), 0, np.float32(0.55))
    mirror = cv2.remap(animal, at_x, at_y, cv2.INTER_LINEAR)
    share = 1 - mirror[:, :, 3] * fade
    for c, plane in enumerate(background.colour):
        behind = plane[top:bottom, window.columns]
        behind *= share
        behind += mirror[:, :, c] * fade


def _foaming(light: Light, solid: Image, line: Image, day: Outing, seen: Shot, chance: np.random.Generator) -> None:
    """White water around the animal's base, and drops thrown up from it."""
    height, width = solid.shape
    rows = np.clip(line.astype(np.int32), 0, height - 1)
    there = cv2.GaussianBlur(solid[rows, np.arange(width)][None, :], (0, 0), width * 0.02)
    low, high = max(int(line.min() - 0.10 * width), 0), min(int(line.max() + 0.06 * width) + 1, height)
    if low >= high:
        return
    off = np.arange(low, high, dtype=np.float32)[:, None] - line[None, :]
    off *= np.float32(1 / width)
    off /= np.where(off < 0, np.float32(0.004 + 0.014 * seen.splash), np.float32(0.006 + 0.022 * seen.splash))
    off *= -off
    band, wider = cv2.exp(off), cv2.exp(off * np.float32(0.3))
    torn = noise(chance, (height, width), 22, stretch=3.0, octaves=5, gain=0.8)[low:high]
    foam = smoothstep((band * np.float32(0.55 + 0.9 * seen.splash) + np.float32(0.42) * wider * torn) * there, 0.45, 1.3)
    drops = np.zeros((high - low, width), np.uint8)
    weight = there[0].astype(np.float64) + 1e-6
    many = int(90 * seen.splash**2)
    for x, up, size in zip(
        chance.choice(width, many, p=weight / weight.sum()),
        chance.exponential(0.022, many),
        chance.uniform(0.0004, 0.0018, many),
        strict=True,
    ):
        at = (float(x), float(line[x] - low - up * width))
        cv2.circle(drops, (round(at[0] * 16), round(at[1] * 16)), max(round(size * width * 16), 4), 200, -1, cv2.LINE_AA, 4)
    np.maximum(foam, drops.astype(np.float32) * np.float32(1 / 255), out=foam)
    foam *= np.float32(0.92)
    for c in range(3):
        white = np.float32(0.60 * day.skylight[c] + 0.40 * day.sunlight[c] * max(day.sun[1], 0.2))
        light[c][low:high] += foam * (white - light[c][low:high])
