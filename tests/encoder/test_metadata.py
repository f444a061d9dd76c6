"""When, where and by whom: what metadata say, and the many ways in which they say nothing credible."""

from __future__ import annotations

import io
import struct
from datetime import datetime

import pytest
from encoder_pictures import photo_like, saved
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from encoder.directory import first_directory
from encoder.header import Header, read_header
from encoder.metadata import read_taken
from encoder.values import Taken

PIXELS = photo_like(40, 30)


def taken(kind: str = "JPEG", exif: Image.Exif | None = None, **options: object) -> Taken:
    if exif is not None:
        options["exif"] = exif.tobytes()  # of the object itself, Pillow writes no date or place into a TIFF
    return read_taken(read_header(saved(PIXELS, kind, **options)))


def gps(**parts: object) -> Image.Exif:
    exif = Image.Exif()
    names = {"lat_ref": 1, "lat": 2, "lon_ref": 3, "lon": 4, "status": 9}
    standard = {"lat_ref": "S", "lat": (36.0, 30.0, 36.0), "lon_ref": "W", "lon": (73.0, 15.0, 0.0)}
    exif.get_ifd(0x8825).update({names[k]: v for k, v in {**standard, **parts}.items() if v is not None})
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_date_place_and_creator_are_read_from_every_kind_that_carries_exif(kind: str) -> None:
    exif = gps()
    exif[0x013B] = "Ada Example"
    exif.get_ifd(0x8769)[0x9003] = "2022:06:15 09:30:01"
    assert taken(kind, exif) == Taken(datetime(2022, 6, 15, 9, 30, 1), -36.51, -73.25, "Ada Example")


def test_a_photo_without_metadata_says_nothing() -> None:
    assert taken() == Taken()
    assert taken("BMP") == Taken()


def test_the_date_of_change_is_not_the_date_of_the_photo() -> None:
    exif = Image.Exif()
    exif[0x0132] = "2024:01:01 00:00:00"
    assert taken(exif=exif).at is None
    exif.get_ifd(0x8769)[0x9004] = "2021:01:01 10:00:00"
    assert taken(exif=exif).at == datetime(2021, 1, 1, 10)


@pytest.mark.parametrize(
    "said", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2022:13:01 00:00:00", "yesterday", "", "1022:01:01 00:00:00"]
)
def test_a_date_that_cannot_be_is_none(said: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = said
    assert taken(exif=exif).at is None


@pytest.mark.parametrize(
    "parts",
    [
        {"lat": (0.0, 0.0, 0.0), "lon": (0.0, 0.0, 0.0)},
        {"lat": (91.0, 0.0, 0.0)},
        {"lon": (181.0, 0.0, 0.0)},
        {"lat_ref": None},
        {"lon_ref": "north"},
        {"lat": None},
        {"status": "V"},
    ],
    ids=[
        "null island",
        "beyond the pole",
        "beyond the date line",
        "no hemisphere",
        "a wrong hemisphere",
        "half a place",
        "no fix",
    ],
)
def test_a_place_that_is_not_credible_is_none(parts: dict[str, object]) -> None:
    said = taken(exif=gps(**parts))
    assert (said.lat, said.lon) == (None, None)


def _exif_with_latitude(pairs: list[tuple[int, int]]) -> bytes:
    """By hand, since Pillow writes no zero denominators."""
    count = len(pairs)
    entries = [
        (1, 2, 2, struct.pack("<4s", b"N\0")),
        (2, 5, count, struct.pack("<I", 100)),
        (3, 2, 2, struct.pack("<4s", b"E\0")),
        (4, 5, 3, struct.pack("<I", 200)),
    ]
    first = struct.pack("<HHHII", 1, 0x8825, 4, 1, 26) + bytes(4)
    place = struct.pack("<H", 4) + b"".join(struct.pack("<HHI", tag, kind, n) + value for tag, kind, n, value in entries)
    block = b"II*\0" + struct.pack("<I", 8) + first + place
    block = block.ljust(100, b"\0") + b"".join(struct.pack("<II", *pair) for pair in pairs)
    return block.ljust(200, b"\0") + struct.pack("<6I", 10, 1, 0, 1, 0, 1)


def test_a_latitude_over_zero_is_none_and_the_same_over_one_is_read() -> None:
    assert read_taken(Header("jpeg", (1, 1), exif=_exif_with_latitude([(45, 1), (30, 1), (0, 1)]))).lat == 45.5
    assert read_taken(Header("jpeg", (1, 1), exif=_exif_with_latitude([(45, 0), (30, 1), (0, 1)]))).lat is None
    assert read_taken(Header("jpeg", (1, 1), exif=_exif_with_latitude([(0, 0), (0, 0), (0, 0)]))).lat is None


def _iptc(name: bytes) -> bytes:
    record = b"\x1c\x02\x50" + struct.pack(">H", len(name)) + name
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)


def _with_segment(marker: int, body: bytes) -> bytes:
    data = saved(PIXELS, "JPEG")
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def test_the_by_line_of_iptc_is_the_creator() -> None:
    other = b"8BIM\x03\xed\0\0" + struct.pack(">I", 3) + b"abc\0"
    data = _with_segment(0xED, b"Photoshop 3.0\0" + other + _iptc("Zoë Example".encode()))
    assert read_taken(read_header(data)).creator == "Zoë Example"


def test_the_creator_of_xmp_is_the_creator() -> None:
    xmp = b"<x><dc:creator><rdf:Seq><rdf:li>Ada &amp; Zo\xc3\xab</rdf:li></rdf:Seq></dc:creator></x>"
    data = _with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    assert read_taken(read_header(data)).creator == "Ada & Zoë"


def test_a_creator_is_one_printable_line() -> None:
    exif = Image.Exif()
    exif[0x013B] = "Ada\n\tExample\x07 " + "x" * 500
    creator = taken(exif=exif).creator
    assert creator is not None
    assert creator.startswith("Ada Example xxx")
    assert len(creator) == 200


@given(
    st.binary(max_size=400),
    st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", b""]),
)
def test_any_metadata_at_all_are_read_or_are_nothing(noise: bytes, start: bytes) -> None:
    said = read_taken(
        Header("jpeg", (1, 1), exif=start + noise, iptc=b"8BIM\x04\x04" + noise, xmp=b"<dc:creator><rdf:li>" + noise)
    )
    assert said.lat is None or -90 <= said.lat <= 90
    assert said.lon is None or -180 <= said.lon <= 180


def test_a_directory_that_points_at_itself_ends() -> None:
    block = b"II*\0" + struct.pack("<IH", 8, 65535) + struct.pack("<HHII", 0x8769, 4, 1, 8) * 30
    assert len(first_directory(block).entries) <= 2
    assert read_taken(Header("jpeg", (1, 1), exif=block)) == Taken()


def test_pillow_agrees_about_what_it_wrote() -> None:
    exif = gps()
    exif.get_ifd(0x8769)[0x9003] = "2022:06:15 09:30:01"
    data = saved(PIXELS, "JPEG", exif=exif)
    theirs = Image.open(io.BytesIO(data)).getexif()
    degrees, minutes, seconds = theirs.get_ifd(0x8825)[2]
    assert read_taken(read_header(data)).lat == pytest.approx(-(degrees + minutes / 60 + seconds / 3600), abs=1e-6)
