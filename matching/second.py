"""A second opinion: the nearest sightings looked at again, point by point, and their scores blended with what was seen.

It works on neighbours, before they become individuals: of each photo's neighbours the best few individuals' best sightings are
compared by local features, and a neighbour's score becomes (1 - share) · cosine + share · strength, where strength is 0 for no
agreement and for a sighting that was not looked at. Ranking, fusion and decision then go on as always, with a calibration that
was fitted on such scores. `share` is the catalogue's own (`second_fit.py`); where a second look did not help it, share is 0 and
the order stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from encoder.values import LocalFeatures
from matching.agreement import Agreement, agree_each
from vector_db.port import Neighbour

MOST = 20  # sightings of the catalogue that a photo is compared with
OF_EACH = 2  # of one individual: its other photos mostly say the same again
HALF = 10  # points that agree by which strength is one half; unrelated photos reach 1 or 2

Seen = Mapping[tuple[int, int], Agreement]  # by (photo of the question, sighting)


def strength(inliers: int) -> float:
    """0 for none, 1 for ever so many. Below 1 throughout, so a blend of it is never taken for a photo and itself."""
    return inliers / (inliers + HALF)


def candidates(
    found: Sequence[Neighbour], owner: Mapping[int, int], most: int = MOST, of_each: int = OF_EACH
) -> tuple[int, ...]:
    """The sightings worth a second look, best first: at most `of_each` of an individual, `most` in all."""
    taken: dict[int, int] = {}
    chosen: list[int] = []
    for neighbour in sorted(found, key=lambda n: (-n.score, n.id)):
        individual = owner.get(neighbour.id)
        if individual is None or taken.get(individual, 0) >= of_each:
            continue
        taken[individual] = taken.get(individual, 0) + 1
        chosen.append(neighbour.id)
        if len(chosen) >= most:
            break
    return tuple(chosen)


def compare(
    photos: Sequence[LocalFeatures | None], look: Sequence[Sequence[int]], of: Mapping[int, LocalFeatures]
) -> dict[tuple[int, int], Agreement]:
    """Each photo with its sightings; one whose features cannot be had is left out."""
    seen: dict[tuple[int, int], Agreement] = {}
    for number, (photo, sightings) in enumerate(zip(photos, look, strict=True)):
        if photo is not None:
            there = [sighting for sighting in sightings if sighting in of]
            found = agree_each(photo, [of[sighting] for sighting in there])
            seen |= {(number, sighting): agreement for sighting, agreement in zip(there, found, strict=True)}
    return seen


def blend(found: Sequence[Neighbour], photo: int, seen: Seen, share: float) -> list[Neighbour]:
    """The same neighbours with the scores that both opinions give them together, best first."""
    both = []
    for neighbour in found:
        agreement = seen.get((photo, neighbour.id))
        more = strength(agreement.inliers) if agreement is not None else 0.0
        both.append(Neighbour(neighbour.id, (1 - share) * neighbour.score + share * more))
    return sorted(both, key=lambda n: (-n.score, n.id))
