"""When, where and by whom a photo was taken, as its own metadata say, each None where they say nothing credible.

Date: EXIF's DateTimeOriginal, else DateTimeDigitized; never the file's own date of change. Place: EXIF's GPS, refused where
it is NaN, out of range, marked void, or exactly 0, 0, which is what a camera without a fix writes. Creator: IPTC's by-line,
else XMP's dc:creator, else EXIF's Artist. Where metadata are broken the photo is still read.
"""

from __future__ import annotations

import html
import math
import re
import struct
from datetime import datetime

from .directory import EXIF_POINTER, GPS_POINTER, Directory, first_directory, linked_directory
from .header import Header
from .values import Taken

_ORIGINAL, _DIGITISED, _ARTIST = 0x9003, 0x9004, 0x013B
_LAT_REF, _LAT, _LON_REF, _LON, _STATUS = 1, 2, 3, 4, 9
_BY_LINE = b"\x1c\x02\x50"
_CREATOR = re.compile(rb"<dc:creator>.{0,200}?<rdf:li[^>]{0,200}>(.{1,500}?)</rdf:li>", re.DOTALL)
MAX_CREATOR = 200


def read_taken(header: Header) -> Taken:
    first = first_directory(header.exif)
    place = _place(linked_directory(header.exif, first, GPS_POINTER))
    lat, lon = place if place is not None else (None, None)
    return Taken(
        at=_date(linked_directory(header.exif, first, EXIF_POINTER)),
        lat=lat,
        lon=lon,
        creator=_tidy(_by_line(header.iptc) or _xmp_creator(header.xmp) or first.text(_ARTIST)),
    )


def _date(exif: Directory) -> datetime | None:
    for tag in (_ORIGINAL, _DIGITISED):
        try:
            at = datetime.strptime(exif.text(tag) or "", "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        if at.year >= 1900:
            return at
    return None


def _place(gps: Directory) -> tuple[float, float] | None:
    lat = _degrees(gps.numbers(_LAT), gps.text(_LAT_REF), "N", "S", 90)
    lon = _degrees(gps.numbers(_LON), gps.text(_LON_REF), "E", "W", 180)
    if lat is None or lon is None or (lat == 0 and lon == 0) or gps.text(_STATUS) == "V":
        return None
    return lat, lon


def _degrees(parts: tuple[float, ...], ref: str | None, plus: str, minus: str, most: int) -> float | None:
    """Degrees, minutes and seconds with their hemisphere. Without a hemisphere the sign would be a guess."""
    if not 1 <= len(parts) <= 3 or ref is None or ref[:1].upper() not in (plus, minus):
        return None
    value = math.fsum(part / 60**index for index, part in enumerate(parts))
    if not math.isfinite(value) or not 0 <= value <= most or any(part < 0 for part in parts):
        return None
    return round(-value if ref[:1].upper() == minus else value, 7)


def _by_line(resources: bytes) -> str | None:
    """The first by-line, in the IPTC records that Photoshop's resource 0x0404 holds (a TIFF holds them bare)."""
    records = resources
    if resources.startswith(b"8BIM"):
        records = b""
        at = 0
        while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
            (number,) = struct.unpack_from(">H", resources, at + 4)
            name = 1 + resources[at + 6]
            body = at + 6 + name + name % 2
            if body + 4 > len(resources):
                break
            (size,) = struct.unpack_from(">I", resources, body)
            if number == 0x0404:
                records = resources[body + 4 : body + 4 + size]
                break
            at = body + 4 + size + size % 2
    found = records.find(_BY_LINE)
    if found < 0 or found + 5 > len(records):
        return None
    (length,) = struct.unpack_from(">H", records, found + 3)
    return _text(records[found + 5 : found + 5 + length])


def _xmp_creator(xmp: bytes) -> str | None:
    found = _CREATOR.search(xmp)
    return html.unescape(_text(found[1])) if found else None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _tidy(name: str | None) -> str | None:
    """One line of printable text, or nothing."""
    kept = "".join(c if c.isprintable() else " " for c in name or "")
    return " ".join(kept.split())[:MAX_CREATOR] or None
