from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from marks import marked

from matching.agreement import Agreement
from matching.decision import SAME_PHOTO
from matching.ranking import rank
from matching.second import HALF, MOST, OF_EACH, blend, candidates, compare, strength
from vector_db.port import Neighbour

neighbours = st.lists(st.tuples(st.integers(1, 60), st.floats(-1, 0.999)), max_size=60, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [Neighbour(number, score) for number, score in pairs]
)


def seen(inliers: dict[int, int]) -> dict[tuple[int, int], Agreement]:
    return {(0, sighting): Agreement(np.arange(count), np.arange(count)) for sighting, count in inliers.items()}


@given(neighbours, st.integers(1, 30), st.integers(1, 4))
def test_candidates_are_the_best_sightings_few_of_each_animal_and_no_tombstone(
    found: list[Neighbour], most: int, of_each: int
) -> None:
    owner = {number: number % 7 for number in range(1, 50)}
    chosen = candidates(found, owner, most, of_each)
    assert len(chosen) == len(set(chosen)) <= most
    score = {neighbour.id: neighbour.score for neighbour in found}
    assert [score[one] for one in chosen] == sorted((score[one] for one in chosen), reverse=True)
    for animal in range(7):
        own = [one for one in chosen if owner[one] == animal]
        assert len(own) <= of_each
        best = sorted((n for n in found if owner.get(n.id) == animal), key=lambda n: (-n.score, n.id))
        assert own == [neighbour.id for neighbour in best[: len(own)]]
    assert len(chosen) == most or all(
        sum(owner[one] == animal for one in chosen) == min(of_each, sum(owner.get(n.id) == animal for n in found))
        for animal in range(7)
    )


def test_a_question_is_compared_with_twenty_sightings_two_of_each_animal() -> None:
    found = [Neighbour(number, 1 - number / 100) for number in range(1, 90)]
    chosen = candidates(found, {number: number // 5 for number in range(1, 90)})
    assert (len(chosen), MOST, OF_EACH) == (20, 20, 2)


@given(neighbours, st.dictionaries(st.integers(1, 60), st.integers(0, 300)))
def test_a_share_of_nothing_keeps_every_score_and_the_order(found: list[Neighbour], inliers: dict[int, int]) -> None:
    assert blend(found, 0, seen(inliers), 0.0) == sorted(found, key=lambda n: (-n.score, n.id))


@given(neighbours, st.dictionaries(st.integers(1, 60), st.integers(0, 300)), st.floats(0, 1))
def test_no_blend_of_different_photos_looks_like_a_photo_and_itself(
    found: list[Neighbour], inliers: dict[int, int], share: float
) -> None:
    assert all(neighbour.score < SAME_PHOTO for neighbour in blend(found, 0, seen(inliers), share))


@given(neighbours, st.floats(0, 1), st.integers(0, 200), st.integers(1, 100))
def test_more_agreement_never_lowers_an_animal(found: list[Neighbour], share: float, inliers: int, more: int) -> None:
    if not found:
        return
    owner = {number: number % 7 for number in range(1, 61)}
    one = found[0].id

    def place(count: int) -> int:
        ranked = rank(blend(found, 0, seen({one: count}), share), owner)
        return [each.individual_id for each in ranked].index(owner[one])

    assert place(inliers + more) <= place(inliers)


def test_strength_is_nothing_for_nothing_a_half_at_ten_and_never_one() -> None:
    assert (strength(0), strength(HALF)) == (0, 0.5)
    assert strength(29) < strength(30) < strength(300) < 0.98


def test_another_photo_of_the_question_takes_no_part_in_a_blend() -> None:
    found = [Neighbour(1, 0.5)]
    assert blend(found, 1, seen({1: 100}), 0.5) == [Neighbour(1, 0.25)]


def test_what_has_no_features_is_left_out_of_a_comparison() -> None:
    photos = [marked(1, 0), None]
    done = compare(photos, [(1, 2), (1, 2)], {1: marked(1, 1)})
    assert set(done) == {(0, 1)}
    assert done[0, 1].inliers > 5
