"""Flukes: the underside of a humpback-like tail, lifted above the sea.

The individual's seed gives its outline (sweep, tips, notch, a serrated trailing edge with nicks), its pigment (from all
black to all white, with streaks that fan out from the root) and its scars. Units: half the span is 1, v points up, the
stock comes out of the water near v = -0.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.card import Card, Frame, Mask, depth
from demo.chance import Image, Light, noise, rng, smoothstep
from demo.light import Colour, Outing
from demo.marks import scar
from demo.outline import Nick, Points, bezier, bitten, joined, nicks
from demo.skin import lit

LEFT, RIGHT, BOTTOM, TOP = -1.08, 1.08, -1.0, 0.66
ROOT = -0.26  # v at which the lobes leave the stock


@dataclass(frozen=True, slots=True)
class Lobe:
    tip_u: float
    tip_v: float
    droop: float
    chord: float
    bulge: float
    hook: float
    nicks: tuple[Nick, ...]
    serration: Points  # (m,)


@dataclass(frozen=True, slots=True)
class Fluke:
    """The shape of one animal's tail."""

    stock: float
    notch_v: float
    notch_width: float
    lobes: tuple[Lobe, Lobe]  # left, right

    def outline(self) -> Points:
        right, left = _half(self, self.lobes[1]), _half(self, self.lobes[0])
        return np.concatenate([right, (left * (-1, 1))[::-1]])


def shape_of(individual: int, seed: int) -> Fluke:
    draw = rng("fluke shape", seed, individual)
    tip_v, droop = draw.uniform(0.08, 0.58), draw.normal(0, 0.06)
    chord, bulge, hook = draw.uniform(0.28, 0.48), draw.uniform(-0.02, 0.16), draw.uniform(0.0, 0.15)
    ragged = 0.002 + 0.016 * draw.beta(1.1, 2.4)
    lobes = []
    for _ in range(2):  # the sides resemble each other, no more
        serration = np.convolve(draw.standard_normal(90), [0.25, 0.5, 0.25], "same") * ragged
        bites = nicks(draw, int(draw.poisson(2.2)), 0.15)
        lobes.append(
            Lobe(
                tip_u=float(1 + draw.normal(0, 0.012)),
                tip_v=float(tip_v + draw.normal(0, 0.02)),
                droop=float(droop),
                chord=float(chord),
                bulge=float(bulge + draw.normal(0, 0.012)),
                hook=float(hook),
                nicks=tuple(bites),
                serration=np.clip(serration, -0.02, 0.05),
            )
        )
    return Fluke(
        stock=float(draw.uniform(0.09, 0.16)),
        notch_v=float(draw.uniform(-0.02, 0.22)),
        notch_width=float(draw.uniform(0.02, 0.12)),
        lobes=(lobes[0], lobes[1]),
    )


def _half(fluke: Fluke, lobe: Lobe) -> Points:
    """One side, from the stock's foot by the leading edge and the tip to the notch; u is positive."""
    stock = bezier(
        (fluke.stock * 2.6, BOTTOM), (fluke.stock * 1.9, -0.75), (fluke.stock, -0.55), (fluke.stock * 1.1, ROOT - 0.1)
    )
    tip = (lobe.tip_u, lobe.tip_v)
    leading = bezier(
        (fluke.stock * 1.1, ROOT - 0.1),
        (fluke.stock * 1.5, ROOT + 0.16),
        (0.80 + lobe.droop, lobe.tip_v - 0.40),
        tip,
    )
    shoulder = fluke.notch_v + 0.10 + lobe.bulge
    middle = (0.50, max(shoulder * 0.55 + lobe.tip_v * 0.45 - lobe.hook * 0.6, ROOT + lobe.chord))
    trailing = joined(
        bezier(tip, (0.90, lobe.tip_v - 0.02 - lobe.hook), (0.66, middle[1] + 0.01 - lobe.hook * 0.3), middle, 50),
        bezier(
            middle,
            (0.36, middle[1] + 0.01 + lobe.bulge * 0.5),
            (0.22, shoulder + 0.03),
            (fluke.notch_width, shoulder - 0.03),
            50,
        ),
        bezier(
            (fluke.notch_width, shoulder - 0.03),
            (fluke.notch_width * 0.5, shoulder - 0.05),
            (fluke.notch_width * 0.15, fluke.notch_v + 0.05),
            (0.0, fluke.notch_v),
            16,
        ),
    )
    return np.concatenate([stock, leading[1:], bitten(trailing, lobe.nicks, lobe.serration, 1.0)[1:]])


