"""Headers: sizes are told without decoding, hostile ones cost nothing, and any bytes give pixels or a refusal."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from encoder_pictures import photo_like, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from encoder.errors import NotAPhoto, PhotoDamaged, PhotoRefused, PhotoTooLarge
from encoder.header import read_header
from encoder.metadata import read_taken
from encoder.photo import decode
from encoder.values import Limits

PIXELS = photo_like(64, 48)
HUGE = 100_000


def _png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def _tiff(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 100)]
    packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)


def _jpeg(width: int, height: int) -> bytes:
    """A real one, its frame's size overwritten."""
    data = bytearray(saved(PIXELS, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [_png(HUGE, HUGE), _bmp(HUGE, HUGE), _bmp(HUGE, -HUGE), _tiff(HUGE, HUGE), _jpeg(65_500, 65_500)],
    ids=["png", "bmp", "bmp upside down", "tiff", "jpeg"],
)
def test_a_header_of_ten_gigapixels_is_refused_without_memory(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(PhotoTooLarge, match="pixels, more than the 200,000,000"):
        read_header(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("data", [_png(5000, 4000), _bmp(5000, 4000), _tiff(5000, 4000), _jpeg(5000, 4000)])
def test_a_header_that_promises_more_than_there_is_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoDamaged):
        decode(data, read_header(data))


@pytest.mark.parametrize("data", [_png(0, 10), _bmp(10, 0), _tiff(0, 0), _jpeg(0, 10)])
def test_a_photo_without_extent_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoDamaged, match="header says"):
        read_header(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_header_says_kind_and_size(kind: str) -> None:
    header = read_header(saved(PIXELS, kind))
    assert (header.format, header.stored, header.orientation) == (kind.lower(), (64, 48), 1)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"save_all": True}])
def test_every_kind_of_webp_says_its_size(options: dict[str, object]) -> None:
    assert read_header(saved(PIXELS, "WEBP", **options)).stored == (64, 48)
    alpha = np.dstack([PIXELS, PIXELS[:, :, 0]])
    assert read_header(saved(alpha, "WEBP", **options)).stored == (64, 48)


def test_big_endian_and_big_tiffs_say_their_size() -> None:
    big = b"MM\0*" + struct.pack(">IH", 8, 2) + struct.pack(">HHII", 256, 4, 1, 640) + struct.pack(">HHII", 257, 4, 1, 480)
    assert read_header(big + bytes(4)).stored == (640, 480)
    entries = struct.pack("<HHQQ", 256, 4, 1, 640) + struct.pack("<HHQQ", 257, 4, 1, 480)
    assert read_header(b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2) + entries + bytes(8)).stored == (640, 480)


def test_a_thumbnail_inside_the_metadata_is_not_taken_for_the_photo() -> None:
    thumbnail = saved(photo_like(16, 12), "JPEG")
    exif = Image.Exif()
    exif[0x010E] = "x"
    data = saved(PIXELS, "JPEG", exif=exif.tobytes() + thumbnail)
    assert read_header(data).stored == (64, 48)
    half = data[: data.index(thumbnail) + len(thumbnail) + 700]
    with pytest.raises(PhotoDamaged, match="ends early"):
        decode(half, read_header(half))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_header(saved(PIXELS, "JPEG", exif=exif)).orientation == 1


# --- any bytes ------------------------------------------------------------------------------------------------------


def _seeds() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (4.0, 5.0, 6.0)})
    image = Image.fromarray(PIXELS)

    def of(kind: str, mode: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, kind, **options)  # type: ignore[arg-type]
        return buffer.getvalue()

    return {
        "jpeg": of("JPEG", "RGB", exif=exif),
        "progressive": of("JPEG", "RGB", progressive=True),
        "restarts": of("JPEG", "L", restart_marker_rows=1),
        "cmyk": of("JPEG", "CMYK"),
        "png": of("PNG", "RGBA", exif=exif),
        "palette": of("PNG", "P"),
        "webp": of("WEBP", "RGB", exif=exif),
        "lossless": of("WEBP", "RGBA", lossless=True),
        "tiff": of("TIFF", "RGB", exif=exif),
        "lzw": of("TIFF", "RGB", compression="tiff_lzw"),
        "deflate": of("TIFF", "CMYK", compression="tiff_adobe_deflate"),
        "fax": of("TIFF", "1", compression="group4"),
        "bmp": of("BMP", "RGB"),
        "bmp palette": of("BMP", "P"),
    }


SEEDS = _seeds()
WORDS = [b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\1\0", b"\0\x10\x27\0"]
changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "word", "cut", "insert", "drop"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
        st.sampled_from(WORDS),
    ),
    min_size=1,
    max_size=6,
)


