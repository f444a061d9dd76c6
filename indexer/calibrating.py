"""The catalogue's own calibration, kept in the catalogue and fitted again when it has grown, shrunk or is asked otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from catalog.catalogue import Catalogue
from encoder.bundle import Bundle
from indexer.occasions import occasions
from matching.calibration import Calibration
from matching.errors import CalibrationRefused
from matching.fit import calibrate
from vector_db.port import VectorIndex


class Lessons:
    """The catalogue as a calibration reads it: one bundle's sightings and vectors."""

    def __init__(self, catalogue: Catalogue, bundle_id: str) -> None:
        self._catalogue, self._bundle_id = catalogue, bundle_id

    def enrolled(self) -> npt.NDArray[np.int64]:
        """With the occasion for the encounter: left out of the gallery is all that was taken with the photo that is asked."""
        return occasions(self._catalogue.enrolled(self._bundle_id))

    def vectors(self, sighting_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        # Some may have been deleted since `enrolled` was read: they serve this once more.
        blocks = self._catalogue.vectors(self._bundle_id, sighting_ids, deleted=True)
        of = {number: row for ids, matrix in blocks for number, row in zip(ids.tolist(), matrix, strict=True)}
        return np.stack([of[number] for number in sighting_ids])


def fresh_calibration(
    index: VectorIndex, catalogue: Catalogue, bundle: Bundle, known: Calibration | None, *, new_share: float
) -> Calibration:
    """`known`, or the one that was kept, as long as it fits the catalogue of today; else one that is fitted now, and kept."""
    known = known or _kept(catalogue, bundle.id)
    count = index.count()
    fits = known is not None and (known.source == "none" or known.new_share == new_share) and not known.is_stale(count)
    # A bundle's own ends with the first individual of a species that it was not measured on.
    if known is not None and fits and (known.source != "bundle" or not known.others(catalogue.species())):
        return known
    own = Calibration.from_json(bundle.calibration) if bundle.calibration is not None else None
    fitted = calibrate(index, Lessons(catalogue, bundle.id), bundle=own, new_share=new_share, species=catalogue.species())
    catalogue.put_calibration(bundle.id, sightings=count, fitted=fitted.to_json())
    return fitted


def _kept(catalogue: Catalogue, bundle_id: str) -> Calibration | None:
    row = catalogue.latest_calibration(bundle_id)
    try:
        return Calibration.from_json(row.fitted) if row is not None else None
    except CalibrationRefused:  # of another version: it is fitted again
        return None
