"""When an index is laid out anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vector_db.growth import Growth

GROWTH = Growth(codes_above=25_000, hnsw_above=300_000)


def test_layout_follows_the_size() -> None:
    assert [GROWTH.layout(points) for points in (0, 25_000, 25_001, 300_000, 300_001)] == [
        "flat",
        "flat",
        "codes",
        "codes",
        "graph",
    ]


def test_one_enrolment_never_asks_for_building() -> None:
    assert not GROWTH.wants_building(25_000, 0)
    assert not GROWTH.wants_building(100_001, 100_000)
    assert not GROWTH.wants_building(110_000, 100_000)


def test_crossing_a_size_or_a_long_tail_asks_for_building() -> None:
    assert GROWTH.wants_building(25_001, 0)
    assert GROWTH.wants_building(110_001, 100_000)
    assert GROWTH.wants_building(300_001, 299_999)
    assert GROWTH.wants_building(1_100_001, 1_000_000)
    assert not GROWTH.wants_building(1_100_000, 1_000_000)


def test_an_index_that_shrank_is_left_as_it_is_until_it_grows() -> None:
    assert not GROWTH.wants_building(10_000, 100_000)
    assert not GROWTH.wants_building(90_000, 100_000)


@given(points=st.integers(0, 10**7))
def test_what_was_just_built_asks_for_nothing(points: int) -> None:
    assert not GROWTH.wants_building(points, points)
