"""Several photos of one encounter, one ranking.

An individual's score is the mean over the photos of its best cosine in each, no photo counting for less than that photo's
tenth-best individual: a bad photo, in which the right animal comes fortieth, then says "not that one" and not "anything
but that one", and an individual that a photo's search did not reach gets no less than one that it did reach late. Individuals
in no photo's first ten follow after, by the plain mean; they are there to be listed. So the ranks that decide do not depend
on how wide a search went. One photo fused is that photo's own ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from matching.ranking import Evidence, Ranked

DEPTH = 10  # individuals that a photo's search must see, and that set its floor


def fuse(rankings: Sequence[Sequence[Ranked]]) -> tuple[Ranked, ...]:
    """One ranking from one a photo; a photo without any neighbour says nothing and is left out of the mean."""
    spoke = [ranking for ranking in rankings if ranking]
    if len(spoke) == 1:
        return tuple(spoke[0])
    best = [{ranked.individual_id: ranked.score for ranked in ranking} for ranking in spoke]
    floors = [ranking[min(DEPTH, len(ranking)) - 1].score for ranking in spoke]
    lowest = [ranking[-1].score for ranking in spoke]
    head = {ranked.individual_id for ranking in spoke for ranked in ranking[:DEPTH]}
    evidence: dict[int, list[Evidence]] = {}
    for ranking in spoke:
        for ranked in ranking:
            evidence.setdefault(ranked.individual_id, []).extend(ranked.evidence)
    fused = []
    for individual, found in evidence.items():
        if individual in head:
            scores = [max(seen.get(individual, floor), floor) for seen, floor in zip(best, floors, strict=True)]
        else:
            scores = [seen.get(individual, low) for seen, low in zip(best, lowest, strict=True)]
        found.sort(key=lambda e: (-e.score, e.sighting_id, e.photo))
        fused.append(Ranked(individual, fsum(scores) / len(scores), tuple(found)))
    return tuple(sorted(fused, key=lambda r: (-r.score, r.individual_id)))
