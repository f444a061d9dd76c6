from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from catalog import photos
from catalog.errors import PhotoStoreFailed
from catalog.photos import Incoming, Keep, PhotoStore, Reduce
from catalog.values import PhotoRow
from encoder.reduced import reduced


def picture(width: int = 640, height: int = 480, seed: int = 0) -> bytes:
    """A JPEG with some structure, dark at the left and light at the right."""
    noise = np.random.default_rng(seed).integers(0, 40, (height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 200, width, dtype=np.uint8)[None, :, None]
    done, data = cv2.imencode(".jpg", noise + ramp)
    assert done
    return data.tobytes()


def to(long_side: int) -> Reduce:
    return lambda data: reduced(data, long_side)


def put(store: PhotoStore, data: bytes, name: str = "IMG_1.jpg", **more: Any) -> PhotoRow:
    return store.put(data, sha256=sha256(data).hexdigest(), name=name, format="jpeg", width=640, height=480, **more)


def receive(store: PhotoStore, data: bytes) -> Incoming:
    return store.receive(data, sha256=sha256(data).hexdigest(), name="a.jpg", format="jpeg", width=640, height=480)


def files(store: PhotoStore) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def test_an_original_is_kept_byte_for_byte_under_its_hash(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path), picture()
    digest = sha256(data).hexdigest()
    row = put(store, data, creator="Ada")
    assert row == PhotoRow(digest, "original", f"{digest[:2]}/{digest}.jpg", "IMG_1.jpg", "jpeg", len(data), 640, 480, "Ada")
    assert store.path_of(row).read_bytes() == store.read(row) == data
    with store.open(row) as file:
        assert file.read() == data
    store.verify(row)
    assert files(store) == [row.path]


def test_putting_a_photo_again_changes_nothing(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path), picture()
    row = put(store, data)
    before = store.path_of(row).stat().st_mtime_ns
    assert put(store, data) == put(PhotoStore(tmp_path), data) == row
    assert store.path_of(row).stat().st_mtime_ns == before
    assert files(store) == [row.path]


@pytest.mark.parametrize("harm", [lambda data: data[:100], lambda data: data[:-1] + b"!"])
def test_a_damaged_file_is_written_anew(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    store, data = PhotoStore(tmp_path), picture()
    row = put(store, data)
    store.path_of(row).write_bytes(harm(data))
    put(store, data)
    assert store.read(row) == data


def test_the_ending_says_the_format_and_a_strange_one_is_bin(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    for number, (format, ending) in enumerate([("tiff", "tif"), ("webp", "webp"), ("heif", "bin")]):
        data = bytes([number]) * 10
        row = store.put(data, sha256=sha256(data).hexdigest(), name="x", format=format, width=1, height=1)
        assert row.path.endswith(f".{ending}")


def test_received_photos_have_their_names_when_they_are_settled(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    pictures = [picture(seed=i) for i in range(20)]
    received = [receive(store, data) for data in [*pictures, pictures[0]]]
    rows = [each.row for each in received]
    assert not any(store.path_of(row).exists() for row in rows)
    store.settle(received)
    assert [store.read(row) for row in rows] == [*pictures, pictures[0]]
    assert files(store) == sorted({row.path for row in rows})
    for each in received:
        each.drop()  # of no effect any more
    assert store.read(rows[0]) == pictures[0]


def test_a_received_photo_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    incoming = receive(store, picture())
    assert len(files(store)) == 1
    incoming.drop()
    assert files(store) == []


def test_bytes_are_synced_before_they_get_their_name_and_names_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PhotoStore(tmp_path)
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_sync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "bytes")
        fsync(handle)

    def spy_replace(path: Path, target: Path) -> Path:
        done.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", spy_sync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    row = put(store, picture())
    assert done == ["bytes", "name", "folder", "folder"]  # the new folder, and the one it is in
    done.clear()
    put(store, picture())
    assert done == ["folder"]  # whoever wrote it may have died before its own sync
    assert store.path_of(row).exists()


def test_threads_may_put_the_same_photos_at_once(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    pictures = [picture(seed=i) for i in range(4)] * 8
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda data: put(store, data), pictures))
    for row, data in zip(rows, pictures, strict=True):
        assert store.read(row) == data
    assert len(files(store)) == 4


def test_old_leftovers_are_swept_and_young_ones_left(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    old, young = (store.folder / photos.INCOMING / name for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half a photo")
    os.utime(old, (time.time() - 2 * photos.OLD_S,) * 2)
    PhotoStore(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_what_a_living_process_receives_is_not_swept_however_long_it_slept(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path), picture()
    incoming = receive(store, data)
    assert incoming.temporary is not None
    os.utime(incoming.temporary, (time.time() - 2 * photos.OLD_S,) * 2)
    PhotoStore(tmp_path)
    store.settle([incoming])
    assert store.read(incoming.row) == data
    left = store.folder / photos.INCOMING / "old"
    left.write_bytes(b"half a photo")
    os.utime(left, (time.time() - 2 * photos.OLD_S,) * 2)
    del store
    PhotoStore(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("tail", [b"", bytes(100)])
def test_a_reduced_photo_that_was_cut_short_does_not_look_whole(tmp_path: Path, share: float, tail: bytes) -> None:
    store = PhotoStore(tmp_path, "reduced", to(200))
    row = put(store, picture())
    assert store.looks_whole(row)
    data = store.path_of(row).read_bytes()
    store.path_of(row).write_bytes(data[: int(len(data) * share)] + tail)
    assert not store.looks_whole(row)


def test_a_path_that_may_not_be_looked_at_is_not_there(tmp_path: Path) -> None:
    store, barred = PhotoStore(tmp_path), "/" + "x" * 5000  # as a folder is that may not be entered: root enters all
    row = PhotoRow("ab" * 32, "reference", barred, "IMG_1.jpg", "jpeg", 9, 640, 480)
    assert not store.is_there(row)
    assert not store.looks_whole(row)


def test_a_reduced_photo_has_the_stated_long_side(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path, "reduced", to(200)), picture(640, 480)
    row = put(store, data)
    assert row.kept == "reduced"
    assert (row.bytes, row.width, row.height) == (len(data), 640, 480)  # of the photo as it was given
    small = cv2.imdecode(np.frombuffer(store.read(row), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (150, 200, 3)
    assert small[:, -40:].mean() - small[:, :40].mean() > 100
    store.verify(row)
    assert put(store, data) == row
    assert files(store) == [row.path]


def test_a_photo_that_is_small_already_or_not_read_here_is_kept_as_it_is(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path, "reduced", to(640))
    for data in (picture(640, 480), b"an image of a kind that is not read here"):
        row = put(store, data)
        assert row.kept == "original"
        assert store.read(row) == data


def test_a_photo_by_reference_is_read_from_where_it_lies(tmp_path: Path) -> None:
    store, data = PhotoStore(tmp_path / "photos", "reference"), picture()
    source = tmp_path / "card" / "IMG_1.jpg"
    source.parent.mkdir()
    source.write_bytes(data)
    row = put(store, data, source=source)
    assert (row.kept, row.path) == ("reference", str(source))
    assert store.read(row) == data
    assert files(store) == []
    source.write_bytes(data + b"edited")
    for look in (store.read, store.verify):
        with pytest.raises(
            PhotoStoreFailed, match=r"IMG_1\.jpg at .*card/IMG_1\.jpg has changed since it was enrolled; put the"
        ):
            look(row)
    source.unlink()
    for look in (store.read, store.verify):
        with pytest.raises(PhotoStoreFailed, match=r"IMG_1\.jpg is no longer at .*card/IMG_1\.jpg, where it was enrolled from"):
            look(row)


@pytest.mark.parametrize("source", [None, Path("/card/IMG\udcff.jpg")])
def test_a_photo_that_no_path_leads_to_is_kept_although_references_are_asked_for(tmp_path: Path, source: Path | None) -> None:
    store, data = PhotoStore(tmp_path, "reference"), picture()
    row = put(store, data, source=source)
    assert row.kept == "original"
    assert store.read(row) == data


@pytest.mark.parametrize("keep", ["original", "reduced"])
def test_a_damaged_or_missing_file_is_told(tmp_path: Path, keep: Keep) -> None:
    store = PhotoStore(tmp_path, keep, to(200))
    row = put(store, picture())
    data = bytearray(store.path_of(row).read_bytes())
    data[len(data) // 2] ^= 1
    store.path_of(row).write_bytes(bytes(data))
    for look in (store.read, store.verify):
        with pytest.raises(PhotoStoreFailed, match=r"The photo IMG_1\.jpg is damaged: .* is not what its name says"):
            look(row)
    store.path_of(row).unlink()
    with pytest.raises(PhotoStoreFailed, match=r"The photo IMG_1\.jpg is missing: there is no .*Restore it from a backup"):
        store.read(row)
    store.path_of(row).mkdir()
    with pytest.raises(PhotoStoreFailed, match="cannot be read: Is a directory"):
        store.read(row)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "No space is left for the photo file"),
        (errno.EROFS, "is read-only for this user"),
        (errno.EIO, "cannot be written: Input/output error"),
    ],
)
def test_a_disk_that_refuses_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    store = PhotoStore(tmp_path)

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(PhotoStoreFailed, match=says):
            put(store, picture())
    assert files(store) == []
    put(store, picture())


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("")
    with pytest.raises(PhotoStoreFailed, match=r"photos cannot be made: "):
        PhotoStore(tmp_path / "photos")
