"""The bundles that a data folder can use: those in its folder `bundles/`, those that Flukeprint ships, and which is in use.

Adding is copying and removing is deleting. What has the same id makes the same vectors; only its figures and words may differ,
and the copy follows what is added last. Vectors that a bundle made stay in the catalogue until it is removed: going back to it
is then a matter of seconds. A copy that was damaged is named, mended by adding the sound original again, and can be removed.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.catalogue import Catalogue
from catalog.durable import sync_folders, sync_tree
from encoder import golden
from encoder.bundle import CONTRACT, Bundle, load_bundle
from encoder.encode import open_encoder
from encoder.errors import BundleRefused
from indexer.collection import drop
from indexer.errors import BundleNotUsed
from matching.calibration import Calibration
from matching.errors import CalibrationRefused
from settings import ROOT, Settings

SHIPPED = ROOT / "bundles"
_REST_OF_ID = r"-[^-]+-[0-9a-f]{8}"  # after the name: version and hash
IN_USE = "bundle"  # the catalogue's fact that names the bundle its vectors are of


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle that is there."""

    bundle: Bundle
    shipped: bool
    in_use: bool
    encoded: int  # live sightings that it has encoded

    def to_json(self) -> dict[str, Any]:
        given = self.bundle.as_json()
        del given["golden"]
        size = self.bundle.model.stat().st_size
        standing = {"in_use": self.in_use, "shipped": self.shipped, "encoded": self.encoded}
        return {"id": self.bundle.id, "model_bytes": size, **standing, **given}


@dataclass(frozen=True, slots=True)
class Added:
    bundle: Bundle
    replaced: str = ""  # what was wrong or other with the copy that was there


@dataclass(frozen=True, slots=True)
class Removed:
    id: str
    encoded: int  # vectors that went with it


def bundles_folder(settings: Settings) -> Path:
    return settings.data_dir / "bundles"


def held(settings: Settings, catalogue: Catalogue | None) -> list[Held]:
    """All sound ones, by id; `unsound` names the others."""
    in_use = catalogue.fact(IN_USE) if catalogue else None
    encoded = catalogue.counts().vectors if catalogue else {}
    found: dict[str, Held] = {}
    for room, shipped in ((SHIPPED, True), (bundles_folder(settings), False)):
        for bundle in _sound(room):
            found[bundle.id] = Held(bundle, shipped, bundle.id == in_use, encoded.get(bundle.id, 0))
    return [found[name] for name in sorted(found)]


def unsound(settings: Settings) -> dict[str, str]:
    """Folders in `bundles/` that are no sound bundle, and why."""
    return {folder.name: str(error) for folder, error in _loaded(bundles_folder(settings)) if isinstance(error, BundleRefused)}


def find(settings: Settings, catalogue: Catalogue | None, wanted: str) -> Held:
    """By id, or by a name that only one has."""
    known = held(settings, catalogue)
    found = [one for one in known if one.bundle.id == wanted] or [one for one in known if one.bundle.name == wanted]
    if len(found) != 1:
        damaged = {} if found else unsound(settings)
        for folder, reason in damaged.items():
            if folder == wanted or re.fullmatch(re.escape(wanted) + _REST_OF_ID, folder):
                raise BundleNotUsed(
                    f"{reason} To mend it, add the sound original: flukeprint bundles add FOLDER. "
                    f"Or: flukeprint bundles remove {folder}"
                )
        ids = ", ".join(one.bundle.id for one in found or known)
        raise BundleNotUsed(
            f"{'Several bundles are' if found else 'There is no bundle'} called {wanted!r}. "
            f"{'Say which' if found else 'There are'}: {ids}. One in a folder is added by: flukeprint bundles add FOLDER"
        )
    return found[0]


