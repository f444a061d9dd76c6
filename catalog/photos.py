"""The photo files: named after the hash of the bytes that were given, written whole or not at all.

A photo is kept as the original, reduced to a long side, or by reference to where it lies. `put` writes to a temporary
name, syncs, renames and syncs the folder, so what it returned outlives a power cut; a `batch` does the same for many
with the waiting done together (64 photos of 100 kB: a sixth of the time). Put photos first, then the rows that name
them: a photo without a row is harmless, a row without its photo is not. Putting a photo again changes nothing.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar
from uuid import uuid4

from catalog.errors import PhotoStoreFailed
from catalog.names import storable
from catalog.values import PhotoRow

Keep = Literal["original", "reduced", "reference"]
INCOMING = "incoming"  # beside the 256 folders "00" to "ff"
OLD_S = 3600.0  # a temporary file older than this was left by a process that died
JPEG_QUALITY = 90
SYNCS_AT_ONCE = 8  # more gained nothing
T = TypeVar("T")
_ENDINGS = {"jpeg": "jpg", "png": "png", "webp": "webp", "tiff": "tif", "bmp": "bmp"}


class PhotoStore:
    """The folder of photos. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, keep: Keep = "original", long_side: int = 2048) -> None:
        self.folder = folder
        self.keep = keep
        self.long_side = long_side
        with _told(folder, "made"):
            (folder / INCOMING).mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        for left in (self.folder / INCOMING).iterdir():
            with suppress(OSError):  # another process may sweep too, or this one may only read
                if time.time() - left.stat().st_mtime > OLD_S:
                    left.unlink()

    def put(
        self,
        data: bytes,
        *,
        sha256: str,
        name: str,
        format: str,
        width: int,
        height: int,
        creator: str | None = None,
        source: Path | None = None,
    ) -> PhotoRow:
        """Keep one photo; durable on return. `source` is where it lies, for keeping by reference."""
        with self.batch() as batch:
            return batch.put(
                data, sha256=sha256, name=name, format=format, width=width, height=height, creator=creator, source=source
            )

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Photos put in this block are durable when it ends; none of them has its name before."""
        batch = Batch(self)
        try:
            yield batch
            batch.settle()
        finally:
            batch.drop()

    def path_of(self, photo: PhotoRow) -> Path:
        return Path(photo.path) if photo.kept == "reference" else self.folder / photo.path

    def open(self, photo: PhotoRow) -> BufferedReader:
        path = self.path_of(photo)
        try:
            return path.open("rb")
        except FileNotFoundError:
            if photo.kept == "reference":
                raise PhotoStoreFailed(
                    f"The photo {photo.name} is no longer at {path}, where it was enrolled from; put it back."
                ) from None
            raise PhotoStoreFailed(
                f"The photo {photo.name} is missing: there is no {path}. Restore it from a backup."
            ) from None
        except OSError as error:
            raise PhotoStoreFailed(f"The photo {photo.name} at {path} cannot be read: {error.strerror}.") from error

    def read(self, photo: PhotoRow) -> bytes:
        """The bytes as kept; those kept by reference or as the original are what their hash says, or are refused."""
        with self.open(photo) as file:
            data = file.read()
        self._compare(photo, sha256(data).hexdigest())
        return data

    def verify(self, photo: PhotoRow) -> None:
        """Raise `PhotoStoreFailed` where the file is gone or is not what was kept."""
        with self.open(photo) as file:
            self._compare(photo, file_digest(file, "sha256").hexdigest())

    def _compare(self, photo: PhotoRow, found: str) -> None:
        # A reduced photo's own hash stands in its name, after that of the bytes that were given.
        expected = photo.path.rsplit(".", 2)[1] if photo.kept == "reduced" else photo.sha256
        if found.startswith(expected):
            return
        path = self.path_of(photo)
        if photo.kept == "reference":
            raise PhotoStoreFailed(
                f"The photo {photo.name} at {path} has changed since it was enrolled; put the original back."
            )
        raise PhotoStoreFailed(
            f"The photo {photo.name} is damaged: {path} is not what its name says. Restore it from a backup."
        )


class Batch:
    """Photos on their way in; see `PhotoStore.batch`."""

    def __init__(self, store: PhotoStore) -> None:
        self._store = store
        self._waiting: list[tuple[Path, Path, BinaryIO]] = []  # temporary name, name, open file
        self._folders: set[Path] = set()

    def put(
        self,
        data: bytes,
        *,
        sha256: str,
        name: str,
        format: str,
        width: int,
        height: int,
        creator: str | None = None,
        source: Path | None = None,
    ) -> PhotoRow:
        """The row to give to `Write.add_photo`, after the batch has ended."""
        kept, path = self._keep(data, sha256, format, source)
        return PhotoRow(sha256, kept, path, name, format, len(data), width, height, creator)

    def _keep(self, data: bytes, given: str, format: str, source: Path | None) -> tuple[Keep, str]:
        lies = None if source is None else str(source.absolute())
        if self._store.keep == "reference" and lies is not None and storable(lies) == lies:  # else the bytes are kept
            return "reference", lies
        small = reduced(data, self._store.long_side) if self._store.keep == "reduced" else None
        if small is not None:
            path = f"{given[:2]}/{given}.{sha256(small).hexdigest()[:16]}.jpg"
            self._write(path, small)
            return "reduced", path
        path = f"{given[:2]}/{given}.{_ENDINGS.get(format, 'bin')}"
        self._write(path, data)
        return "original", path

    def _write(self, path: str, data: bytes) -> None:
        final = self._store.folder / path
        self._folders.add(final.parent)  # also where it is there already: who wrote it may not have synced yet
        with _told(final, "written"):
            if final.exists() and final.stat().st_size == len(data):
                return
            if not final.parent.exists():
                final.parent.mkdir(exist_ok=True)
                self._folders.add(self._store.folder)
            temporary = self._store.folder / INCOMING / f"{final.name}.{os.getpid()}.{uuid4().hex[:8]}"
            file = temporary.open("xb", buffering=0)
            self._waiting.append((temporary, final, file))
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    def settle(self) -> None:
        """All the bytes first, then the names, then the folders: the disk's waits overlap."""
        with _told(self._store.folder, "written"):
            _at_once(lambda waiting: os.fsync(waiting[2].fileno()), self._waiting)
            for temporary, final, file in self._waiting:
                file.close()
                temporary.replace(final)
            self._waiting.clear()
            _at_once(_sync_folder, list(self._folders))

    def drop(self) -> None:
        """Leave nothing behind of what was not settled."""
        while self._waiting:
            temporary, _, file = self._waiting.pop()
            file.close()
            temporary.unlink(missing_ok=True)


def reduced(data: bytes, long_side: int) -> bytes | None:
    """A JPEG of this long side, upright; None where it is no larger already, or cannot be decoded here."""
    import cv2
    import numpy as np

    given = np.frombuffer(data, np.uint8)
    pixels = cv2.imdecode(given, cv2.IMREAD_COLOR)  # applies the EXIF orientation
    if pixels is None or max(pixels.shape[:2]) <= long_side:
        return None
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    done, small = cv2.imencode(
        ".jpg", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return small.tobytes() if done else None


def _at_once(sync: Callable[[T], None], things: list[T]) -> None:
    """From several threads, so that the disk serves many with one flush: 64 files in 42 ms rather than 390."""
    if len(things) == 1:
        sync(things[0])
    elif things:
        with ThreadPoolExecutor(min(len(things), SYNCS_AT_ONCE)) as pool:
            list(pool.map(sync, things))


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there; its names are durable with the file system's own log
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PhotoStoreFailed(f"No space is left for the photo file {path}; free space and run it again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PhotoStoreFailed(f"The photo folder {path} is read-only for this user; change its permissions.") from error
        raise PhotoStoreFailed(f"The photo file {path} cannot be {what}: {error.strerror}.") from error
