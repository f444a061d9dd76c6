"""Files that outlive a power cut: written whole, synced together, the folders that name them synced after them."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

SYNCS_AT_ONCE = 8  # more gained nothing
LARGE = 64 * 1024  # bytes; what is smaller is written as usual
BLOCK = 4096  # what a disk's blocks divide
PIECE = 1 << 20
T = TypeVar("T")
_of_thread = threading.local()


def write_new(path: Path, data: bytes) -> None:
    """Past the system's page cache where there is a way past it: 0.2 ms of CPU for 500 kB, where finding the pages and
    writing them back later took 1.0. A photo that was just kept is seldom what is read next."""
    if len(data) >= LARGE and hasattr(os, "O_DIRECT"):
        try:
            _write_past_cache(path, data)
            return
        except OSError as error:
            if error.errno != errno.EINVAL:  # what a file system without it answers, on opening or on writing
                raise
    path.write_bytes(data)


def _write_past_cache(path: Path, data: bytes) -> None:
    """In whole blocks, from memory that begins at a page; the last one is cut to length."""
    if not hasattr(_of_thread, "pages"):
        _of_thread.pages = mmap.mmap(-1, PIECE)
    pages = _of_thread.pages
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT, 0o666)
    try:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            pages[: len(piece)] = piece
            with memoryview(pages) as whole:
                _write_all(handle, whole[: -(-len(piece) // BLOCK) * BLOCK])
        os.ftruncate(handle, len(data))
    finally:
        os.close(handle)


def _write_all(handle: int, view: memoryview) -> None:
    with view:
        written = 0
        while written < len(view):
            written += os.write(handle, view[written:])


def sync_files(paths: Sequence[Path]) -> None:
    _at_once(_sync, paths)


def sync_folders(paths: Sequence[Path]) -> None:
    if os.name != "nt":  # a folder cannot be opened there; its names are durable with the file system's own log
        _at_once(_sync, paths)


def sync_tree(folder: Path) -> None:
    """Every file below it, then every folder, itself too. Before it is given the name under which it counts."""
    below = [path for path in folder.rglob("*") if not path.is_symlink()]
    sync_files([path for path in below if path.is_file()])
    sync_folders([folder, *(path for path in below if path.is_dir())])


def _at_once(sync: Callable[[T], None], things: Sequence[T]) -> None:
    """From several threads, so that the disk serves many with one flush: 64 files in 42 ms rather than 390."""
    if len(things) == 1:
        sync(things[0])
    elif things:
        with ThreadPoolExecutor(min(len(things), SYNCS_AT_ONCE)) as pool:
            list(pool.map(sync, things))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