def add(settings: Settings, folder: Path) -> Added:
    """A copy in the data folder, under its id, once it was seen to work; again is fine, and mends or renews the copy."""
    bundle = load_bundle(folder)
    try:
        if bundle.calibration is not None:
            Calibration.from_json(bundle.calibration)
    except CalibrationRefused as error:
        raise BundleNotUsed(
            f"{bundle.folder / CONTRACT}: {error}, or write null where it has none. Nothing was added."
        ) from error
    if not bundle.golden:
        raise BundleNotUsed(
            f"{bundle.folder / CONTRACT} states no golden vectors, by which a model is seen to work. Export it again, as "
            "`flukeprint bundles make` does. Nothing was added."
        )
    with closing(open_encoder(folder, runtime=settings.runtime)) as encoder:  # a hash may be of anything
        off = encoder.golden_difference()
    if off > golden.WITHIN:
        raise BundleNotUsed(
            f"{bundle.folder} is off its golden vectors by {off:.2g} on {settings.runtime}: its model, or what {CONTRACT} "
            "says of input, mean and std, is not what it was exported with. Copy or export it again. Nothing was added."
        )
    return keep(settings, bundle)


def keep(settings: Settings, bundle: Bundle) -> Added:
    """The same of a bundle that works, as one that is open does."""
    own = bundles_folder(settings) / bundle.id
    replaced = _other(own, bundle)
    if not own.exists() or replaced:
        own.parent.mkdir(parents=True, exist_ok=True)
        copy = own.parent / f".coming-{secrets.token_hex(4)}"
        copy.mkdir()  # with the mode of any new folder: a service may run as somebody else
        try:
            for file in bundle.folder.iterdir():  # one by one: `copytree` does not say which it was that failed
                if file.is_file():
                    shutil.copy2(file, copy)
            sync_tree(copy)
            if own.exists():  # file by file, the contract last: who reads it meanwhile finds a whole one or is refused
                for file in sorted(copy.iterdir(), key=lambda file: file.name == CONTRACT):
                    file.replace(own / file.name)
                own.chmod(copy.stat().st_mode & 0o777)
                copy.rmdir()
            else:
                copy.rename(own)
            sync_folders([own, own.parent, own.parent.parent])
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
    return Added(load_bundle(own), replaced)


def _other(own: Path, bundle: Bundle) -> str:
    """How the copy that is there differs from the bundle; nothing where it does not, or where there is none."""
    if not own.exists():
        return ""
    try:
        kept, given = load_bundle(own).as_json(), bundle.as_json()
    except BundleRefused:
        return "a copy that was damaged"
    fields = [name for name in given if kept[name] != given[name]]
    return f"a copy with another {', '.join(fields)}" if fields else ""


def remove(settings: Settings, catalogue: Catalogue | None, wanted: str) -> Removed:
    """Its folders wherever they are in `bundles/`, its index, on a server too, and its vectors; never those of the bundle in
    use."""
    known = held(settings, catalogue)
    if wanted in unsound(settings) and all(wanted not in (one.bundle.id, one.bundle.name) for one in known):
        name = wanted
        encoded = catalogue.counts().vectors.get(name, 0) if catalogue else 0
    else:
        one = find(settings, catalogue, wanted)
        name, encoded = one.bundle.id, one.encoded
    if catalogue is not None and catalogue.fact(IN_USE) == name:
        raise BundleNotUsed(f"{name} is in use; use another first: flukeprint bundles use ID")
    folders = [
        folder
        for folder, bundle in _loaded(bundles_folder(settings))
        if (bundle.id if isinstance(bundle, Bundle) else folder.name) == name
    ]
    if not folders and not encoded:
        raise BundleNotUsed(f"{name} comes with Flukeprint: there is nothing of it in the data folder to remove.")
    if catalogue is not None:
        drop(settings, catalogue, name)  # first, since the server may not answer: then nothing is removed
        catalogue.forget_vectors(name)
    for left in (*folders, settings.data_dir / "index" / name):
        if left.is_symlink():  # what it leads to is not ours
            left.unlink()
        elif left.exists():
            shutil.rmtree(left)
    return Removed(name, encoded)


def figures(bundle: Bundle) -> dict[str, float]:
    """Every number that its metrics state, under its path: "closed.top1"."""
    return dict(_numbers(bundle.metrics, ""))


def _numbers(given: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{path}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path + name, value


def _sound(room: Path) -> Iterator[Bundle]:
    return (bundle for _, bundle in _loaded(room) if isinstance(bundle, Bundle))


def _loaded(room: Path) -> Iterator[tuple[Path, Bundle | BundleRefused]]:
    """Each folder with its bundle, or with what is wrong with it."""
    for folder in sorted(room.iterdir()) if room.is_dir() else []:
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                yield folder, load_bundle(folder)
            except BundleRefused as error:
                yield folder, error
