"""The animal without its background: rembg with u2netp, for presentation alone. The vector is the same with and without it.

An extra: rembg is installed by `make setup EXTRAS=mask`, its model put in place by `make mask-model`. A mask costs some fifty
encodings, so it is made on request only, one at a time, and kept by the photo's hash.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
from PIL import Image

from .errors import RuntimeUnavailable
from .header import read_header
from .photo import decode
from .values import DEFAULT_LIMITS, Box, Limits, Pixels

MODEL = Path("models") / "u2netp.onnx"  # below the data folder
LONG_SIDE = 1024  # of the picture that is answered; the model itself sees 320 x 320
SEEN = 128  # of 255: from here on a pixel belongs to the animal


@dataclass(frozen=True, slots=True)
class Mask:
    png: bytes  # the animal, transparent around it
    box: Box | None  # of the animal, in pixels of the upright photo; None where nothing stands out


class Masker:
    """Opened by `open_masker`. Safe to call from several threads; one mask is made at a time."""

    def __init__(self, cut: Callable[[Pixels], Any], cache: Path, limits: Limits) -> None:
        self._cut, self._cache, self._limits = cut, cache, limits
        self._alone = threading.Lock()

    def mask(self, data: bytes, sha256: str) -> Mask:
        """Of a photo with this hash."""
        path = self._cache / sha256[:2] / f"{sha256}.png"
        header = read_header(data, self._limits)
        with suppress(OSError):
            return _read(path.read_bytes(), header.width, header.height)
        scale = min(1.0, LONG_SIDE / max(header.width, header.height))
        target = (max(1, round(header.width * scale)), max(1, round(header.height * scale)))
        pixels = np.asarray(cv2.resize(decode(data, header, None, target), target, interpolation=cv2.INTER_AREA), np.uint8)
        with self._alone:
            alpha = np.asarray(self._cut(pixels), np.uint8)  # (height, width)
        written = io.BytesIO()
        Image.fromarray(np.dstack([pixels, alpha])).save(written, "PNG")
        with suppress(OSError):  # a full disk costs the cache, not the answer
            path.parent.mkdir(parents=True, exist_ok=True)
            coming = path.with_name(f".{uuid4().hex}")
            coming.write_bytes(written.getvalue())
            coming.replace(path)
        return _read(written.getvalue(), header.width, header.height)


def open_masker(model: Path, cache: Path, limits: Limits = DEFAULT_LIMITS) -> Masker:
    """The one way to a masker; `RuntimeUnavailable` says what is missing."""
    if not model.is_file():
        raise RuntimeUnavailable("The model that removes backgrounds is not in place: run `make mask-model`.")
    os.environ["U2NET_HOME"] = str(model.parent)  # where rembg looks, and nowhere else
    os.environ["MODEL_CHECKSUM_DISABLED"] = "1"  # ours was compared when it was put there
    os.environ["OMP_NUM_THREADS"] = "1"  # as every session of this process
    try:
        import numba.core.config as compiling

        before = vars(compiling)["DISABLE_JIT"]
        vars(compiling)["DISABLE_JIT"] = 1
        try:
            import rembg  # imports a refinement of edges that we never ask for, and would compile it for 50 s
        finally:
            vars(compiling)["DISABLE_JIT"] = before  # others in this process compile as before
    except ImportError as error:
        raise RuntimeUnavailable("rembg is not installed: run `make setup EXTRAS=mask`.") from error
    session = rembg.new_session("u2netp", providers=["CPUExecutionProvider"])
    return Masker(lambda pixels: rembg.remove(Image.fromarray(pixels), session=session, only_mask=True), cache, limits)


def _read(png: bytes, width: int, height: int) -> Mask:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        alpha = np.asarray(image.getchannel("A"))
    rows, columns = np.flatnonzero((alpha >= SEEN).any(1)), np.flatnonzero((alpha >= SEEN).any(0))
    if not rows.size:
        return Mask(png, None)
    across, down = width / alpha.shape[1], height / alpha.shape[0]
    left, top = int(columns[0] * across), int(rows[0] * down)
    right, bottom = round((columns[-1] + 1) * across), round((rows[-1] + 1) * down)
    return Mask(png, Box(left, top, min(right, width) - left, min(bottom, height) - top))
