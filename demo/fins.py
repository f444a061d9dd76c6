"""Fins: a dolphin-like dorsal fin on the back that carries it.

The individual's seed gives the fin's outline, the nicks in its trailing edge (the same from both sides), and for each
side its own scars; the pale saddle behind the fin is nearly alike on both. Drawn swimming to the left; the right side
is the mirror image with the other side's skin. Units: the fin's base is about 1 long, its foot at v = 0.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from demo.card import Card, Frame, Mask, depth
from demo.chance import Image, rng, smoothstep
from demo.light import Colour, Outing
from demo.marks import blot, scar
from demo.outline import Points, bezier, bitten, evenly, joined, nicks
from demo.skin import lit

LEFT, RIGHT, BOTTOM, TOP = -1.6, 1.6, -0.60, 1.10


def outlines(individual: int, seed: int) -> tuple[Points, Points]:
    """The fin and the back, each a closed polygon."""
    draw = rng("fin shape", seed, individual)
    height, rake = draw.uniform(0.52, 1.04), draw.uniform(0.02, 0.66)
    fullness, hollow = draw.uniform(-0.04, 0.20), draw.uniform(-0.04, 0.24)
    blunt = draw.uniform(0.015, 0.09)

    def tip(u: float, v: float) -> tuple[float, float]:
        return rake + blunt * u, height + blunt * v

    leading = bezier((-0.75, -0.16), (-0.42, 0.02), (-0.28 - fullness * 0.4, height * (0.72 + fullness)), tip(-1.2, 0))
    crown = bezier(
        tip(-1.2, 0),
        tip(-0.2, 0.7),
        tip(0.7, 0.1),
        tip(0.4, -1.5),
        14,
    )
    trailing = bezier(
        tip(0.4, -1.5),
        (rake - 0.05 - hollow, height * 0.66),
        (0.30 - hollow, height * 0.26),
        (0.66, -0.22),
    )
    ragged = 0.002 + 0.010 * draw.beta(1.1, 2.5)
    serration = np.clip(np.convolve(draw.standard_normal(70), [0.25, 0.5, 0.25], "same") * ragged, -0.01, 0.03)
    bites = nicks(draw, 1 + int(draw.poisson(2.4)), 0.14, (0.12, 0.64))
    if draw.random() < 0.15:  # some have lost the tip
        cut = float(draw.uniform(0.04, 0.16))
        leading = leading[leading[:, 1] < height * (1 - cut)]
        start = evenly(trailing, 200)
        trailing = start[start[:, 1] < height * (1 - cut * 1.3)]
        crown = np.stack([leading[-1], (leading[-1] + trailing[0]) / 2 + draw.normal(0, 0.012, 2), trailing[0]])
    edge = bitten(trailing, bites, serration, -1.0)
    fin = joined(leading, crown, np.concatenate([crown[-1:], edge]))
    arch = draw.uniform(0.30, 0.46)
    back = joined(
        bezier((-2.5, -0.62 - arch * 0.4), (-1.6, -0.24), (-0.9, -0.08), (-0.25, -0.06), 40),
        bezier((-0.25, -0.06), (0.5, -0.04), (1.5, -0.20 - arch * 0.3), (2.6, -0.55 - arch), 40),
    )
    return fin, np.concatenate([back, [[2.6, -2.0], [-2.5, -2.0]]])


def card(individual: int, seed: int, side: str, unit_px: float, day: Outing, wet: float, facing: Colour) -> Card:
    """The animal from its "left" or "right" side as it looks on this day."""
    frame = Frame.around(LEFT, RIGHT, BOTTOM, TOP, unit_px)
    fin, back = outlines(individual, seed)
    body: Mask = np.zeros(frame.shape, np.uint8)
    frame.fill(body, back)
    solid = body.copy()
    frame.fill(solid, fin)
    inside, deep = (depth(mask, unit_px) for mask in (solid, body))
    grey, tint, grain = _pigment(frame, individual, seed, side, inside)
    relief = np.sqrt(np.minimum(inside, 0.20))
    relief *= np.float32(0.16)
    relief += np.sqrt(np.minimum(deep, 0.9) + np.float32(0.10)) * np.float32(0.65)
    relief += grain * np.float32(0.0012)
    relief = cv2.GaussianBlur(relief, (0, 0), max(unit_px * 0.025, 0.5))
    if side == "right":
        day, facing = replace(day, sun=(-day.sun[0], *day.sun[1:])), (-facing[0], *facing[1:])
    colour = lit(grey, tint, relief, unit_px, day, wet, facing)
    alpha = solid.astype(np.float32) * np.float32(1 / 255)
    if side == "right":
        colour, alpha = [np.ascontiguousarray(plane[:, ::-1]) for plane in colour], np.ascontiguousarray(alpha[:, ::-1])
    return Card(frame, colour, alpha)


def _pigment(frame: Frame, individual: int, seed: int, side: str, inside: Image) -> tuple[Image, Colour, Image]:
    """The albedo, its tint and the roughness of the skin."""
    draw = rng("fin pigment", seed, individual)
    u, v = frame.grid()
    cloud = frame.noise(draw, 7, octaves=5, gain=0.55)
    fleck = frame.noise(draw, 110, octaves=4, gain=0.7)
    dark = 0.022 * 12 ** float(draw.random())
    flank = dark + draw.uniform(0.0, 0.35)
    fall = float(draw.uniform(-0.70, -0.32))
    grey = smoothstep(v + np.float32(0.12) * cloud, fall + 0.25, fall - 0.25)
    grey *= np.float32(flank - dark)
    grey += np.float32(dark)
    # The saddle, a pale patch behind and below the fin; and some fins fade from the middle.
    at_u, at_v = draw.uniform(0.35, 1.05), draw.uniform(-0.34, -0.16)
    wide, high, skew = draw.uniform(0.3, 0.75), draw.uniform(0.10, 0.24), draw.uniform(-0.5, 0.5)
    saddle = _oval(u + np.float32(skew) * (v - np.float32(at_v)), v, at_u, at_v, wide, high, cloud)
    _blend(grey, 0.50, saddle, float(draw.beta(0.8, 1.1) * 0.75))
    _blend(grey, 0.40, _oval(u, v, 0.1, 0.35, 0.35, 0.35, cloud), float(draw.beta(1, 3) * 0.5))
    worn = smoothstep(inside, 0.05, 0.0)
    worn *= np.clip(np.float32(0.5) + np.float32(0.6) * fleck, 0, 1)
    worn *= v > 0.05
    _blend(grey, 0.45, worn, float(draw.uniform(0, 0.5)))
    # Piebald skins: pale on dark or dark on pale, in patches as large as the fin.
    patches = frame.noise(draw, float(draw.uniform(6, 11)), octaves=4, gain=0.5)
    level = float(draw.uniform(0.2, 2.4))
    _blend(grey, 0.55 if dark < 0.12 else 0.04, smoothstep(patches, level, level + 0.35), float(draw.uniform(0.5, 0.95)))
    life = float(draw.uniform(0.2, 1.5))
    own = rng("fin scars", seed, individual, side)
    skin: Mask = np.zeros(frame.shape, np.uint8)
    scar(frame, skin, own, (-1.5, 1.7, -0.60, 0.0), life)
    scar(frame, skin, own, (-0.4, 0.4, 0.0, 0.7), life * 0.9)
    for _ in range(int(own.poisson(0.7))):
        blot(frame, skin, own, float(own.uniform(-0.3, 0.3)), float(own.uniform(0.0, 0.6)), float(own.uniform(0.02, 0.06)), 150)
    healed = skin.astype(np.float32) * np.float32(1 / 255)
    tone = np.float32(0.10) * cloud
    tone += np.float32(0.05) * fleck
    tone += 1
    np.clip(tone, 0.5, 1.5, out=tone)
    grey *= tone
    scarred = np.float32(0.46) - np.float32(0.9) * grey  # pale on dark, dark on pale
    scarred -= grey
    scarred *= healed
    grey += scarred * np.float32(0.75)
    np.maximum(grey, np.float32(0.02), out=grey)
    warm = float(draw.normal(0, 0.05))
    fleck -= healed * np.float32(2)
    return grey, (0.93 + warm, 0.98, 1.05 - warm), fleck


def _oval(u: Image, v: Image, at_u: float, at_v: float, wide: float, high: float, cloud: Image) -> Image:
    """1 inside an oval with a clouded rim."""
    oval = ((u - np.float32(at_u)) * np.float32(1 / wide)) ** 2 + ((v - np.float32(at_v)) * np.float32(1 / high)) ** 2
    np.subtract(np.float32(1), oval, out=oval)
    oval += np.float32(0.45) * cloud
    return smoothstep(oval, -0.25, 0.55)


def _blend(grey: Image, towards: float, where: Image, strength: float) -> None:
    step = np.float32(towards) - grey
    step *= where
    step *= np.float32(strength)
    grey += step
