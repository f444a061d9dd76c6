"""Which photos exactly: a hash for each, and one for the whole, which travels in checkpoints and bundles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import DataRefused
from .rows import Table


@dataclass(frozen=True, slots=True)
class Manifest:
    photos: Mapping[str, str]  # path: sha256 of its bytes
    whole: str  # of all rows as they were read, each with its photo's hash

    def save(self, target: Path) -> None:
        target.write_text(json.dumps({"whole": self.whole, "photos": dict(self.photos)}, indent=1), "utf-8")

    @staticmethod
    def load(source: Path) -> Manifest:
        try:
            given = json.loads(source.read_text("utf-8"))
            return Manifest(given["photos"], given["whole"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataRefused(f"{source} is not a manifest ({error!r}). Write it again from the table.") from error

    def changed(self, other: Manifest) -> tuple[str, ...]:
        """Photos that are not the same in both, or in one only."""
        paths = sorted(self.photos.keys() | other.photos.keys())
        return tuple(path for path in paths if self.photos.get(path) != other.photos.get(path))


def make_manifest(table: Table, images: Path) -> Manifest:
    photos: dict[str, str] = {}
    for row in table.rows:
        if row.path not in photos:
            try:
                photos[row.path] = hashlib.sha256((images / row.path).read_bytes()).hexdigest()
            except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
                raise DataRefused(
                    f"{images / row.path}: {getattr(error, 'strerror', error)}. Run the validation; it lists all such rows."
                ) from error
    return Manifest(photos, whole_hash(table, photos))


def whole_hash(table: Table, photos: Mapping[str, str]) -> str:
    """Independent of the order of rows and of the folder they lie in."""
    digest = hashlib.sha256()
    lines = (
        json.dumps([r.path, photos[r.path], r.identity, r.species, r.encounter, r.viewpoint, str(r.date), str(r.box)])
        for r in table.rows
    )
    for line in sorted(lines):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
