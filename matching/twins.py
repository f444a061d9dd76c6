"""An animal that stands in the catalogue under two names, as where two people have enrolled it.

Its photos resemble both alike: the margin is nothing, half of the nearest sightings are another's, and by that alone the
animal would be called new, which invites a third name. So what is not called known is looked at once more. Two questions have
to say "known" by the same calibration: the photos', with the first two individuals taken as one, and that of the best
sighting of one of the two, with its own individual taken out, about the other. The first alone would join what merely stands
close together.
"""

from __future__ import annotations

from collections.abc import Sequence

from matching.calibration import Calibration
from matching.decision import Decision, decide
from matching.features import NEAREST, features
from matching.fusion import DEPTH, fuse
from matching.neighbours import Owning, gather
from matching.ports import Holds
from matching.ranking import Ranked, rank
from vector_db.port import Filter

AROUND = 4  # individuals, the two among them


def known_as_two(
    rankings: Sequence[Sequence[Ranked]], calibration: Calibration, plain: Calibration, index: Holds, owning: Owning
) -> Decision | None:
    """What would be said if the first two individuals were one; None where that is not "known", or they are not alike.

    By the usual operating point, whatever was asked for: so a stricter one changes no "new" into something else. `plain` is the
    calibration of cosines, where `calibration` is of scores that a second opinion has had its part in.
    """
    fused = fuse(rankings)
    if len(fused) < 2:
        return None
    pair = [ranked.individual_id for ranked in fused[:2]]
    joined = [_joined(ranking, pair) for ranking in rankings]
    both = decide(features(fuse(joined), joined), calibration)
    return both if both.kind == "known" and _are_alike(fused, plain, index, owning) else None


def doubted(decision: Decision, both: Decision | None) -> Decision:
    """Not "new" where the animal is known as one of two: then it is unsure which, and each is as likely as the other."""
    if decision.kind != "new" or both is None:
        return decision
    each = both.right / 2
    return Decision("unsure", each, each, both.new, tied=True)


def _joined(ranking: Sequence[Ranked], pair: Sequence[int]) -> tuple[Ranked, ...]:
    """One photo's ranking in which the two are the first of them."""
    found = [evidence for ranked in ranking if ranked.individual_id in pair for evidence in ranked.evidence]
    if not found:
        return tuple(ranking)
    found.sort(key=lambda e: (-e.score, e.sighting_id))
    rest = [ranked for ranked in ranking if ranked.individual_id not in pair]
    return tuple(sorted([Ranked(pair[0], found[0].score, tuple(found)), *rest], key=lambda r: (-r.score, r.individual_id)))


def _are_alike(fused: Sequence[Ranked], calibration: Calibration, index: Holds, owning: Owning) -> bool:
    """Whether a sighting of one of the first two would be known as the other: among what resembles the photo too, which is
    soon seen and seldom so, and then among all.
    """
    around = {e.sighting_id: ranked.individual_id for ranked in fused[:AROUND] for e in ranked.evidence[:NEAREST]}
    vectors = {point.id: point.vector for point in index.points([ranked.evidence[0].sighting_id for ranked in fused[:2]])}
    for own, sought in (fused[:2], fused[1::-1]):
        vector = vectors.get(own.evidence[0].sighting_id)
        if vector is None:
            continue

        def others(ids: Sequence[int], own: int = own.individual_id) -> dict[int, int]:
            return {sighting: whose for sighting, whose in owning(ids).items() if whose != own}

        near = frozenset(sighting for sighting, whose in around.items() if whose != own.individual_id)
        if _is_known(rank(index.search(vector, len(near), Filter(among=near), exact=True), around), sought, calibration):
            (found,), owner = gather(index, [vector], others, want=DEPTH + 1)
            if _is_known(rank(found, owner), sought, calibration):
                return True
    return False


def _is_known(ranking: Sequence[Ranked], sought: Ranked, calibration: Calibration) -> bool:
    known = decide(features(ranking, [ranking]), calibration).kind == "known"
    return known and ranking[0].individual_id == sought.individual_id
