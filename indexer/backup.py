"""The whole data folder as one file, and back: SQL, the bundle that made its vectors, and the photos.

A backup may be taken while others work: SQL gives a consistent copy, and photo files are never changed once written. It is a
plain tar with a manifest, so that it can be opened without Flukeprint. The index is not in it: it is made again
from the vectors in SQL, and answers as before. A restore makes a new data folder or none.

A folder that has lost photos, or whose bundle is damaged, is backed up all the same, since that is worth more than nothing;
what is flawed in it is told. A restore needs the bundle: a damaged one is replaced by the same that ships with Flukeprint, or
nothing is restored.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from catalog.catalogue import Catalogue
from catalog.durable import sync_folders, sync_tree
from catalog.open import open_catalogue
from catalog.photos import INCOMING
from encoder.bundle import load_bundle
from encoder.errors import BundleRefused
from indexer import registry
from indexer.collection import IDENTITY
from indexer.errors import BackupRefused
from indexer.lost import PHOTOS_LEFT_OUT, left_out, lost
from indexer.registry import IN_USE, bundles_folder
from indexer.station import open_books, photo_store
from settings import Settings

FORMAT = 1
MANIFEST = "flukeprint.json"
CATALOGUE = "catalogue.db"
ROOMS = ("bundles", "photos")
CHUNK = 1 << 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    format: int
    made: str
    photos: bool  # whether they are in the file
    files: int  # below bundles/ and photos/
    sizes: int  # of these, in bytes: a file that was cut short is noticed
    catalogue_sha256: str


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A file that is written, and what is flawed in it because it is flawed in the data folder."""

    manifest: Manifest
    missing: tuple[str, ...] = ()  # names of photos that are gone or cut short
    left_out: int = 0  # photos that the catalogue was restored without, and that are in no file of its since
    bundle_flaw: str | None = None


def back_up(settings: Settings, file: Path, *, photos: bool = True, on_progress: Progress | None = None) -> BackedUp:
    """Write `file`, whole or not at all; an existing one is not overwritten."""
    if file.exists():
        raise BackupRefused(f"{file} exists already: choose another name, or remove it first.")
    with (
        _refusing(f"the backup {file} cannot be written"),
        open_books(settings) as catalogue,
        tempfile.TemporaryDirectory(dir=file.absolute().parent) as scratch,
    ):
        # Before the copy: whatever is enrolled from here on has its photo.
        missing = _missing(settings, catalogue) if photos else ()
        done_without = _left_out(settings, catalogue) if photos else 0
        bundle_flaw = _bundle_flaw(settings, catalogue)
        copy = Path(scratch) / CATALOGUE
        catalogue.snapshot(copy)
        rooms = [room for room in ROOMS if photos or room != "photos"]
        members = [path for room in rooms for path in _files_below(settings.data_dir / room)]
        manifest = Manifest(
            format=FORMAT,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            photos=photos,
            files=len(members),
            sizes=sum(path.stat().st_size for path in members),
            catalogue_sha256=_sha256(copy),
        )
        whole = Path(scratch) / "backup.tar"
        with tarfile.open(whole, "w", dereference=True) as tar:
            _add_bytes(tar, MANIFEST, json.dumps(asdict(manifest), indent=2).encode())
            tar.add(copy, CATALOGUE)
            for done, path in enumerate(members, start=1):
                tar.add(path, path.relative_to(settings.data_dir).as_posix())
                if on_progress is not None:
                    on_progress(done, len(members))
        with whole.open("rb") as written:
            os.fsync(written.fileno())
        whole.rename(file)
    return BackedUp(manifest, missing, done_without, bundle_flaw)


def _missing(settings: Settings, catalogue: Catalogue) -> tuple[str, ...]:
    """Those kept by reference are not in a backup anyway."""
    return tuple(photo.name for photo in lost(photo_store(settings), catalogue) if photo.kept != "reference")


def _left_out(settings: Settings, catalogue: Catalogue) -> int:
    if catalogue.fact(PHOTOS_LEFT_OUT) is None:
        return 0
    store, done_without = photo_store(settings), left_out(catalogue)
    return sum(photo.kept != "reference" and not store.is_there(photo) and done_without(photo) for photo in catalogue.photos())


def _bundle_flaw(settings: Settings, catalogue: Catalogue) -> str | None:
    in_use = catalogue.fact(IN_USE)
    if in_use is None:
        return None
    folder = bundles_folder(settings) / in_use
    try:
        found = load_bundle(folder).id
    except BundleRefused as error:
        return str(error)
    return None if found == in_use else f"{folder} holds the bundle {found}. Copy the bundle again."


