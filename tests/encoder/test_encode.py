"""The room's whole story: bytes in, `Encoded` out, or a refusal that says why."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from encoder_pictures import photo_like, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from encoder.encode import Encoder, open_encoder
from encoder.errors import BoxOutside, BundleRefused, NoDetail, PhotoRefused, PhotoTooLarge
from encoder.golden import golden_photo
from encoder.photo import read_photo
from encoder.values import Box, Limits


def test_an_encoded_photo_says_everything_that_is_kept_of_it(encoder: Encoder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2022:06:15 09:30:01"
    data = saved(photo_like(400, 300), "JPEG", exif=exif)
    encoded = encoder.encode(data)
    assert encoded.vector.shape == (encoder.bundle.dimension,)
    assert np.linalg.norm(encoded.vector) == pytest.approx(1, abs=1e-5)
    assert encoded.norm > 0
    assert 0.2 < encoded.brightness < 0.8
    assert encoded.sharpness > 0
    assert (encoded.width, encoded.height, encoded.format, encoded.box) == (300, 400, "jpeg", None)
    assert encoded.sha256 == hashlib.sha256(data).hexdigest()
    assert encoded.taken.at == datetime(2022, 6, 15, 9, 30, 1)
    assert encoded.decode_ms > 0
    assert encoded.encode_ms > 0


def test_the_same_photo_gives_the_same_vector_to_the_bit(encoder: Encoder) -> None:
    data = saved(golden_photo(4), "PNG")
    assert (encoder.encode(data).vector == encoder.encode(data).vector).all()


def test_the_bundle_s_golden_vectors_hold_here(encoder: Encoder) -> None:
    assert encoder.golden_difference() <= 1e-4


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "BMP"])
def test_a_photo_is_the_same_in_every_lossless_kind_of_file(encoder: Encoder, kind: str) -> None:
    pixels = golden_photo(2, 300, 200)
    options = {"lossless": True} if kind == "WEBP" else {}
    one, other = encoder.encode(saved(pixels, "PNG")), encoder.encode(saved(pixels, kind, **options))
    assert (one.vector == other.vector).all()
    assert one.sha256 != other.sha256


def test_a_box_is_the_photo_of_the_box(encoder: Encoder) -> None:
    pixels = golden_photo(3, 500, 400)
    boxed = encoder.encode(saved(pixels, "PNG"), Box(100, 50, 300, 200))
    alone = encoder.encode(saved(pixels[50:250, 100:400].copy(), "PNG"))
    assert (boxed.vector == alone.vector).all()
    assert (boxed.width, boxed.height, boxed.box) == (500, 400, Box(100, 50, 300, 200))


@settings(max_examples=8)
@given(orientation=st.integers(2, 8))
def test_a_turned_photo_with_its_orientation_is_the_upright_photo(encoder: Encoder, orientation: int) -> None:
    upright = golden_photo(5, 320, 240)
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    transposed = Image.fromarray(upright).transpose(
        {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90,
        }[undo]
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = saved(np.asarray(transposed), "PNG", exif=exif)
    assert (encoder.encode(turned).vector == encoder.encode(saved(upright, "PNG")).vector).all()


def test_reduced_decoding_keeps_the_vector(encoder: Encoder) -> None:
    """A 12-megapixel JPEG is decoded at a quarter; the full path is the whole photo as a PNG of the same pixels."""
    large = cv2.resize(golden_photo(1), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 6, (750, 1000, 1))
    large = np.clip(large + cv2.resize(grain, (4000, 3000))[:, :, None], 0, 255).astype(np.uint8)
    jpeg = saved(large, "JPEG", quality=92)
    whole = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    full = cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA)
    assert encoder.encode(jpeg).vector @ encoder.encode(saved(full, "BMP")).vector >= 0.995


def test_photos_are_told_apart(encoder: Encoder) -> None:
    """A photo, slightly darker and saved again, is nearer to itself than to any other."""
    photos = [golden_photo(n) for n in range(8)]
    vectors = np.stack([encoder.encode(saved(p, "PNG")).vector for p in photos])
    again = np.stack([encoder.encode(saved((p * 0.9).astype(np.uint8), "JPEG", quality=85)).vector for p in photos])
    assert ((again @ vectors.T).argmax(axis=1) == np.arange(8)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_photo_is_refused_for_lack_of_detail(encoder: Encoder, kind: str, value: int) -> None:
    with pytest.raises(NoDetail, match="Leave it out"):
        encoder.encode(saved(np.full((300, 400, 3), value, np.uint8), kind))


def test_a_tiny_photo_and_a_tiny_box_are_refused(encoder: Encoder) -> None:
    with pytest.raises(NoDetail, match="8 x 8 pixels"):
        encoder.encode(saved(photo_like(8, 8), "PNG"))
    with pytest.raises(NoDetail, match="10 x 100 pixels"):
        encoder.encode(saved(photo_like(400, 300), "PNG"), Box(0, 0, 10, 100))


def test_a_box_outside_is_refused_before_it_is_called_tiny(encoder: Encoder) -> None:
    with pytest.raises(BoxOutside):
        encoder.encode(saved(photo_like(400, 300), "PNG"), Box(0, 0, 0, 0))


def test_the_limits_are_the_encoder_s(starter: Path) -> None:
    strict = open_encoder(starter, limits=Limits(max_pixels=1000))
    with pytest.raises(PhotoTooLarge, match="1,000"):
        strict.encode(saved(photo_like(400, 300), "PNG"))


def test_one_photo_s_refusal_does_not_disturb_the_others(encoder: Encoder) -> None:
    good = saved(golden_photo(6), "JPEG")
    right = encoder.encode(good).vector

    def outcome(data: bytes) -> bool:
        try:
            return bool((encoder.encode(data).vector == right).all())
        except PhotoRefused:
            return False

    work = [good, good[:500], b"", good, saved(np.zeros((50, 50, 3), np.uint8), "PNG"), good] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(outcome, work)) == [data == good for data in work]


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="not a bundle"):
        open_encoder(tmp_path)


def test_serving_imports_no_torch(root: Path, starter: Path) -> None:
    """A fresh interpreter encodes a photo; importing the room alone brings in no runtime either."""
    code = (
        "import sys, io, pathlib, numpy as np\n"
        "import encoder.encode as e, encoder.metadata, encoder.photo, encoder.quality\n"
        "assert 'onnxruntime' not in sys.modules, 'importing costs nothing'\n"
        "from encoder.golden import golden_photo\n"
        "from PIL import Image\n"
        "b = io.BytesIO(); Image.fromarray(golden_photo(1)).save(b, 'JPEG')\n"
        "e.open_encoder(pathlib.Path(sys.argv[1])).encode(b.getvalue())\n"
        "print(sorted({'torch', 'torchvision', 'timm', 'onnx', 'openvino'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(starter)], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_real_belugas_are_found_by_their_other_photos(encoder: Encoder, shared: Path) -> None:
    """The first 40 encounters of three photos or more: a photo's nearest is of its own encounter far above chance (1 in 40)."""
    folder = shared / "data" / "beluga"
    if not folder.is_dir():
        pytest.skip("needs data/beluga")
    encounters: dict[str, list[str]] = {}
    for row in csv.DictReader((folder / "metadata.csv").read_text("utf-8").splitlines()):
        encounters.setdefault(row["encounter"], []).append(row["path"])
    chosen = [paths[:3] for paths in encounters.values() if len(paths) >= 3][:40]
    vectors = np.stack([encoder.encode(read_photo(folder / p)).vector for paths in chosen for p in paths])
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    assert (scores.argmax(axis=1) // 3 == np.arange(len(scores)) // 3).mean() > 0.5
