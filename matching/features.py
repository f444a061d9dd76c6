"""What a decision looks at: four numbers drawn from a fused ranking.

Each is the same however many candidates were asked for, so a trial and a question are measured alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from matching.ranking import Ranked

NEAREST = 5  # neighbours of each photo that are asked whether they agree
SEVERAL = 3  # photos at the most are asked with in trials, so more claim no more: nobody measured what they are worth


@dataclass(frozen=True, slots=True)
class Features:
    score: float  # fused score of the top candidate
    margin: float  # that, less the next individual's; 0 where there is none, which claims least
    agreement: float  # share of each photo's five nearest sightings that are the top candidate's, mean over photos
    photos: float  # log of how many photos were asked with, `SEVERAL` at the most

    def row(self) -> tuple[float, ...]:
        return self.score, self.margin, self.agreement, self.photos


NAMES = tuple(Features.__dataclass_fields__)


def features(fused: Sequence[Ranked], rankings: Sequence[Sequence[Ranked]]) -> Features | None:
    """None where there is no candidate at all."""
    if not fused:
        return None
    top = fused[0]
    margin = top.score - fused[1].score if len(fused) > 1 else 0.0
    agreeing, asked = 0, 0
    for ranking in rankings:
        nearest = sorted((-e.score, e.sighting_id, r.individual_id) for r in ranking for e in r.evidence[:NEAREST])[:NEAREST]
        agreeing += sum(individual == top.individual_id for _, _, individual in nearest)
        asked += len(nearest)
    return Features(top.score, margin, agreeing / asked, log(min(len(rankings), SEVERAL)))
