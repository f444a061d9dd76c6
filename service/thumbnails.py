"""Small pictures of sightings, made once and kept below `thumbnails/` in the data folder; all of it may be deleted."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from uuid import uuid4

import cv2

from catalog.values import Sighting
from encoder.header import read_header
from encoder.photo import decode, whole
from encoder.reduced import in_copy
from encoder.values import Box
from indexer.station import Station, limits

SMALLEST, LARGEST = 32, 1024
QUALITY = 85


def thumbnail(station: Station, sighting: Sighting, size: int) -> bytes:
    """A JPEG whose long side is `size`, or less where the photo has less."""
    name = hashlib.sha256(f"{sighting.photo_sha256} {sighting.box} {size}".encode()).hexdigest()
    path = station.settings.data_dir / "thumbnails" / name[:2] / f"{name}.jpg"
    with suppress(OSError):
        return path.read_bytes()
    made = _made(station, sighting, size)
    with suppress(OSError):  # a full disk costs the cache, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        coming = path.with_name(f".{uuid4().hex}")
        coming.write_bytes(made)
        coming.replace(path)
    return made


def _made(station: Station, sighting: Sighting, size: int) -> bytes:
    photo = station.catalogue.photo(sighting.photo_sha256)
    assert photo is not None  # a sighting's row names its photo's
    data = station.photos.read(photo)
    header = read_header(data, limits(station.settings))
    # In pixels of the photo as it was given; it may be kept smaller.
    crop = in_copy(Box(*sighting.box), (photo.width, photo.height), header) if sighting.box else whole(header)
    scale = min(1.0, size / max(crop.width, crop.height))
    target = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    pixels = cv2.resize(decode(data, header, crop, target), target, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes()
