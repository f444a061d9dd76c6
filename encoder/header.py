"""What a photo says of itself before a pixel is decoded: kind, size, orientation, and where its metadata lie.

The kind is told from the first bytes, never from a file name. Each reader walks its format's own structure with every offset
checked, so that a header of 100,000 x 100,000 costs microseconds and no memory. Refuses what is not one of the five kinds.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from .directory import first_directory
from .errors import NotAPhoto, PhotoDamaged, PhotoTooLarge
from .values import DEFAULT_LIMITS, Limits

ORIENTATION = 0x0112
_SUBFILE, _DNG = 0x00FE, 0xC612
MAX_SEGMENTS = 10_000
_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_IPTC = b"Photoshop 3.0\0"
_OTHERS = (
    (re.compile(rb"GIF8[79]a"), "a GIF"),
    (re.compile(rb"....ftyp(?:avif|avis)", re.DOTALL), "an AVIF"),
    (re.compile(rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL), "a HEIC"),
    (re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"\0\0\0\x0cjP|\xffO\xffQ"), "a JPEG 2000"),
    (re.compile(rb"PK\x03\x04"), "a ZIP file"),
    (re.compile(rb"\s*<(?:!DOCTYPE|html|\?xml|svg)", re.IGNORECASE), "a web page or drawing"),
)


@dataclass(frozen=True, slots=True)
class Header:
    format: str  # "jpeg", "png", "webp", "tiff", "bmp"
    stored: tuple[int, int]  # width, height as the file holds them
    orientation: int = 1  # EXIF's, 1-8
    channels: int = 3  # of a JPEG; 4 is CMYK
    pixels_at: int = 0  # of a JPEG: where its first scan begins
    exif: bytes = b""  # a TIFF block
    iptc: bytes = b""  # Photoshop's image resources
    xmp: bytes = b""
    progressive: bool = False  # a JPEG, of several scans

    @property
    def width(self) -> int:
        """Of the upright photo."""
        return self.stored[1 if self.orientation >= 5 else 0]

    @property
    def height(self) -> int:
        return self.stored[0 if self.orientation >= 5 else 1]


def read_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """The header of a photo that the limits allow.

    >>> read_header(jpeg_bytes).width  # doctest: +SKIP
    4000
    """
    if not data:
        raise NotAPhoto("The photo has zero bytes: it was not written to its end. Copy it again from the camera.")
    if len(data) > limits.max_bytes:
        raise PhotoTooLarge(
            f"The photo has {len(data):,} bytes, more than the {limits.max_bytes:,} that are read. "
            "Save it smaller, or raise the limit."
        )
    try:
        header = _sniff(data)
    except (struct.error, IndexError) as error:
        raise PhotoDamaged("The photo ends within its header. Copy it again from the camera.") from error
    width, height = header.stored
    if width < 1 or height < 1:
        raise PhotoDamaged(f"The photo's header says {width} x {height} pixels. Copy it again from the camera.")
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"The photo's header says {width:,} x {height:,} pixels, more than the {limits.max_pixels:,} that are decoded. "
            "Save it smaller, or raise the limit."
        )
    return header


def _sniff(data: bytes) -> Header:
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(data)
    if data.startswith(b"BM") and len(data) > 34:
        return _bmp(data)
    what = next((name for pattern, name in _OTHERS if pattern.match(data)), "not a photo of a known kind")
    raise NotAPhoto(f"This is {what}: expected JPEG, PNG, WebP, TIFF or BMP. Save it as JPEG and try again.")


def _orientation(exif: bytes) -> int:
    value = first_directory(exif).number(ORIENTATION)
    return int(value) if value is not None and 1 <= value <= 8 else 1


def _jpeg(data: bytes) -> Header:
    at, size, channels, progressive = 2, None, 3, False
    exif = iptc = xmp = b""
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # fill bytes
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        start, end = at + 4, at + 2 + length
        if marker in _SOF:
            height, width, channels = struct.unpack_from(">HHB", data, start + 1)
            size, progressive = (width, height), marker in _PROGRESSIVE
        elif marker == 0xE1 and data.startswith(b"Exif\0", start) and not exif:
            exif = data[start + 6 : end]
        elif marker == 0xE1 and data.startswith(_XMP, start) and not xmp:
            xmp = data[start + len(_XMP) : end]
        elif marker == 0xED and data.startswith(_IPTC, start):
            iptc += data[start + len(_IPTC) : end]
        elif marker == 0xDA:
            if size is None:
                break
            return Header("jpeg", size, _orientation(exif), channels, end, exif, iptc, xmp, progressive)
        elif marker == 0xD9:
            break
        at = end
    raise PhotoDamaged("The photo begins as a JPEG, but holds no picture. Copy it again from the camera.")


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR":
        raise PhotoDamaged("The photo begins as a PNG, but without a header. Save it again.")
    exif = xmp = b""
    at = 8
    for _ in range(MAX_SEGMENTS):
        if at + 8 > len(data):
            break
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind == b"eXIf":
            exif = data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        elif kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0\0", at + 8):
            xmp = data[at + 8 : at + 8 + length]
        at += 12 + length
    return Header("png", (width, height), _orientation(exif), exif=exif, xmp=xmp)


def _webp(data: bytes) -> Header:
    size = None
    exif = xmp = b""
    at = 12
    for _ in range(MAX_SEGMENTS):
        if at + 8 > len(data):
            break
        kind = data[at : at + 4]
        (length,) = struct.unpack_from("<I", data, at + 4)
        start = at + 8
        if kind == b"VP8X":
            first, second = struct.unpack("<II", data[start + 4 : start + 7] + b"\0" + data[start + 7 : start + 10] + b"\0")
            size = size or (first + 1, second + 1)
        elif kind == b"VP8 ":
            first, second = struct.unpack_from("<HH", data, start + 6)
            size = size or (first & 0x3FFF, second & 0x3FFF)
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, start + 1)
            size = size or ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"EXIF":
            exif = data[start : start + length].removeprefix(b"Exif\0\0")
        elif kind == b"XMP ":
            xmp = data[start : start + length]
        at = start + length + length % 2
    if size is None:
        raise PhotoDamaged("The photo begins as a WebP, but holds no picture. Save it again.")
    return Header("webp", size, _orientation(exif), exif=exif, xmp=xmp)


def _tiff(data: bytes) -> Header:
    first = first_directory(data)
    width, height = first.number(0x0100), first.number(0x0101)
    if width is None or height is None:
        raise PhotoDamaged("The photo begins as a TIFF, but holds no picture. Save it again.")
    if int(first.number(_SUBFILE) or 0) & 1 or _DNG in first.entries or data[8:10] == b"CR":
        raise NotAPhoto("This is a camera's raw file, whose first picture is a small preview. Export it as JPEG and try again.")
    return Header(
        "tiff",
        (int(width), int(height)),
        _orientation(data),
        exif=data,
        iptc=first.raw(0x8649),
        xmp=first.raw(0x02BC),
    )


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
        (compression,) = struct.unpack_from("<I", data, 30)
        if compression in (1, 2):  # never a photo, and slow enough to decode that a hostile one would hold a core for minutes
            raise NotAPhoto("This is a run-length coded BMP, which photos are not. Save it as JPEG and try again.")
    return Header("bmp", (width, abs(height)))
