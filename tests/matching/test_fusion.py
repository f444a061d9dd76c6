from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.fusion import DEPTH, fuse
from matching.ranking import Ranked, rank
from vector_db.port import Neighbour


def ranking(scores: dict[int, float], photo: int = 0) -> tuple[Ranked, ...]:
    """Individual i by its sighting 100 + i."""
    return rank([Neighbour(100 + i, s) for i, s in scores.items()], {100 + i: i for i in scores}, photo)


one = st.dictionaries(st.integers(0, 30), st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=25)
several = st.lists(one, min_size=1, max_size=4).map(lambda all: [ranking(s, n) for n, s in enumerate(all)])


def test_the_score_is_the_mean_of_each_photos_best() -> None:
    fused = fuse([ranking({1: 0.9, 2: 0.4}), ranking({1: 0.5, 2: 0.8}, 1)])
    assert [(r.individual_id, r.score) for r in fused] == [(1, pytest.approx(0.7)), (2, pytest.approx(0.6))]
    assert [(e.photo, e.score) for e in fused[0].evidence] == [(0, 0.9), (1, 0.5)]


def test_an_individual_that_a_photo_did_not_see_gets_that_photos_floor() -> None:
    fused = fuse([ranking({1: 0.9, 2: 0.4}), ranking({2: 0.8, 3: 0.6}, 1)])
    assert {r.individual_id: r.score for r in fused} == {
        1: pytest.approx((0.9 + 0.6) / 2),
        2: pytest.approx((0.4 + 0.8) / 2),
        3: pytest.approx((0.4 + 0.6) / 2),
    }


def test_a_bad_photo_takes_no_more_than_its_floor_from_the_right_animal() -> None:
    good = {i: 0.5 - i / 100 for i in range(2, 30)} | {1: 0.9}
    bad = {i: 0.5 - i / 100 for i in range(2, 30)} | {1: -0.5}  # the right animal comes last
    fused = fuse([ranking(good), ranking(bad, 1)])
    floor = sorted(bad.values(), reverse=True)[DEPTH - 1]
    assert fused[0].individual_id == 1
    assert fused[0].score == pytest.approx((0.9 + floor) / 2)


@given(one)
def test_one_photo_fused_is_its_own_ranking(scores: dict[int, float]) -> None:
    assert fuse([ranking(scores)]) == ranking(scores)


@given(several)
def test_the_order_of_photos_changes_no_score(rankings: list[tuple[Ranked, ...]]) -> None:
    first = [(r.individual_id, r.score) for r in fuse(rankings)]
    for mixed in permutations(rankings):
        assert [(r.individual_id, r.score) for r in fuse(mixed)] == first


@given(several)
def test_the_ranks_that_decide_do_not_depend_on_how_deep_the_search_went(rankings: list[tuple[Ranked, ...]]) -> None:
    shallow = fuse([each[:DEPTH] for each in rankings])
    deep = fuse(rankings)
    head = {r.individual_id for each in rankings for r in each[:DEPTH]}
    assert [(r.individual_id, r.score) for r in shallow if r.individual_id in head] == [
        (r.individual_id, r.score) for r in deep if r.individual_id in head
    ]
    assert max(r.score for r in deep if r.individual_id in head) == deep[0].score


@given(several)
def test_everyone_seen_is_listed_once_with_all_evidence(rankings: list[tuple[Ranked, ...]]) -> None:
    fused = fuse(rankings)
    assert sorted(r.individual_id for r in fused) == sorted({r.individual_id for each in rankings for r in each})
    assert sum(len(r.evidence) for r in fused) == sum(len(r.evidence) for each in rankings for r in each)
    assert [r.score for r in fused] == sorted((r.score for r in fused), reverse=True)


def test_a_photo_without_neighbours_says_nothing() -> None:
    assert fuse([(), ranking({1: 0.9})]) == ranking({1: 0.9})
    assert fuse([(), ()]) == ()
    assert fuse([]) == ()
