"""What serving would say of a query, measured: `matching`'s own calibration on the gallery as if it were a catalogue.

So the calibration error that is reported is that of the answers that a person would see, not of a formula of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from matching.calibration import Calibration
from matching.features import features
from matching.fit import calibrate
from matching.fusion import DEPTH
from matching.neighbours import gather
from matching.ranking import rank
from vector_db.port import NO_FILTER, Filter, Neighbour, Vector

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class ExactIndex:
    """Vectors by row, searched exactly: what `matching` asks of an index, and of a catalogue to learn from."""

    def __init__(self, vectors: Floats, individual: Sequence[int], encounter: Sequence[int]) -> None:
        self._vectors = vectors
        self._enrolled = np.column_stack([np.arange(len(vectors)), individual, encounter]).astype(np.int64)

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:  # noqa: ARG002
        scores = self._vectors @ vector
        best = np.argpartition(-scores, top - 1)[:top] if top < len(scores) else np.arange(len(scores))
        return [Neighbour(int(i), float(scores[i])) for i in best[np.argsort(-scores[best], kind="stable")]]

    def enrolled(self) -> npt.NDArray[np.int64]:
        return self._enrolled

    def vectors(self, sighting_ids: Sequence[int]) -> Floats:
        return self._vectors[list(sighting_ids)]

    def owners(self, sighting_ids: Sequence[int]) -> Mapping[int, int]:
        return {i: int(self._enrolled[i, 1]) for i in sighting_ids}


@dataclass(frozen=True, slots=True)
class Said:
    """Of each query: the probability that its best candidate is the animal."""

    probability: npt.NDArray[np.float64]
    source: str  # what the calibration was fitted on
    reason: str


def said(
    index: ExactIndex,
    queries: Floats,
    left_out: Callable[[int], Ints],
    learnt_from: Sequence[ExactIndex],
    fold: Ints,
    *,
    shipped: Calibration | None = None,
    species: Iterable[str] = (),
) -> Said:
    """`left_out` names the photos that a query must not find, such as those of its own encounter. `fold` says of each query
    which catalogue of `learnt_from` its calibration is fitted on: one that the query itself is not in. Where that is too small,
    the one `shipped` with the bundle answers, as when it serves, unless there are `species` that it was not measured on."""
    calibrations = [calibrate(one, one, bundle=shipped, species=species) for one in learnt_from]
    made = np.zeros(len(queries))
    for row, vector in enumerate(queries):
        found, owner = gather(index, [vector], index.owners, want=DEPTH + 1, leave_out=left_out(row).tolist())
        ranking = rank(found[0], owner)
        seen, calibration = features(ranking, [ranking]), calibrations[fold[row]]
        made[row] = calibration.chances(calibration.confidence(seen))[0] if seen is not None else 0.0
    return Said(made, calibrations[0].source, calibrations[0].reason)
