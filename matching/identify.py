"""The whole story once: photos → vectors → neighbours → individuals → decision, on the parts it is handed.

With a second opinion (`second.py`) the neighbours are looked at again by local features before they become individuals.

Several photos are one encounter and get one answer. A photo that is refused is reported in the answer while another can be
used; where none can, the first refusal is raised. Photos are encoded one after the other: a runtime that has threads uses
them, and a service has other questions for its idle cores. Nothing is written here: keeping the answer is the caller's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.values import Owner
from encoder.errors import PhotoRefused
from encoder.values import Box, Encoded, LocalFeatures
from matching.agreement import Agreement
from matching.answer import (
    Answer,
    Candidate,
    Elsewhere,
    Grounds,
    Matched,
    PhotoAnswer,
    PhotoCandidate,
    Proof,
    SecondGrounds,
    Timings,
)
from matching.calibration import Calibration
from matching.decision import MAX_FALSE_MATCH, SAME_PHOTO, Decision, decide, expected, share_out
from matching.errors import QuestionRefused
from matching.features import features
from matching.fusion import DEPTH, fuse
from matching.neighbours import gather
from matching.opinion import Opinion
from matching.ports import Encodes, Holds, Knows, Looks
from matching.ranking import Ranked, rank
from matching.second import blend, candidates, compare
from matching.twins import doubted, known_as_two
from vector_db.port import NO_FILTER, Filter, Neighbour, Point, Vector

MOST_CANDIDATES = 100
PROOFS = 5  # a candidate's sightings that an answer shows


@dataclass(frozen=True, slots=True)
class QueryPhoto:
    name: str
    data: bytes | PhotoRefused  # its bytes, or why they could not be read
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Options:
    top: int = 5
    where: Filter = NO_FILTER
    max_false_match: float = MAX_FALSE_MATCH
    alike: bool = False  # whether it is looked at, too, if who is unsure is one of two that are alike: for who may enrol them

    def __post_init__(self) -> None:
        if not 1 <= self.top <= MOST_CANDIDATES:
            raise QuestionRefused(f"{self.top} candidates were asked for; ask for 1 to {MOST_CANDIDATES}")
        if not 0 <= self.max_false_match <= 1:
            raise QuestionRefused(f"a share of false matches of {self.max_false_match} was given; it lies between 0 and 1")


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Second:
    """A second opinion as it is handed in: where local features come from, and what the catalogue knows it to be worth."""

    looks: Looks
    opinion: Opinion


@dataclass(frozen=True, slots=True)
class _Looked:
    """The neighbours after a second look, and what it saw."""

    found: Sequence[Sequence[Neighbour]]
    photos: Mapping[int, LocalFeatures]  # by number in the question
    sightings: Mapping[int, LocalFeatures]
    seen: Mapping[tuple[int, int], Agreement]  # by number in the question and sighting
    cosine: Mapping[tuple[int, int], float]
    whole: bool  # every photo and every sighting chosen for it could be looked at: else what is gone would count as unlike

    def matched(self, photo: int, sighting: int) -> Matched | None:
        agreement = self.seen.get((photo, sighting))
        if agreement is None:
            return None
        ours = self.photos[photo].in_photo(agreement.first).round(1).tolist()
        theirs = self.sightings[sighting].in_photo(agreement.second).round(1).tolist()
        points = tuple(((a[0], a[1]), (b[0], b[1])) for a, b in zip(ours, theirs, strict=True))
        return Matched(agreement.inliers, self.cosine[photo, sighting], points)


def identify(
    photos: Sequence[QueryPhoto],
    *,
    encoder: Encodes,
    index: Holds,
    catalogue: Knows,
    calibration: Calibration,
    options: Options = DEFAULTS,
    second: Second | None = None,
) -> Answer:
    """Which animal is on these photos of one encounter, how sure, or is it new?

    With `second`, what a second look saw is told, and followed where the catalogue's opinion says that it is worth it.
    """
    if not photos:
        raise QuestionRefused("no photo was given; give at least one")
    looks = [_encode(photo, encoder) for photo in photos]
    seen = [look for look in looks if isinstance(look, Encoded)]
    if not seen:
        raise next(look for look in looks if isinstance(look, PhotoRefused))
    begun = time.perf_counter()
    clocked = _Clocked(index)
    owners: dict[int, Owner] = {}

    def owning(sighting_ids: Sequence[int]) -> dict[int, int]:
        live = catalogue.owners(sighting_ids)
        owners.update(live)
        return {sighting: owner.individual_id for sighting, owner in live.items()}

    vectors = [look.vector for look in seen]
    found, individual_of = gather(clocked, vectors, owning, want=max(DEPTH, options.top), where=options.where)
    numbers = [number for number, look in enumerate(looks) if isinstance(look, Encoded)]
    looked, second_s = None, 0.0
    plain = calibration
    if second is not None and not _is_kept(found):
        began = time.perf_counter()
        looked = _look_again([photos[number] for number in numbers], numbers, found, individual_of, second)
        second_s = time.perf_counter() - began
        found = [list(each) for each in looked.found]
        if looked.whole:
            calibration = second.opinion.calibration or calibration
    rankings = [rank(each, individual_of, number) for number, each in zip(numbers, found, strict=True)]
    copies = _copies(vectors)
    counted = [ranking for at, ranking in enumerate(rankings) if at not in copies]
    fused = fuse(counted)
    twice = len(fused) > 1 and fused[1].score >= SAME_PHOTO
    filtered = not options.where.is_empty()
    decision = decide(features(fused, counted), calibration, options.max_false_match, filtered=filtered, twice=twice)
    doubtful = decision.kind == "new" or (options.alike and decision.kind == "unsure")
    both = known_as_two(counted, calibration, plain, clocked, owning) if doubtful else None
    decision = doubted(decision, both)
    beyond = None
    if decision.kind == "new" and filtered:
        everywhere, owner = gather(clocked, [vectors[at] for at in range(len(vectors)) if at not in copies], owning, want=DEPTH)
        decision, beyond = _without_filter(decision, [rank(each, owner) for each in everywhere], plain, options, owners)
    listed = fused[: options.top]
    chances = share_out(decision, len(listed), calibration)
    own = dict(zip(numbers, rankings, strict=True))
    copy_of = {numbers[at]: numbers[first] for at, first in copies.items()}
    answered = [
        _photo_answer(photo, look, own.get(number, ())[: options.top], owners, copy_of.get(number))
        for number, (photo, look) in enumerate(zip(photos, looks, strict=True))
    ]
    candidates = [
        _candidate(place, ranked, chance, owners, looked)
        for place, (ranked, chance) in enumerate(zip(listed, chances, strict=True), start=1)
    ]
    return Answer(
        decision=decision.kind,
        probability=decision.probability,
        new_probability=decision.new,
        candidates=tuple(candidates),
        photos=tuple(answered),
        bundle=encoder.bundle_id,
        calibration=Grounds(
            source=calibration.source,
            reason=calibration.reason,
            optimistic=calibration.basis.optimistic,
            new_share=calibration.new_share,
            max_false_match=options.max_false_match,
            expected=expected(calibration, options.max_false_match),
        ),
        timings_ms=Timings(
            decode=sum(look.decode_ms for look in seen),
            encode=sum(look.encode_ms for look in seen),
            search=clocked.spent_s * 1000,
            decide=(time.perf_counter() - begun - clocked.spent_s - second_s) * 1000,
            second=None if looked is None else second_s * 1000,
        ),
        alike=1 if decision.kind == "known" else 2 if both is not None or decision.tied else 0,
        second_opinion=None if looked is None or second is None else _grounds(second.opinion, looked),
        beyond=beyond,
    )


def _copies(vectors: Sequence[Vector]) -> dict[int, int]:
    """Photos that are one picture with an earlier one, as `IMG (2).jpg` is: what they say has been said."""
    if len(vectors) < 2:
        return {}
    matrix = np.stack(vectors)
    first = (matrix @ matrix.T >= SAME_PHOTO).argmax(axis=1)
    return {at: int(before) for at, before in enumerate(first) if before < at}


def _without_filter(
    filtered: Decision,
    rankings: Sequence[Sequence[Ranked]],
    calibration: Calibration,
    options: Options,
    owners: Mapping[int, Owner],
) -> tuple[Decision, Elsewhere | None]:
    """An animal is called new to the whole catalogue, so what is not among those asked for is looked for among all."""
    fused = fuse(rankings)
    whole = decide(features(fused, rankings), calibration, options.max_false_match)
    new = min(whole.new, filtered.new)
    if whole.kind == "new":
        return Decision("new", new, filtered.right, new), None
    best = fused[0]
    name = owners[best.evidence[0].sighting_id].name
    return Decision("unsure", filtered.right, filtered.right, new), Elsewhere(best.individual_id, name, whole.kind)


def _is_kept(found: Sequence[Sequence[Neighbour]]) -> bool:
    """Whether a photo is in the catalogue already: it is recognised as itself, and a second look could only blur that."""
    return any(each and each[0].score >= SAME_PHOTO for each in found)


def _look_again(
    photos: Sequence[QueryPhoto],
    numbers: Sequence[int],
    found: Sequence[Sequence[Neighbour]],
    owner: Mapping[int, int],
    second: Second,
) -> _Looked:
    chosen = [candidates(each, owner) for each in found]
    mine = [_local(photo, second.looks) for photo in photos]
    theirs = second.looks.of_sightings(sorted({sighting for some in chosen for sighting in some}))
    seen = compare(mine, chosen, theirs)
    whole = bool(seen) and None not in mine and all(sighting in theirs for some in chosen for sighting in some)
    share = second.opinion.share if whole else 0.0
    blended = [blend(each, row, seen, share) if share else each for row, each in enumerate(found)]
    return _Looked(
        found=blended,
        photos={number: local for number, local in zip(numbers, mine, strict=True) if local is not None},
        sightings=theirs,
        seen={(numbers[row], sighting): agreement for (row, sighting), agreement in seen.items()},
        cosine={(number, n.id): n.score for number, each in zip(numbers, found, strict=True) for n in each},
        whole=whole,
    )


def _grounds(opinion: Opinion, looked: _Looked) -> SecondGrounds:
    if not looked.seen:
        return SecondGrounds(False, 0.0, 0, "there was nothing to compare: the photos of the nearest sightings are gone")
    if not looked.whole and opinion.earned:
        reason = "photos of some of the nearest sightings are gone, and what cannot be compared would count as unlike"
        return SecondGrounds(False, 0.0, len(looked.seen), reason)
    return SecondGrounds(opinion.earned, opinion.share, len(looked.seen), opinion.reason)


def _local(photo: QueryPhoto, looks: Looks) -> LocalFeatures | None:
    try:
        return looks.of_photo(photo.data, photo.box) if isinstance(photo.data, bytes) else None
    except PhotoRefused:  # the encoder took it; a second look is an extra
        return None


class _Clocked:
    """The index, and how long it was searched."""

    def __init__(self, index: Holds) -> None:
        self._index = index
        self.spent_s = 0.0

    def search(self, vector: Vector, top: int, where: Filter = NO_FILTER, *, exact: bool = False) -> list[Neighbour]:
        begun = time.perf_counter()
        found = self._index.search(vector, top, where, exact=exact)
        self.spent_s += time.perf_counter() - begun
        return found

    def points(self, ids: Sequence[int]) -> Iterator[Point]:
        return self._index.points(ids)


def _encode(photo: QueryPhoto, encoder: Encodes) -> Encoded | PhotoRefused:
    if isinstance(photo.data, PhotoRefused):
        return photo.data
    try:
        return encoder.encode(photo.data, photo.box)
    except PhotoRefused as refusal:
        return refusal


def _candidate(
    place: int, ranked: Ranked, probability: float, owners: Mapping[int, Owner], looked: _Looked | None
) -> Candidate:
    first = owners[ranked.evidence[0].sighting_id]
    shown: dict[int, Proof] = {}
    for evidence in ranked.evidence:  # best first, so a sighting that two photos resemble is shown with the better one
        owner = owners[evidence.sighting_id]
        if evidence.sighting_id not in shown:
            matched = looked.matched(evidence.photo, evidence.sighting_id) if looked is not None else None
            shown[evidence.sighting_id] = Proof(evidence.sighting_id, owner.photo, evidence.score, evidence.photo, matched)
        if len(shown) == PROOFS:
            break
    proofs = tuple(shown.values())
    return Candidate(place, ranked.individual_id, first.name, first.species, probability, ranked.score, proofs)


def _photo_answer(
    photo: QueryPhoto, look: Encoded | PhotoRefused, ranking: Sequence[Ranked], owners: Mapping[int, Owner], copy_of: int | None
) -> PhotoAnswer:
    if isinstance(look, PhotoRefused):
        sha256 = hashlib.sha256(photo.data).hexdigest() if isinstance(photo.data, bytes) else None
        return PhotoAnswer(photo.name, sha256, photo.box, None, None, None, None, str(look), ())
    own = []
    for ranked in ranking:
        best = ranked.evidence[0]
        owner = owners[best.sighting_id]
        own.append(PhotoCandidate(ranked.individual_id, owner.name, best.score, best.sighting_id, owner.photo))
    seen = (look.width, look.height, look.brightness, look.sharpness)
    return PhotoAnswer(photo.name, look.sha256, look.box, *seen, None, tuple(own), look.norm, copy_of)
