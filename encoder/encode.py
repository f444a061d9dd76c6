"""Photo bytes to an `Encoded`: the room's one story, on a bundle and a runtime that are opened once.

    header → decode → resize → quality → tensor → session

Safe to call from several threads. The pieces are functions of their own modules, for those who measure or train.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import cv2
import numpy as np

from .bundle import Bundle, load_bundle
from .errors import RuntimeUnavailable
from .golden import golden_photo
from .header import read_header
from .metadata import read_taken
from .photo import check_box, decode, whole
from .preprocess import resize, to_tensor
from .quality import measure, refuse_flat, refuse_tiny
from .session import Session, open_session
from .values import DEFAULT_LIMITS, Box, Encoded, Limits


class Encoder:
    """A bundle, opened. `encode` may be called from as many threads as there are streams at once; more wait."""

    def __init__(self, bundle: Bundle, session: Session, limits: Limits = DEFAULT_LIMITS) -> None:
        self.bundle = bundle
        self.bundle_id = bundle.id  # a hash: made once, asked for with each photo
        self._session = session
        self.limits = limits

    def encode(self, data: bytes, box: Box | None = None, *, copy: bool = False) -> Encoded:
        """One photo, or one box of it. Raises a `PhotoRefused` that says why and what to do.

        A reduced `copy` of a photo that was encoded before may have come out at any size.
        """
        start = time.perf_counter()
        header = read_header(data, self.limits)
        crop = whole(header) if box is None else box
        check_box(crop, header)
        if not copy:
            refuse_tiny(crop.width, crop.height)
        fit = self.bundle.shape.fit(crop.width, crop.height)
        small = resize(decode(data, header, crop, fit.target), *fit.target)
        decoded = time.perf_counter()
        quality = measure(small)
        refuse_flat(quality)
        vector, norm = self._session.run(to_tensor(small, fit, self.bundle.mean, self.bundle.std))
        encoded = time.perf_counter()
        return Encoded(
            vector=vector,
            norm=norm,
            brightness=quality.brightness,
            sharpness=quality.sharpness,
            width=header.width,
            height=header.height,
            box=box,
            sha256=hashlib.sha256(data).hexdigest(),
            format=header.format,
            taken=read_taken(header),
            decode_ms=(decoded - start) * 1000,
            encode_ms=(encoded - decoded) * 1000,
        )

    def golden_difference(self) -> float:
        """The largest difference of any coordinate from what the bundle says its golden photos give; up to 1e-4 is well."""
        worst = 0.0
        for golden in self.bundle.golden:
            pixels = golden_photo(golden.photo)
            fit = self.bundle.shape.fit(pixels.shape[1], pixels.shape[0])
            vector, _ = self._session.run(to_tensor(pixels, fit, self.bundle.mean, self.bundle.std))
            worst = max(worst, float(np.abs(vector - np.array(golden.vector, np.float32)).max()))
        return worst

    def probe(self) -> None:
        """A black photo goes through the session, or `RuntimeUnavailable`."""
        pixels = np.zeros((1, 3, self.bundle.shape.height, self.bundle.shape.width), np.float32)
        try:
            self._session.run(pixels)
        except Exception as error:  # each runtime's own, with no base in common
            raise RuntimeUnavailable(f"The encoder {self.bundle_id} does not run: {error}. Start the service again.") from error

    def close(self) -> None:
        """Let go of the session's memory. The encoder is of no use afterwards."""
        self._session.close()


def open_encoder(
    folder: Path,
    *,
    runtime: str = "onnxruntime",
    streams: int = 1,
    threads: int = 1,
    batch: int = 1,
    limits: Limits = DEFAULT_LIMITS,
) -> Encoder:
    """The encoder of the bundle in `folder`; `streams`, `threads` and `batch` are as `open_session` takes them.

    >>> encoder = open_encoder(Path("bundles/starter-lite0"))  # doctest: +SKIP
    >>> encoder.encode(read_photo(Path("fluke.jpg"))).vector.shape  # doctest: +SKIP
    (512,)
    """
    cv2.setNumThreads(1)  # its pool would contend with the streams: two single threads beat one call on two
    bundle = load_bundle(folder)
    return Encoder(bundle, open_session(bundle, runtime, streams, threads=threads, batch=batch), limits)
