"""The photo files: named after the hash of the bytes that were given, written whole or not at all.

A photo is kept as the original, reduced to a long side, or by reference to where it lies. `receive` writes it under a
temporary name; `settle` syncs, renames and syncs the folders of many together, and what it has settled outlives a power cut.
Settle photos first, then write the rows that name them: a photo without a row is harmless, a row without its photo is not.
Keeping a photo again changes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from catalog.durable import sync_files, sync_folders, write_new
from catalog.errors import PhotoStoreFailed
from catalog.names import storable
from catalog.values import PhotoRow

Keep = Literal["original", "reduced", "reference"]
Reduce = Callable[[bytes], bytes | None]  # a smaller JPEG; None where the photo is small already
INCOMING = "incoming"  # beside the 256 folders "00" to "ff"
JPEG_END = b"\xff\xd9"
OLD_S = 3600.0  # a temporary file older than this was left by a process that died, unless one that lives may have slept
_ENDINGS = {"jpeg": "jpg", "png": "png", "webp": "webp", "tiff": "tif", "bmp": "bmp"}


@dataclass(slots=True)
class Incoming:
    """A photo on its way in, and the row to give to `Write.add_photo` once it is settled."""

    row: PhotoRow
    folders: tuple[Path, ...] = ()  # that name it, or will
    temporary: Path | None = None  # None where nothing had to be written
    final: Path | None = None

    def settle(self) -> None:
        if self.temporary is not None and self.final is not None:
            self.temporary.replace(self.final)
            self.temporary = None

    def drop(self) -> None:
        """Leave nothing behind, unless it is settled."""
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)
            self.temporary = None


class PhotoStore:
    """The folder of photos. Safe to use from several threads and processes. `reduce` makes what is kept as "reduced"."""

    def __init__(self, folder: Path, keep: Keep = "original", reduce: Reduce = lambda _: None) -> None:
        self.folder = folder
        self.keep = keep
        self._reduce = reduce
        self._receiving = threading.Lock()
        self._held: int | None = None  # the folder of those on their way in, locked since the first
        with _told(folder, "made"):
            (folder / INCOMING).mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Away with what died under way, while nobody receives: age alone would tell wrong after a laptop's sleep."""
        with suppress(OSError):  # somebody receives, or sweeps, or the folder knows no locks
            handle = os.open(self.folder / INCOMING, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for left in (self.folder / INCOMING).iterdir():
                    with suppress(OSError):  # this process may only read
                        if time.time() - left.stat().st_mtime > OLD_S:
                            left.unlink()
            finally:
                os.close(handle)

    def _hold(self) -> None:
        """From the first photo on, so that nobody sweeps them away; whoever sweeps just now is waited for."""
        with self._receiving:
            if self._held is not None:
                return
            self._held = os.open(self.folder / INCOMING, os.O_RDONLY)
            weakref.finalize(self, os.close, self._held)
            with suppress(OSError):  # a folder that knows no locks is not swept
                fcntl.flock(self._held, fcntl.LOCK_SH)

    def put(self, data: bytes, *, sha256: str, name: str, format: str, width: int, height: int, **more: Any) -> PhotoRow:
        """Keep one photo; durable on return. Takes what `receive` takes."""
        incoming = self.receive(data, sha256=sha256, name=name, format=format, width=width, height=height, **more)
        self.settle([incoming])
        return incoming.row

    def receive(
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
    ) -> Incoming:
        """Write one photo, without its name yet. `source` is where it lies, for keeping by reference."""
        kept, path, written = self._chosen(data, sha256, format, source)
        row = PhotoRow(sha256, kept, path, name, format, len(data), width, height, creator)
        if written is None:
            return Incoming(row)
        final = self.folder / path
        with _told(final, "written"):
            if final.exists() and final.stat().st_size == len(written) and final.read_bytes() == written:
                return Incoming(row, (final.parent,))  # who wrote it may not have synced the folder yet
            folders: tuple[Path, ...] = (final.parent,)
            if not final.parent.exists():
                final.parent.mkdir(exist_ok=True)
                folders = (final.parent, self.folder)
            self._hold()
            temporary = self.folder / INCOMING / f"{final.name}.{os.getpid()}.{uuid4().hex[:8]}"
            incoming = Incoming(row, folders, temporary, final)
            try:
                write_new(temporary, written)
            except BaseException:
                incoming.drop()
                raise
        return incoming

    def settle(self, received: Sequence[Incoming]) -> None:
        """All the bytes to disk first, then the names, then the folders. All of them, or none has its name."""
        try:
            with _told(self.folder, "written"):
                sync_files([each.temporary for each in received if each.temporary is not None])
                for each in received:
                    each.settle()
                sync_folders(list({folder for each in received for folder in each.folders}))
        except BaseException:
            for each in received:
                each.drop()
            raise

    def _chosen(self, data: bytes, given: str, format: str, source: Path | None) -> tuple[Keep, str, bytes | None]:
        """How it is kept, where, and the bytes to write there."""
        lies = None if source is None else str(source.absolute())
        if self.keep == "reference" and lies is not None and storable(lies) == lies:  # else the bytes are kept
            return "reference", lies, None
        small = self._reduce(data) if self.keep == "reduced" else None
        if small is not None:
            return "reduced", f"{given[:2]}/{given}.{sha256(small).hexdigest()[:16]}.jpg", small
        return "original", f"{given[:2]}/{given}.{_ENDINGS.get(format, 'bin')}", data

    def path_of(self, photo: PhotoRow) -> Path:
        return Path(photo.path) if photo.kept == "reference" else self.folder / photo.path

    def is_there(self, photo: PhotoRow) -> bool:
        return os.path.isfile(self.path_of(photo))  # noqa: PTH113 (Path's raises where a folder may not be entered)

    def looks_whole(self, photo: PhotoRow) -> bool:
        """Whether its file is there, and as long as it was; `verify` reads it.

        How long a reduced one was is not known: it has to end as a JPEG does. What may not be looked at is not there.
        """
        path = self.path_of(photo)
        try:
            if photo.kept == "reduced":
                return _ends(path)
            return path.is_file() and path.stat().st_size == photo.bytes
        except OSError:
            return False

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


def _ends(jpeg: Path) -> bool:
    """Whether its last bytes are there. (Nothing is written after the end mark: `reduce` made it.)"""
    with jpeg.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(JPEG_END)))
        return file.read() == JPEG_END


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