def _mutated(data: bytes, steps: list[tuple[str, float, int, bytes]]) -> bytes:
    made = bytearray(data)
    for kind, where, value, word in steps:
        # Half of the places lie in the first tenth, where the structure is.
        at = int(len(made) * (where / 5 if where < 0.5 else 2 * where - 1))
        if kind == "set" and made:
            made[at] = value
        elif kind == "word":
            made[at : at + 4] = word
        elif kind == "cut":
            del made[max(at, 4) :]
        elif kind == "insert":
            made[at:at] = word * (1 + value % 3)
        elif kind == "drop":
            del made[at : at + 1 + value % 40]
    return bytes(made)


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=60)
@given(steps=changes, target=st.sampled_from([None, (32, 32)]))
def test_any_damage_gives_pixels_or_a_refusal(
    seed: str, steps: list[tuple[str, float, int, bytes]], target: tuple[int, int] | None
) -> None:
    data = _mutated(SEEDS[seed], steps)
    try:
        header = read_header(data, Limits(max_pixels=4_000_000))
        read_taken(header)
        pixels = decode(data, header, None, target)
    except PhotoRefused:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    if target is None:
        assert pixels.shape[:2] == (header.height, header.width)


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", *(seed[:12] for seed in SEEDS.values())]))
def test_any_bytes_at_all_give_a_header_or_a_refusal(data: bytes, start: bytes) -> None:
    try:
        header = read_header(start + data)
    except PhotoRefused:
        return
    assert header.width >= 1
    read_taken(header)


def test_a_tiff_whose_later_strips_are_missing_is_not_filled_with_black() -> None:
    """The header's height is doubled; Pillow reads the strips there are and leaves the rest black."""
    data = bytearray(saved(PIXELS, "TIFF"))
    at = data.index(struct.pack("<HHI", 257, 4, 1))
    data[at + 8 : at + 12] = struct.pack("<I", 96)
    at = data.index(struct.pack("<HHI", 278, 4, 1))
    data[at + 8 : at + 12] = struct.pack("<I", 48)
    header = read_header(bytes(data))
    assert header.stored == (64, 96)
    with pytest.raises(PhotoDamaged, match="strips of it are missing"):
        decode(bytes(data), header)


def test_a_run_length_coded_bmp_is_refused() -> None:
    data = bytearray(_bmp(100, 100))
    data[30] = 1
    with pytest.raises(NotAPhoto, match="run-length"):
        read_header(bytes(data))


def test_what_pretends_to_be_a_jpeg_is_refused() -> None:
    with pytest.raises(PhotoDamaged, match="holds no picture"):
        read_header(b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(200))
    with pytest.raises(NotAPhoto):
        read_header(b"\xff\xd8 and then nothing")


@pytest.mark.parametrize("exif", [None, 1, 6])
def test_xmp_turns_no_photo_of_whatever_kind(exif: int | None) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    tags = Image.Exif()
    if exif is not None:
        tags[0x0112] = exif
    expected = PIXELS if exif != 6 else np.rot90(PIXELS, -1)
    for kind, said in (
        ("TIFF", {"tiffinfo": {700: xmp, **({274: exif} if exif is not None else {})}}),
        ("WEBP", {"xmp": xmp, "exif": tags, "lossless": True}),
    ):
        data = saved(PIXELS, kind, **said)  # type: ignore[arg-type]
        header = read_header(data)
        assert header.xmp
        assert np.array_equal(decode(data, header), expected)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize(("mode", "progressive"), [("RGB", True), ("L", True), ("CMYK", False), ("CMYK", True)])
def test_a_jpeg_whose_missing_part_is_not_grey_is_refused_and_one_with_stray_bytes_read(
    mode: str, progressive: bool, share: float
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photo_like(400, 300)).convert(mode).save(buffer, "JPEG", progressive=progressive)
    whole = buffer.getvalue()
    cut = whole[: int(len(whole) * share)] + b"\xff\xd9"
    with pytest.raises(PhotoDamaged, match="ends early"):
        decode(cut, read_header(cut))
    stray = whole[:-2] + b"\x12\x34\x56\x78" * 5 + b"\xff\xd9"
    assert np.array_equal(decode(stray, read_header(stray)), decode(whole, read_header(whole)))


@pytest.mark.parametrize("missing", [13, 40])
def test_a_png_whose_end_was_never_written_is_refused(missing: int) -> None:
    whole = saved(PIXELS, "PNG")
    unwritten = whole[:-missing] + bytes(missing)
    with pytest.raises(PhotoDamaged, match="ends early"):
        decode(unwritten, read_header(unwritten))