def card(
    individual: int, seed: int, unit_px: float, day: Outing, wet: float, facing: Colour, drips: np.random.Generator
) -> Card:
    """The tail as it looks on this day. `wet` is 0-1; the drips are the photo's own."""
    frame = Frame.around(LEFT, RIGHT, BOTTOM, TOP, unit_px)
    solid: Mask = np.zeros(frame.shape, np.uint8)
    frame.fill(solid, shape_of(individual, seed).outline())
    inside = depth(solid, unit_px)
    grey, tint, wrinkles = _pigment(frame, individual, seed, inside)
    u, v = frame.grid()
    relief = np.sqrt(np.minimum(inside, 0.24))
    relief *= np.float32(0.24)
    relief += wrinkles * np.float32(0.0035)
    relief -= np.float32(0.12) * u * u
    relief += np.exp(-((u / 0.07) ** 2)) * smoothstep(v, 0.15, -0.35) * np.float32(0.07)  # the keel
    relief = cv2.GaussianBlur(relief, (0, 0), max(unit_px * 0.009, 0.5))
    colour = lit(grey, tint, relief, unit_px, day, wet, facing)
    alpha = solid.astype(np.float32)
    alpha *= np.float32(1 / 255)
    return _dripping(frame, colour, alpha, day, wet, drips)


def _pigment(frame: Frame, individual: int, seed: int, inside: Image) -> tuple[Image, Colour, Image]:
    """The albedo, its tint and the roughness of the skin."""
    draw = rng("fluke pigment", seed, individual)
    u, v = frame.grid()
    out = np.abs(u)
    kind = float(draw.random())  # black, mixed, white
    level = float(draw.normal(-1.4, 0.3) if kind < 0.18 else draw.normal(1.2, 0.4) if kind > 0.84 else draw.normal(-0.1, 0.6))
    streaks = _fan(frame, draw)
    blots = frame.noise(draw, float(draw.uniform(3, 6)), octaves=5, gain=0.6)
    fleck = frame.noise(draw, 60, octaves=4, gain=0.7)
    centre_u, centre_v = draw.uniform(0.30, 0.55), draw.uniform(-0.02, 0.14)
    wide, high = draw.uniform(0.28, 0.5), draw.uniform(0.16, 0.32)
    white = ((out - centre_u) / wide) ** 2 + ((v - centre_v) / high) ** 2
    np.clip(white, 0, 2.6, out=white)
    np.subtract(np.float32(1.1 + level), white, out=white)
    white += np.float32(draw.normal(0, 0.45)) * np.clip(u * 6, -1, 1)  # one side is paler
    rough = float(draw.uniform(0.35, 0.95))
    white += np.float32(rough) * streaks * smoothstep(out, 0.0, 0.12)  # the sides' streaks do not meet
    white += np.float32(rough) * blots
    margin = float(draw.uniform(0.0, 0.09))
    if margin > 0.015:
        white -= smoothstep(inside, margin, 0.0) * (np.float32(2.2) * smoothstep(out, 0.05, 0.2))
    white -= smoothstep(v, ROOT + 0.12, ROOT - 0.18) * np.float32(draw.uniform(0.6, 2.4))
    midrib = np.float32(draw.uniform(0.4, 2.6)) * np.exp(-((out / np.float32(draw.uniform(0.03, 0.10))) ** 2))
    white -= midrib
    softness = float(draw.uniform(0.18, 0.5))
    white = smoothstep(white, -softness, softness)
    np.maximum(white, smoothstep(fleck, 2.2, 2.9) * np.float32(draw.uniform(0, 0.7)), out=white)
    np.minimum(white, 1 - smoothstep(fleck, -2.2, -2.9) * np.float32(draw.uniform(0.1, 0.8)), out=white)
    scars: Mask = np.zeros(frame.shape, np.uint8)
    scar(frame, scars, rng("fluke scars", seed, individual), (-0.85, 0.85, -0.25, 0.38), float(draw.uniform(0.25, 1.6)))
    healed = scars.astype(np.float32) * np.float32(1 / 255)
    dark, pale = draw.uniform(0.016, 0.042), draw.uniform(0.5, 0.8)
    algae = float(draw.beta(1, 5))  # diatoms colour some skins yellow
    grey = white * np.float32(pale - dark)
    grey += np.float32(dark)
    tone = np.float32(0.10) * blots
    tone += np.float32(0.06) * fleck
    tone += 1
    np.clip(tone, 0.4, 1.6, out=tone)
    grey *= tone
    scarred = np.float32(0.42) - np.float32(0.34) * white  # pale on black, dark on white
    scarred -= grey
    scarred *= healed
    grey += scarred * np.float32(0.85)
    fleck *= np.float32(0.5)
    fleck += streaks
    fleck -= healed * np.float32(1.5)
    return grey, (1.0, 0.99 - 0.10 * algae, 0.95 - 0.42 * algae), fleck


