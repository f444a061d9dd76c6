"""Whether photos that have just been enrolled under a new name look like an animal that is known already.

The service asks before it enrols (`service/guard.py`), since whoever sends photos there may not see the catalogue. At the
command line a person has decided, so nothing is refused: it is told, with the merge that would set it right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.enrol import Enrolment
from indexer.station import Station
from matching.decision import decide
from matching.features import features
from matching.fusion import DEPTH, fuse
from matching.neighbours import gather
from matching.ranking import rank


@dataclass(frozen=True, slots=True)
class Alike:
    individual_id: int
    name: str
    probability: float  # that it is this one


def looks_like(station: Station, enrolment: Enrolment) -> Alike | None:
    """Whom they would have been called, had they been asked about; None of photos of a known name, and where it is nobody."""
    enrolled = [photo.sighting_id for photo in enrolment.photos if photo.state == "enrolled" and photo.sighting_id is not None]
    if not enrolment.created:
        return None
    station.follower.follow()
    blocks = station.catalogue.vectors(station.bundle_id, enrolled)
    vectors = [row for _, matrix in blocks for row in matrix]

    def owning(sighting_ids: Sequence[int]) -> dict[int, int]:
        return {sighting: owner.individual_id for sighting, owner in station.owning.owners(sighting_ids).items()}

    found, owner = gather(station.index, vectors, owning, want=DEPTH, leave_out=enrolled)
    rankings = [rank(each, owner) for each in found]
    fused = fuse(rankings)
    decision = decide(features(fused, rankings), station.calibration())
    if decision.kind != "known":
        return None
    known = station.catalogue.individual(fused[0].individual_id)
    return Alike(known.id, known.name, decision.probability)