def restore(settings: Settings, file: Path, *, on_progress: Progress | None = None) -> Manifest:
    """Make the data folder from `file`; it must not hold anything yet."""
    folder = settings.data_dir
    if settings.database_url is not None:
        raise BackupRefused("FLUKEPRINT_DATABASE_URL is set, and a backup restores only into a data folder: unset it.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(f"{folder} holds something already: restore into a new folder, with --data-dir.")
    if not os.path.isfile(file):  # noqa: PTH113 (which does not raise, as Path's does)
        raise BackupRefused(f"{file}: there is no such file to restore from. Check the path.")
    with _refusing(f"{file} cannot be restored into {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Within a folder that is there: it may be a link, a disk of its own, or where somebody stands.
        coming = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder if folder.exists() else folder.parent))
        try:
            manifest = _unpack(file, coming, on_progress)
            with open_catalogue(coming / CATALOGUE, create=False) as catalogue:
                _mend_bundle(settings.model_copy(update={"data_dir": coming}), catalogue, file)
                catalogue.set_fact(IDENTITY, None)  # on a Qdrant server it is another than the one that was backed up
                if not manifest.photos:  # else it knows itself whether they were left out once before
                    catalogue.set_fact(PHOTOS_LEFT_OUT, str(catalogue.last_sighting_id()))
            sync_tree(coming)
            if coming.parent == folder:
                # The catalogue last: what it names has to be there, whenever this is killed.
                for entry in sorted(coming.iterdir(), key=lambda entry: entry.name.startswith(CATALOGUE)):
                    entry.rename(folder / entry.name)
                coming.rmdir()
            else:
                coming.rename(folder)
            sync_folders([folder, folder.parent])
        except BaseException:
            shutil.rmtree(coming, ignore_errors=True)
            raise
    return manifest


def _mend_bundle(settings: Settings, catalogue: Catalogue, file: Path) -> None:
    flaw, in_use = _bundle_flaw(settings, catalogue), catalogue.fact(IN_USE)
    if flaw is None:
        return
    sound = next((one.bundle for one in registry.held(settings, None) if one.bundle.id == in_use), None)
    if sound is None:
        raise BackupRefused(
            f"The bundle {in_use} in {file} is damaged, nothing can be compared without it, and Flukeprint has no other copy: "
            "nothing was restored. If you have a sound original, unpack the file by hand, since it is a plain tar "
            "(tar -xf FILE -C FOLDER), and then: flukeprint bundles add ORIGINAL --data-dir FOLDER"
        )
    registry.keep(settings, sound)


def _unpack(file: Path, into: Path, on_progress: Progress | None) -> Manifest:
    with tarfile.open(file, "r:") as tar:
        first = tar.next()
        if first is None or first.name != MANIFEST:
            raise BackupRefused(f"{file} is no backup of Flukeprint: its first member is not {MANIFEST}.")
        manifest = _read_manifest(file, _bytes_of(tar, first))
        files = sizes = 0
        while (member := tar.next()) is not None:
            path = PurePosixPath(member.name)
            ours = member.name == CATALOGUE or path.parts[:1] in [(room,) for room in ROOMS]
            if not member.isfile() or ".." in path.parts or not ours:
                raise BackupRefused(f"{file} holds {member.name!r}, which no backup of ours does: it was not restored.")
            tar.extract(member, into, filter="data")
            if member.name != CATALOGUE:
                files, sizes = files + 1, sizes + member.size
                if on_progress is not None:
                    on_progress(files, manifest.files)
    if (files, sizes) != (manifest.files, manifest.sizes) or not (into / CATALOGUE).exists():
        raise BackupRefused(
            f"{file} is cut short: it should hold {manifest.files} files of {manifest.sizes} bytes, and holds {files} of "
            f"{sizes}. Copy it again from where it was written."
        )
    if _sha256(into / CATALOGUE) != manifest.catalogue_sha256:
        raise BackupRefused(f"the catalogue in {file} is not the one that was written: copy the file again from its source.")
    return manifest


def _read_manifest(file: Path, raw: bytes) -> Manifest:
    try:
        given = json.loads(raw)
        if given["format"] > FORMAT:
            raise BackupRefused(f"{file} was written by a newer Flukeprint (format {given['format']}): update this one first.")
        return Manifest(**given)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupRefused(f"{file} has a manifest that cannot be read: {error}.") from error


def _files_below(folder: Path) -> Iterator[Path]:
    """Finished files only: what is being written lies in the photos' folder for it, or has a name that begins with a dot."""
    there = sorted(Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names)
    return (path for path in there if path.is_file() and not _unfinished(path.relative_to(folder)))


def _unfinished(path: Path) -> bool:
    return path.parts[0] == INCOMING or any(part.startswith(".") for part in path.parts)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _bytes_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = tar.extractfile(member)
    return found.read(CHUNK) if found is not None else b""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise BackupRefused(
            f"{what}: it is no whole backup file ({error}). Copy it again from where it was written."
        ) from error
    except OSError as error:
        raise BackupRefused(
            f"{what}: {error.strerror or error}. Look at the path, at who may write there, and at the space that is left."
        ) from error
