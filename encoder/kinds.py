"""Which files of a folder are meant as photos, by how their names end. What a file really holds its first bytes tell."""

from __future__ import annotations

from pathlib import PurePath

READ = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"})
UNREAD = frozenset(
    {".heic", ".heif", ".avif", ".gif", ".jp2", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"}
)  # photos too, which nobody shall miss without a word


def is_read(file: PurePath) -> bool:
    return file.suffix.lower() in READ


def is_unread(file: PurePath) -> bool:
    return file.suffix.lower() in UNREAD


def is_hidden(name: str) -> bool:
    """What systems put beside photos: thumbnails, waste bins, archivers' leavings."""
    return name.startswith(".") or name == "__MACOSX"
