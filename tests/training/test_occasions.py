"""Photos that a date or an encounter joins are one occasion, and are left out together."""

from __future__ import annotations

from datetime import date, timedelta

import networkx
from hypothesis import given
from hypothesis import strategies as st

from training.occasions import occasions
from training.rows import Row

DAY = date(2020, 1, 1)
NEXT = DAY + timedelta(days=1)


def test_an_evening_with_two_dates_is_one_occasion_named_by_the_last() -> None:
    rows = [Row("a", "w", encounter="e", date=DAY), Row("b", "w", encounter="e", date=NEXT), Row("c", "w", date=NEXT)]
    one, two, three = occasions(rows)
    assert one == two == three
    assert one is not None
    assert one.last == NEXT


def test_other_animals_and_photos_that_say_nothing_are_of_no_occasion_with_it() -> None:
    one, other, nothing = occasions(
        [Row("a", "w", encounter="e", date=DAY), Row("b", "v", encounter="e", date=DAY), Row("c", "w")]
    )
    assert one != other
    assert nothing is None


def test_an_encounter_that_is_called_like_a_date_is_not_that_date() -> None:
    one, two = occasions([Row("a", "w", encounter="2020-01-01"), Row("b", "w", date=DAY)])
    assert one != two


said = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 5), st.none() | st.integers(0, 5)), max_size=30)


@given(said)
def test_occasions_are_what_dates_and_encounters_connect(given_rows: list[tuple[int, int | None, int | None]]) -> None:
    rows = [
        Row(f"{n}", f"w{who}", encounter=None if e is None else f"e{e}", date=None if d is None else DAY + timedelta(days=d))
        for n, (who, e, d) in enumerate(given_rows)
    ]
    graph = networkx.Graph()
    for n, row in enumerate(rows):
        graph.add_edges_from((n, (row.identity, word)) for word in (row.date, row.encounter) if word)
    made = occasions(rows)
    for n in range(len(rows)):
        for m in range(len(rows)):
            assert (made[n] is not None and made[n] == made[m]) == (
                n in graph and m in graph and networkx.has_path(graph, n, m)
            )
