"""What the story of an identification is handed: small Protocols, each with its real implementation elsewhere.

`vector_db.port.VectorIndex` is the index, `encoder.encode.Encoder` the encoder, `catalog.catalogue.Catalogue` the
catalogue; this room names only what it needs of them. `Teaches` is the catalogue as a calibration reads it, bound to the
bundle whose vectors the index holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from catalog.values import Owner
from encoder.values import Box, Encoded, LocalFeatures
from vector_db.port import NO_FILTER, Filter, Neighbour, Point, Vector


class Encodes(Protocol):
    @property
    def bundle_id(self) -> str: ...

    def encode(self, data: bytes, box: Box | None = None) -> Encoded: ...


class Searches(Protocol):
    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]: ...


class Holds(Searches, Protocol):
    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        """Those among `ids` that exist."""


class Knows(Protocol):
    def owners(self, sighting_ids: Sequence[int]) -> Mapping[int, Owner]:
        """The live ones among them; a tombstone is left out."""


class Looks(Protocol):
    """Local features, for a second opinion."""

    def of_photo(self, data: bytes, box: Box | None = None) -> LocalFeatures:
        """Of a question's photo, which the encoder has taken already."""

    def of_sightings(self, sighting_ids: Sequence[int]) -> Mapping[int, LocalFeatures]:
        """Of sightings; one whose photo is gone or cannot be read is left out."""


class Teaches(Protocol):
    def enrolled(self) -> npt.NDArray[np.int64]:
        """(n, 3): sighting, individual, occasion of every live sighting with a vector of the bundle, in any order."""

    def vectors(self, sighting_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """(len(sighting_ids), dim), unit norm, in the order asked, which is of ids that `enrolled` gave.

        A row of zeros stands for a sighting that was deleted in between.
        """
