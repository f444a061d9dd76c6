"""Decoding and encoding, held against the bare runtime, the core's own speed, and a full decode, in turns in one run.

The photos of 12 megapixels are drawn animals and, where the belugas lie beside the checkout, belugas enlarged, all with a
camera's grain. The core's speed is the best of many products of two 1024 × 1024 float32 matrices on one thread, by numpy's
BLAS. The model's work is counted over its layers; all that is no product (activations, the tensor's making) is lost time.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one thread against one thread

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from bench.row import Row
from demo import animals
from encoder.bundle import Bundle, load_bundle
from encoder.header import read_header
from encoder.photo import decode
from encoder.preprocess import Tensor, resize, to_tensor
from encoder.quality import measure, refuse_flat
from encoder.session import Session, open_session
from encoder.values import Pixels, Vector
from indexer.station import DEFAULT_BUNDLE

ROUNDS = 120
GFLOP = 2 * 0.3846  # a photo through EfficientNet-Lite0 at 224 × 224 with the projection: 384.6 M multiply-adds
TWELVE_MEGAPIXELS = (4032, 3024)
DRAWN = 2
ROOT = Path(__file__).resolve().parent.parent
LITE0 = ROOT / "bundles" / "starter-lite0"
BELUGAS = ROOT.parent / "shared" / "data" / "beluga" / "images"
Doing = Callable[[], object]


def rows() -> list[Row]:
    plain, ours = load_bundle(LITE0), load_bundle(DEFAULT_BUNDLE)
    photo = animals.photo(0, 0)
    return [*_encoding(plain, photo), *_default(plain, ours, photo), *_decoding(ours)]


def _encoding(bundle: Bundle, photo: bytes) -> list[Row]:
    small, tensor = _seen(bundle, photo)
    square = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    session = open_session(bundle, "onnxruntime", 1)
    doings = [lambda: square @ square, _bare_onnx(bundle, tensor), lambda: _encode(bundle, session, small)]
    if find_spec("openvino") is not None:
        doings.append(partial(open_session(bundle, "openvino", 1).run, tensor))
    spent = _in_turns(doings)
    _, bare, ours, *vino = (median(times) for times in spent)
    peak = 2 * 1024**3 / min(spent[0]) / 1e6  # GFLOP/s from ms
    shares = [GFLOP / (min(times) / 1000) / peak for times in spent[2:]]
    rows = [
        Row(
            "encode / bare runtime, the same tensor",
            ours / bare,
            "≤ 1.05",
            ours / bare <= 1.05,
            f"{ours:.2f} ms, {bare:.2f} ms",
        ),
        Row(
            "encode, share of the core's peak",
            shares[0],
            "≥ .6",
            shares[0] >= 0.6,
            f"peak {peak:.0f} GFLOP/s, best of {ROUNDS}",
        ),
    ]
    if vino:
        rows.append(Row("OpenVINO, share of the core's peak", shares[1], "≥ .75", shares[1] >= 0.75, f"{vino[0]:.2f} ms"))
    return rows


def _default(plain: Bundle, ours: Bundle, photo: bytes) -> list[Row]:
    """What the default bundle costs, in runs of Lite0 at 224 pixels: in OpenVINO on one core where it is installed."""
    engine = "openvino" if find_spec("openvino") is not None else "onnxruntime"
    spent = _in_turns([partial(open_session(bundle, engine, 1).run, _seen(bundle, photo)[1]) for bundle in (plain, ours)])
    theirs, mine = (median(times) for times in spent)
    detail = f"{mine:.2f} ms, {theirs:.2f} ms, {engine}"
    return [Row("default bundle / Lite0 at 224 pixels", mine / theirs, "≤ 3.3", mine / theirs <= 3.3, detail)]


def _seen(bundle: Bundle, photo: bytes) -> tuple[Pixels, Tensor]:
    header = read_header(photo)
    fit = bundle.shape.fit(header.width, header.height)
    small = resize(decode(photo, header, None, fit.target), *fit.target)
    return small, to_tensor(small, fit, bundle.mean, bundle.std)


def _bare_onnx(bundle: Bundle, tensor: Tensor) -> Doing:
    """The runtime as its own documentation opens it, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(str(bundle.model), options, providers=["CPUExecutionProvider"])
    return lambda: bare.run(None, {"pixels": tensor})


def _encode(bundle: Bundle, session: Session, small: Pixels) -> Vector:
    """What encoding adds to decoding: the crop's quality, the tensor's making and the session."""
    refuse_flat(measure(small))
    fit = bundle.shape.fit(small.shape[1], small.shape[0])
    vector, _ = session.run(to_tensor(small, fit, bundle.mean, bundle.std))
    return vector


def _decoding(bundle: Bundle) -> list[Row]:
    session = open_session(bundle, "onnxruntime", 1)
    ratios, cosines, told = [], [], []
    for pixels in _scenes():
        photo = _detailed(pixels)
        spent = _in_turns([partial(_ours, bundle, photo), partial(_full, bundle, photo)], rounds=8)
        mine, whole = (median(times) for times in spent)
        ratios.append(mine / whole)
        told.append(f"{mine:.0f}/{whole:.0f}")
        cosines.append(float(_encode(bundle, session, _ours(bundle, photo)) @ _encode(bundle, session, _full(bundle, photo))))
    ratio, cosine = median(ratios), min(cosines)
    return [
        Row("decode 12 megapixels / full decode", ratio, "≤ .45", ratio <= 0.45, f"ms: {', '.join(told)}"),
        Row("its embedding against the full decode's", cosine, "≥ .995", cosine >= 0.995, f"least of {len(cosines)} photos"),
    ]


def _scenes() -> Iterator[Pixels]:
    for number in range(DRAWN):
        yield animals.draw(number, 0, size=TWELVE_MEGAPIXELS)
    for path in sorted(BELUGAS.glob("*.jpg"))[:300:100]:
        data = path.read_bytes()
        pixels = decode(data, read_header(data))
        scale = (TWELVE_MEGAPIXELS[0] * TWELVE_MEGAPIXELS[1] / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        yield np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def _detailed(pixels: Pixels) -> bytes:
    """As a camera writes it: fine grain down to the pixel, quality 92."""
    grain = np.random.default_rng(1).normal(0, 4, pixels.shape).astype(np.float32)
    grainy = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(grainy, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise RuntimeError("the photo could not be written")
    return data.tobytes()


def _ours(bundle: Bundle, photo: bytes) -> Pixels:
    header = read_header(photo)
    fit = bundle.shape.fit(header.width, header.height)
    return resize(decode(photo, header, None, fit.target), *fit.target)


def _full(bundle: Bundle, photo: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise RuntimeError("the photo could not be read")
    target = bundle.shape.fit(pixels.shape[1], pixels.shape[0]).target
    return np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), np.uint8)


def _in_turns(doings: Sequence[Doing], rounds: int = ROUNDS) -> list[list[float]]:
    """Milliseconds of each, round by round."""
    spent: list[list[float]] = [[] for _ in doings]
    for number in range(rounds + 3):
        for doing, times in zip(doings, spent, strict=True):
            began = time.perf_counter()
            doing()
            if number >= 3:
                times.append((time.perf_counter() - began) * 1000)
    return spent
