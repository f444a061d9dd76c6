"""The bundles that a data folder can use: those in its folder `bundles/`, those that Flukeprint ships, and which is in use.

A bundle is a folder that is written once and never changed, so adding is copying and removing is deleting. Vectors that a
bundle made stay in the catalogue until it is removed: going back to it is then a matter of seconds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.catalogue import Catalogue
from encoder.bundle import Bundle, load_bundle
from encoder.errors import BundleRefused
from indexer.errors import BundleNotUsed
from settings import ROOT, Settings

SHIPPED = ROOT / "bundles"
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


def bundles_folder(settings: Settings) -> Path:
    return settings.data_dir / "bundles"


def held(settings: Settings, catalogue: Catalogue | None) -> list[Held]:
    """All of them, by id. A folder that is no sound bundle is left out; `bundles add` says what is wrong with it."""
    in_use = catalogue.fact(IN_USE) if catalogue else None
    encoded = catalogue.counts().vectors if catalogue else {}
    found: dict[str, Held] = {}
    for room, shipped in ((SHIPPED, True), (bundles_folder(settings), False)):
        for bundle in _sound(room):
            found[bundle.id] = Held(bundle, shipped, bundle.id == in_use, encoded.get(bundle.id, 0))
    return [found[name] for name in sorted(found)]


def find(settings: Settings, catalogue: Catalogue | None, wanted: str) -> Held:
    """By id, or by a name that only one has."""
    known = held(settings, catalogue)
    found = [one for one in known if one.bundle.id == wanted] or [one for one in known if one.bundle.name == wanted]
    if len(found) != 1:
        ids = ", ".join(one.bundle.id for one in found or known)
        raise BundleNotUsed(
            f"{'Several bundles are' if found else 'There is no bundle'} called {wanted!r}. "
            f"{'Say which' if found else 'There are'}: {ids}. One in a folder is added by: flukeprint bundles add FOLDER"
        )
    return found[0]


def add(settings: Settings, folder: Path) -> Bundle:
    """A copy in the data folder, under its id; again is fine."""
    bundle = load_bundle(folder)
    own = bundles_folder(settings) / bundle.id
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(prefix=".coming-", dir=own.parent))
        try:
            for file in bundle.folder.iterdir():  # one by one: `copytree` does not say which it was that failed
                if file.is_file():
                    shutil.copy2(file, copy)
            copy.rename(own)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
    return load_bundle(own)


def remove(settings: Settings, catalogue: Catalogue | None, wanted: str) -> Held:
    """Its folder, its index, and the vectors that it made; never those of the bundle in use."""
    one = find(settings, catalogue, wanted)
    if one.in_use:
        raise BundleNotUsed(f"{one.bundle.id} is in use; use another first: flukeprint bundles use ID")
    if one.shipped and not one.encoded:
        raise BundleNotUsed(f"{one.bundle.id} comes with Flukeprint: there is nothing of it in the data folder to remove.")
    if catalogue is not None:
        catalogue.forget_vectors(one.bundle.id)
    for left in (bundles_folder(settings) / one.bundle.id, settings.data_dir / "index" / one.bundle.id):
        shutil.rmtree(left, ignore_errors=True)
    return one


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
    for folder in sorted(room.iterdir()) if room.is_dir() else []:
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                yield load_bundle(folder)
            except BundleRefused:
                continue
