"""Local features of an open catalogue's sightings: kept in the catalogue, made from the kept photo where they are not.

What is kept and cannot be read is made again. A sighting whose photo is gone, has changed or cannot be read has none: a second
opinion does without it, and `doctor` is what tells of lost photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from catalog.catalogue import Catalogue
from catalog.errors import PhotoStoreFailed
from catalog.photos import PhotoStore
from catalog.values import BoxXYWH, PhotoRow
from encoder.errors import FeaturesDamaged, PhotoRefused
from encoder.local import local_features, pack, unpack
from encoder.values import Box, Limits, LocalFeatures


@dataclass(frozen=True, slots=True)
class Looking:
    """What `matching` is handed as its `Looks`."""

    catalogue: Catalogue
    photos: PhotoStore
    limits: Limits
    streams: int = 1  # photos read at once

    def of_photo(self, data: bytes, box: Box | None = None) -> LocalFeatures:
        return local_features(data, box, limits=self.limits)

    def of_sightings(self, sighting_ids: Sequence[int]) -> dict[int, LocalFeatures]:
        found: dict[int, LocalFeatures] = {}
        for sighting, packed in self.catalogue.local_features(sighting_ids).items():
            try:
                found[sighting] = unpack(packed)
            except FeaturesDamaged:
                continue
        lacking = [sighting for sighting in sighting_ids if sighting not in found]
        if not lacking:
            return found
        made = self._made(lacking)
        if made:
            self.catalogue.put_local_features({sighting: pack(features) for sighting, features in made.items()})
        return found | made

    def _made(self, sighting_ids: Sequence[int]) -> dict[int, LocalFeatures]:
        lie = self.catalogue.photos_of(sighting_ids)
        with ThreadPoolExecutor(max(1, min(self.streams, len(lie)))) as pool:
            made = list(pool.map(lambda one: self._features(*one), lie.values()))
        return {sighting: features for sighting, features in zip(lie, made, strict=True) if features is not None}

    def _features(self, photo: PhotoRow, box: BoxXYWH | None) -> LocalFeatures | None:
        try:
            data = self.photos.read(photo)
            return local_features(data, Box(*box) if box else None, given=(photo.width, photo.height), limits=self.limits)
        except (PhotoStoreFailed, PhotoRefused):
            return None
