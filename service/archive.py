"""A ZIP from somebody else: what is in it, and whether it may be opened at all. Nothing is ever unpacked to a path of its own.

Refused whole: encrypted, damaged, too many files, too much inside, files that swell, that overlap, or that would lie
elsewhere, and archives within. Members are read one at a time, and bounded; what is no photo is found out when it is decoded.
"""

from __future__ import annotations

import errno
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from encoder.errors import PhotoDamaged, PhotoTooLarge
from service.errors import UploadRefused
from settings import Settings

DIRECTORY_BYTES_AN_ENTRY = 300  # more than a path takes in the mean
SMALL = 1_000_000  # below this, how much a file swells does no harm
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar")
LEFT_OUT = ("__macosx", "thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    path: str  # in the archive, as it is asked for again
    folder: str  # empty at the top
    name: str
    bytes: int


def read_members(file: Path, settings: Settings) -> list[Member]:
    """The files in it, in their order, without what systems leave behind; or `UploadRefused`."""
    try:
        _refuse_long_directory(file, settings.max_archive_entries)
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    # Each of these is how zipfile meets one kind of damage in a directory: that is the sender's to mend, not a fault of ours.
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
        _raise_disk_fault(error)
        raise UploadRefused("The archive is no ZIP, or a damaged one. Make it anew, as an ordinary ZIP.") from error
    if len(infos) > settings.max_archive_entries:
        raise _too_many(settings.max_archive_entries)
    _refuse_overlap(infos)
    total = 0
    members = {}
    for info in infos:
        total += info.file_size
        _refuse_unsafe(info, settings)
        path = PurePosixPath(info.filename)
        hidden = any(part.startswith(".") or part.lower() in LEFT_OUT for part in path.parts)
        if info.is_dir() or hidden:
            continue
        if info.filename in members:  # files are asked for by their paths, so one of the two could never be read
            raise UploadRefused(f'"{_shown(info)}" is in the archive twice. Make it anew, with another name for one of them.')
        folder = "" if path.parent == PurePosixPath() else str(path.parent)
        members[info.filename] = Member(info.filename, folder, path.name, info.file_size)
    if total > settings.max_unpacked_bytes:
        raise UploadRefused(
            f"The archive unpacks to {total:,} bytes, more than the {settings.max_unpacked_bytes:,} that are taken. Split it."
        )
    if not members:
        raise UploadRefused("The archive holds no files. Put photos into it, with a folder for each encounter or individual.")
    return list(members.values())


def read_member(archive: zipfile.ZipFile, path: str, most: int) -> bytes:
    """One file, or a `PhotoRefused` that says what is wrong with it."""
    try:
        with archive.open(path) as file:
            data = file.read(most + 1)
    # Likewise for one file in it: a wrong checksum, code that ends early, an unknown method, a password, a name that is gone.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, KeyError) as error:
        _raise_disk_fault(error)
        raise PhotoDamaged("The file is damaged within the archive. Make the archive anew.") from error
    if len(data) > most:
        raise PhotoTooLarge(f"The file has more than the {most:,} bytes that are read. Save it smaller.")
    return data


def _raise_disk_fault(error: Exception) -> None:
    """Raise what the disk did. Damage is an `OSError` too: without a number from bz2, EINVAL for a place before the file."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise error


def _refuse_long_directory(file: Path, most: int) -> None:
    """By what the end of the archive says, before the directory is read into memory: both of its ends, where it has a long one,
    as `zipfile` itself will read them, since an archive can say one thing to us and another to it."""
    with file.open("rb") as opened:
        end = zipfile._EndRecData(opened)  # type: ignore[attr-defined]  # there is no public way to ask it
    if end is None:
        raise UploadRefused("The archive is no ZIP, or ends early. Send a ZIP of photos, or the photos themselves.")
    entries, directory = end[zipfile._ECD_ENTRIES_TOTAL], end[zipfile._ECD_SIZE]  # type: ignore[attr-defined]
    if entries > most or directory > most * DIRECTORY_BYTES_AN_ENTRY:
        raise _too_many(most)


def _too_many(most: int) -> UploadRefused:
    return UploadRefused(f"The archive holds more than {most:,} files. Send several smaller ones.")


def _refuse_overlap(infos: list[zipfile.ZipInfo]) -> None:
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < end:
            raise UploadRefused(
                "Files in the archive share their bytes, as only a trap does. Make it anew, as an ordinary ZIP."
            )
        end = info.header_offset + info.compress_size


def _refuse_unsafe(info: zipfile.ZipInfo, settings: Settings) -> None:
    name = info.filename
    shown = _shown(info)
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or ":" in name[:2] or len(name) > 1000:
        raise UploadRefused(f'"{shown}" in the archive names a place outside of it. Make it anew.')
    if "\\" in name or not all(letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in name):
        raise UploadRefused(
            f'"{shown}" in the archive has a backslash or an unprintable letter in its name, as some programs write them. '
            "Rename it, or make the archive with another program."
        )
    if info.flag_bits & 0x1:
        raise UploadRefused(f'"{shown}" in the archive is encrypted. Make it anew, without a password.')
    kind = info.external_attr >> 16
    if kind and stat.S_IFMT(kind) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UploadRefused(f'"{shown}" in the archive is a link or device. Put the photo itself there.')
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UploadRefused(f'"{shown}" in the archive is packed in a way that is not read. Make it anew, as an ordinary ZIP.')
    if info.file_size > SMALL and info.file_size > settings.max_archive_ratio * max(info.compress_size, 1):
        raise UploadRefused(f'"{shown}" in the archive would swell more than {settings.max_archive_ratio}-fold. Leave it out.')
    if name.lower().endswith(NESTED):
        raise UploadRefused(f'"{shown}" is an archive within the archive. Put the photos themselves into it.')


def _shown(info: zipfile.ZipInfo) -> str:
    return info.filename[:60].encode("ascii", "replace").decode()