def _fan(frame: Frame, draw: np.random.Generator) -> Image:
    """Streaks that fan out from the root: noise over angle and distance, another one for each side."""
    u, v = frame.grid()
    fine = 1 if frame.unit_px < 600 else 4
    streaks = noise(draw, (256 * fine, 512 * fine), 18, stretch=0.5, octaves=8, gain=0.62)
    reach = np.float32(fine * draw.uniform(60, 160) / 1.6)
    low = v - np.float32(ROOT - 0.15)
    distance, angle = cv2.cartToPolar(np.broadcast_to(np.abs(u), frame.shape), np.broadcast_to(low, frame.shape))
    np.subtract(angle, np.float32(2 * np.pi), out=angle, where=angle > np.pi)
    angle *= np.float32(fine * 250 / 2.2)
    angle += np.float32(fine * 0.45 * 250)
    np.clip(angle, 0, fine * 250, out=angle)
    angle += np.where(u < 0, np.float32(0), np.float32(fine * 256))
    distance *= reach
    return np.asarray(cv2.remap(streaks, angle, distance, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _dripping(frame: Frame, colour: Light, alpha: Image, day: Outing, wet: float, draw: np.random.Generator) -> Card:
    """Water that runs off: bright streaks over the skin and a veil below the lobes."""
    run = noise(draw, (1, frame.width), 70, octaves=3, gain=0.7, aspect=0)
    fall = max(round(frame.unit_px * 0.55), 3)
    veil: Image = np.asarray(cv2.blur(alpha, (1, fall), anchor=(0, fall - 1), borderType=cv2.BORDER_CONSTANT), np.float32)
    veil *= np.float32(1.6 * wet)
    np.minimum(veil, np.float32(wet), out=veil)
    veil *= smoothstep(np.abs(frame.grid()[0]), 0.12, 0.35)
    torn = frame.noise(draw, 90, stretch=0.18, octaves=1)
    torn *= np.float32(0.7)
    torn += run
    veil *= smoothstep(torn, 0.5, 2.4)
    below = np.float32(0.75) * veil
    below *= 1 - alpha
    whole = alpha + below
    share = veil  # of the colour seen that is water
    share *= alpha
    share *= np.float32(0.3)
    share += below / np.maximum(whole, np.float32(1e-3))
    for c in range(3):
        white = np.float32(0.62 * day.skylight[c] + 0.20 * day.sunlight[c])
        colour[c] += share * (white - colour[c])
    return Card(frame, colour, whole)
