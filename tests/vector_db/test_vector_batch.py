"""What is refused before an engine sees it, and in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_catalogue import DIMENSION, Books, plain_points
from point_sets import unit

from vector_db.batch import checked, checked_query
from vector_db.errors import FactRefused, VectorRefused
from vector_db.port import Facts, Place, Point

GOOD = unit(np.random.default_rng(0), 1, DIMENSION)[0]


def bad_vectors() -> list[tuple[np.ndarray, str]]:
    nan, infinite, huge = GOOD.copy(), GOOD.copy(), GOOD.astype(np.float64)
    nan[3], infinite[5], huge[1] = np.nan, np.inf, 1e300
    return [
        (GOOD[:-1], f"has {DIMENSION - 1} numbers, this index takes {DIMENSION}"),
        (GOOD.reshape(1, -1), r"has the shape \(1, "),
        (np.zeros(0, np.float32), "has 0 numbers"),
        (nan, "not finite"),
        (infinite, "not finite"),
        (huge, "not finite"),
        (GOOD * 2, "has the length 2, expected 1"),
        (GOOD * 0, "has the length 0, expected 1"),
        (GOOD * 1.002, "has the length 1.002"),
    ]


@pytest.mark.parametrize(("vector", "says"), bad_vectors())
def test_a_vector_that_cannot_be_is_refused_with_its_sighting(vector: np.ndarray, says: str) -> None:
    with pytest.raises(VectorRefused, match=f"sighting 7.*{says}"):
        checked([Point(5, GOOD), Point(7, vector)], DIMENSION)
    with pytest.raises(VectorRefused, match=f"to search for.*{says}"):
        checked_query(vector, DIMENSION)


@pytest.mark.parametrize("id", [-1, 2**63, True, 1.0, "7", None])
def test_an_id_that_cannot_be_is_refused(id: object) -> None:
    with pytest.raises(FactRefused, match="whole number"):
        checked([Point(id, GOOD)], DIMENSION)  # type: ignore[arg-type]


def test_a_vector_that_was_stored_as_float16_is_taken() -> None:
    checked([Point(1, GOOD.astype(np.float16).astype(np.float32))], DIMENSION)


def test_of_two_points_with_one_id_the_later_counts() -> None:
    first, second = plain_points(0, 2)
    batch = checked([Point(3, first.vector), Point(4, first.vector), Point(3, second.vector)], DIMENSION)
    assert batch.ids == [3, 4]
    np.testing.assert_array_equal(batch.vectors[0], second.vector)


@given(count=st.integers(0, 40), size=st.integers(1, 15))
def test_parts_are_the_batch(count: int, size: int) -> None:
    batch = checked(plain_points(100, count), DIMENSION)
    parts = list(batch.parts(size))
    assert [id for part in parts for id in part.ids] == batch.ids
    assert all(len(part.ids) == len(part.vectors) == len(part.payloads) <= size for part in parts)


def test_a_batch_with_one_bad_point_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    books = Books(plain_points(1, 10))
    index = books.open(tmp_path / "index")
    for bad in (Point(50, GOOD * 3), Point(50, GOOD, Facts(place=Place(99.0, 0.0))), Point(-5, GOOD)):
        with pytest.raises((VectorRefused, FactRefused)):
            index.upsert([*plain_points(100, 700), bad])
    assert books.refute(index) is None
    assert books.runs == 1
    index.close()
