"""Files that outlive a power cut: written whole, synced together, the folders that name them synced after them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_new(path: Path, data: bytes) -> None:
    """Not durable yet, but on its way to the disk, so that `sync_files` later finds little left to wait for."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        if hasattr(os, "posix_fadvise"):  # Linux begins to write what it is told that nobody will read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sync_files(paths: Iterable[Path]) -> None:
    """One after the other, since the disk's log takes all that are on their way with the first: 64 files of 600 kB in 90 ms
    on a virtual disk, where eight threads took as long. Files that are not on their way take 1.3 times as long as by eight
    threads there; a disk that is slow to flush may make more of it."""
    for path in paths:
        _sync(path)


def sync_folders(paths: Iterable[Path]) -> None:
    if os.name != "nt":  # a folder cannot be opened there; its names are durable with the file system's own log
        for path in paths:
            _sync(path)


def sync_tree(folder: Path) -> None:
    """Every file below it, then every folder, itself too. Before it is given the name under which it counts."""
    below = [path for path in folder.rglob("*") if not path.is_symlink()]
    sync_files(path for path in below if path.is_file())
    sync_folders([folder, *(path for path in below if path.is_dir())])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
