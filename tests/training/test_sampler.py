"""Batches are a function of seed and step, and their pairs cross encounters wherever they can."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.rows import Row
from training.sampler import Sampling


def rows(animals: list[list[int]]) -> list[Row]:
    return [
        Row(f"{a}-{e}-{p}.jpg", f"w{a}", encounter=f"{a}-{e}")
        for a, encounters in enumerate(animals)
        for e, photos in enumerate(encounters)
        for p in range(photos)
    ]


@given(
    st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=2, max_size=12),
    st.integers(0, 9),
    st.integers(0, 99),
)
def test_pairs_are_of_one_animal_and_cross_encounters_where_there_are_two(
    animals: list[list[int]], seed: int, step: int
) -> None:
    given_rows = rows(animals)
    drawn = Sampling(given_rows, "cross-encounter", 8, seed).indices(step)
    assert len(drawn) == 8
    for one, two in zip(drawn[::2], drawn[1::2], strict=True):
        assert given_rows[one].identity == given_rows[two].identity
        of = animals[int(given_rows[one].identity[1:])]
        if len(of) > 1:
            assert given_rows[one].encounter != given_rows[two].encounter
        elif of[0] > 1:
            assert one != two


def test_a_burst_of_forty_weighs_as_six() -> None:
    sampling = Sampling(rows([[36], [1]]), "cross-encounter", 2, 0)
    drawn = Counter(index == 36 for step in range(2000) for index in sampling.indices(step))
    assert 5 < drawn[False] / drawn[True] < 7


def test_shuffle_shows_each_photo_once_an_epoch_in_a_new_order() -> None:
    sampling = Sampling(rows([[5], [7]]), "shuffle", 4, 0)
    epochs = [[i for step in range(e * 3, e * 3 + 3) for i in sampling.indices(step)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(12))
    assert epochs[0] != epochs[1]


def test_same_seed_and_step_draw_the_same_and_others_do_not() -> None:
    given_rows = rows([[3, 2]] * 30)
    one, two, other = (Sampling(given_rows, "cross-encounter", 16, seed) for seed in (1, 1, 2))
    assert one.indices(5) == two.indices(5)
    assert one.indices(5) != one.indices(6)
    assert one.indices(5) != other.indices(5)
    assert one.draw(5).random() == two.draw(5).random()
