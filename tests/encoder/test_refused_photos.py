"""What is no photo, is damaged or cannot be reached is refused, with words; what is only odd is read."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from encoder_pictures import decoded, distance, photo_like, saved
from PIL import Image

from encoder.errors import NotAPhoto, PhotoDamaged, PhotoMissing, PhotoTooLarge
from encoder.header import read_header
from encoder.photo import read_photo
from encoder.values import Limits

PIXELS = photo_like(150, 110)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
    ],
)
def test_a_truncated_photo_is_refused(kind: str, options: dict[str, object], share: float) -> None:
    whole = saved(PIXELS, kind, **options)
    with pytest.raises(PhotoDamaged, match="again"):
        decoded(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_was_cut_and_closed_again_is_not_filled_with_grey(
    share: float, factor: int, options: dict[str, object]
) -> None:
    whole = saved(photo_like(800, 600), "JPEG", **options)
    cut = whole[: int(len(whole) * share)] + b"\xff\xd9"
    with pytest.raises(PhotoDamaged, match="ends early"):
        decoded(cut, target=(800 // (2 * factor), 600 // (2 * factor)))


def test_a_jpeg_whose_end_was_never_written_is_refused() -> None:
    whole = saved(PIXELS, "JPEG")
    half = len(whole) // 2
    with pytest.raises(PhotoDamaged, match="ends early"):
        decoded(whole[:half] + bytes(len(whole) - half))


def test_a_photo_with_a_truly_grey_corner_is_read() -> None:
    pixels = photo_like(320, 240).copy()
    pixels[-64:] = 128
    assert distance(decoded(saved(pixels, "JPEG", quality=95)), pixels) < 2


def test_a_jpeg_with_bytes_out_of_place_or_a_grey_corner_is_read_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    corner = photo_like(320, 240).copy()
    corner[-64:] = 128
    whole = saved(PIXELS, "JPEG", quality=95)
    stray = whole[:-2] + b"\x12\x34\x56\x78" * 5 + b"\xff\xd9"
    for factor in (1, 2):
        target = (150 // (2 * factor), 110 // (2 * factor))
        assert np.array_equal(decoded(stray, target=target), decoded(whole, target=target))
    decoded(saved(corner, "JPEG", quality=95))
    hurt = bytearray(whole)
    hurt[len(hurt) // 2 : len(hurt) // 2 + 6] = bytes(6)
    with suppress(PhotoDamaged):
        decoded(bytes(hurt))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_jpeg_s_pixels_are_those_of_another_reader_of_the_same_library(options: dict[str, object], factor: int) -> None:
    data = saved(photo_like(800, 608), "JPEG", quality=90, **options)
    flags = cv2.IMREAD_COLOR if factor == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}")
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert theirs is not None
    spare = 2 * factor
    assert np.array_equal(decoded(data, target=(800 // spare, 608 // spare)), theirs[:, :, ::-1])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    assert distance(decoded(saved(PIXELS, "JPEG", quality=95) + b"\0" * 500 + b"trailer"), PIXELS) < 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "zero bytes"),
        (b"hello, this is a letter and not a photo", "not a photo"),
        (b"GIF89a" + bytes(50), "a GIF"),
        (b"\0\0\0\x20ftypheic" + bytes(50), "a HEIC"),
        (b"\0\0\0\x20ftypisom" + bytes(50), "a video"),
        (b"%PDF-1.7" + bytes(50), "a PDF"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_what_is_not_a_photo_is_named_for_what_it_is(data: bytes, words: str) -> None:
    with pytest.raises(NotAPhoto, match=words):
        read_header(data)


def test_a_raw_file_s_small_preview_is_not_taken_for_the_photo() -> None:
    with pytest.raises(NotAPhoto, match="raw"):
        read_header(saved(PIXELS, "TIFF", tiffinfo={254: 1}))


def test_a_colour_kind_that_is_not_read_is_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[:, :, 0].astype(np.float32)).save(buffer, "TIFF")
    colours = cv2.imencode(".tiff", PIXELS.astype(np.float32))[1].tobytes()
    for data in (buffer.getvalue(), colours):
        with pytest.raises(NotAPhoto, match="8 or 16 bits"):
            decoded(data)


def test_missing_files_folders_and_pipes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PhotoMissing, match=r"nowhere.jpg: there is no such file"):
        read_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(PhotoMissing, match="is a folder"):
        read_photo(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoMissing, match="device or pipe"):
        read_photo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoMissing, match="cannot be read"):
        read_photo(Path("a\0b.jpg"))


def test_a_file_of_zero_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(NotAPhoto, match=r"empty.jpg has zero bytes"):
        read_photo(tmp_path / "empty.jpg")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read every file, so as root this becomes nobody for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(saved(PIXELS, "JPEG"))
    path.chmod(stat.S_IWUSR)
    with unprivileged(), pytest.raises(PhotoMissing, match=r"secret\.jpg may not be read.*permissions"):
        read_photo(path)


def test_a_file_of_two_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    with pytest.raises(PhotoTooLarge, match="2,000,000,000 bytes"):
        read_photo(path)


def test_limits_are_the_caller_s(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(saved(PIXELS, "PNG"))
    with pytest.raises(PhotoTooLarge, match="bytes"):
        read_photo(path, Limits(max_bytes=100))
    with pytest.raises(PhotoTooLarge, match="150 x 110"):
        read_header(path.read_bytes(), Limits(max_pixels=150 * 110 - 1))
    assert read_header(path.read_bytes(), Limits(max_pixels=150 * 110)).width == 150


def test_a_photo_of_196_megapixels_is_read_in_bounded_memory() -> None:
    """Four bytes a pixel while Pillow holds it, and no second copy: it is averaged down to what the encoder needs."""
    code = (
        "import io, resource, sys, struct, zlib\n"
        "from encoder.header import read_header\n"
        "from encoder.photo import decode\n"
        "side = 14_000\n"
        "def chunk(kind, body):\n"
        "    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))\n"
        "pack = zlib.compressobj(1)\n"
        "row = bytes([0]) + bytes(range(250)) * (3 * side // 250)\n"
        "pixels = b''.join(pack.compress(row) for _ in range(side)) + pack.flush()\n"
        "header = chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0))\n"
        "data = b'\\x89PNG\\r\\n\\x1a\\n' + header + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "made = decode(data, read_header(data), None, (224, 224))\n"
        "print(made.shape[0], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    side, grown_mib = map(int, done.stdout.split())
    assert 448 <= side < 600
    assert grown_mib < 900
