from __future__ import annotations

import numpy as np
from galleries import Gallery, drawn, unit

from matching.neighbours import FIRST, MOST, WIDEN, gather


def crowded(photos: int, others: int) -> Gallery:
    """One individual with many photos close to the query (1, 0, 0), the others with one each, further off."""
    random = np.random.default_rng(3)
    near = unit(np.array([1, 0, 0]) + random.normal(size=(photos, 3)) * 0.01)
    far = unit(np.array([0, 1, 0]) + random.normal(size=(others, 3)) * 0.1)
    rows = np.array([(n + 1, 0 if n < photos else n, n) for n in range(photos + others)], dtype=np.int64)
    return Gallery(rows, np.concatenate([near, far]))


def individuals(gallery: Gallery) -> dict[int, int]:
    return {int(s): int(i) for s, i, _ in gallery.enrolled()}


def look(gallery: Gallery, want: int, **more: object) -> tuple[list[int], set[int]]:
    owner = individuals(gallery)
    (found,), of = gather(
        gallery,
        [np.array([1, 0, 0], dtype=np.float32)],
        lambda ids: {i: owner[i] for i in ids if i in owner},
        want=want,
        **more,  # type: ignore[arg-type]
    )
    return [n.id for n in found], {of[n.id] for n in found}


def test_an_individual_with_500_photos_does_not_crowd_the_rest_out() -> None:
    gallery = crowded(500, 40)
    found, who = look(gallery, want=10)
    assert len(who) >= 10
    assert gallery.asked == [FIRST, FIRST * WIDEN, FIRST * WIDEN**2]
    assert found[:500] == sorted(found[:500], key=lambda i: -float(gallery.matrix[i - 1, 0]))


def test_the_search_is_not_widened_where_the_first_one_sees_enough() -> None:
    gallery = crowded(5, 100)
    look(gallery, want=10)
    assert gallery.asked == [FIRST]


def test_an_exhausted_index_ends_the_search() -> None:
    gallery = crowded(70, 2)
    _, who = look(gallery, want=10)
    assert who == {0, 70, 71}
    assert gallery.asked == [64, 256]


def test_the_cost_is_bounded_where_one_individual_fills_the_index() -> None:
    gallery = crowded(MOST + 1, 3)
    _, who = look(gallery, want=2)
    assert who == {0}
    assert gallery.asked == [64, 256, 1024, 4096, 16384]


def test_tombstones_and_what_is_left_out_are_not_seen_and_take_no_room() -> None:
    gallery = crowded(60, 60)
    gallery.dead = set(range(1, 41))
    found, who = look(gallery, want=10, leave_out=range(41, 61))
    assert not set(found) & set(range(1, 61))
    assert len(who) >= 10


def test_whose_sightings_they_are_is_asked_once_a_round_for_all_photos() -> None:
    gallery = drawn(30, 1)
    owner = individuals(gallery)
    rounds: list[list[int]] = []

    def owning(ids: list[int]) -> dict[int, int]:
        rounds.append(list(ids))
        return {i: owner[i] for i in ids}

    found, _ = gather(gallery, list(gallery.matrix[:4]), owning, want=5)  # type: ignore[arg-type]
    assert len(rounds) == 1
    assert rounds[0] == sorted(set(rounds[0]))
    assert [each[0].id for each in found] == [1, 2, 3, 4]  # each photo finds itself
