"""TIFF directories: where EXIF, GPS and TIFF files themselves keep their facts.

Reads what is asked for and nothing else. Every read is bounded by the bytes there are and by the counts below; whatever does
not hold together is absent, never an exception: a photo with a broken EXIF is still a photo.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAX_ENTRIES = 1000  # cameras write some 60
MAX_VALUES = 4096  # of one entry: longer ones (maker notes, strips) are not what is asked for
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}
Value = bytes | tuple[float, ...]

EXIF_POINTER, GPS_POINTER = 0x8769, 0x8825


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory's entries: bytes for text and opaque data, numbers for the rest (NaN for a zero denominator)."""

    entries: Mapping[int, Value]

    def number(self, tag: int) -> float | None:
        value = self.entries.get(tag)
        return value[0] if isinstance(value, tuple) and value and math.isfinite(value[0]) else None

    def numbers(self, tag: int) -> tuple[float, ...]:
        value = self.entries.get(tag)
        return value if isinstance(value, tuple) else ()

    def text(self, tag: int) -> str | None:
        """As ASCII or UTF-8, without what follows the first zero byte."""
        value = self.entries.get(tag)
        if isinstance(value, tuple):
            return None
        return (value or b"").split(b"\0")[0].decode("utf-8", "replace").strip() or None

    def raw(self, tag: int) -> bytes:
        value = self.entries.get(tag)
        if isinstance(value, tuple):
            return bytes(int(v) & 0xFF for v in value) if all(math.isfinite(v) for v in value) else b""
        return value or b""


EMPTY = Directory({})


def first_directory(block: bytes) -> Directory:
    """The first directory of a TIFF file or of an EXIF block."""
    layout = _layout(block)
    if layout is None:
        return EMPTY
    order, big = layout
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), block, 8 if big else 4)
    except struct.error:
        return EMPTY
    return _read(block, order, big, int(start))


def linked_directory(block: bytes, parent: Directory, pointer: int) -> Directory:
    """The directory that an entry of `parent` points to: EXIF's own, or GPS."""
    layout = _layout(block)
    start = parent.number(pointer)
    if layout is None or start is None:
        return EMPTY
    return _read(block, *layout, int(start))


def _layout(block: bytes) -> tuple[str, bool] | None:
    """Byte order, and whether it is a BigTIFF."""
    return {
        b"II*\0": ("<", False),
        b"MM\0*": (">", False),
        b"II+\0": ("<", True),
        b"MM\0+": (">", True),
    }.get(block[:4])


def _read(block: bytes, order: str, big: bool, start: int) -> Directory:
    count_code, entry_size, slot = ("Q", 20, 8) if big else ("H", 12, 4)
    head = struct.calcsize("=" + count_code)
    if not 0 < start <= len(block) - head:
        return EMPTY
    (count,) = struct.unpack_from(order + count_code, block, start)
    entries: dict[int, Value] = {}
    for index in range(min(count, MAX_ENTRIES)):
        at = start + head + index * entry_size
        if at + entry_size > len(block):
            break
        tag, kind = struct.unpack_from(order + "HH", block, at)
        (length,) = struct.unpack_from(order + ("Q" if big else "I"), block, at + 4)
        size = _SIZES.get(kind, 0) * length
        if kind not in _SIZES or length > MAX_VALUES:
            continue
        where = at + entry_size - slot
        if size > slot:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), block, where)
        if where + size <= len(block):
            entries.setdefault(tag, _value(block[where : where + size], order, kind, length))
    return Directory(entries)


def _value(data: bytes, order: str, kind: int, length: int) -> Value:
    if kind in (2, 7):
        return data
    if kind in (5, 10):
        pairs = struct.unpack(f"{order}{2 * length}{'I' if kind == 5 else 'i'}", data)
        return tuple(top / bottom if bottom else math.nan for top, bottom in zip(pairs[::2], pairs[1::2], strict=True))
    return struct.unpack(f"{order}{length}{_CODES[kind]}", data)
