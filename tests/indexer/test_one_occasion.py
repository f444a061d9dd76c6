"""Occasions: what an encounter, a day or midnight joins, against a plain search through the links; what calibration reads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import edits
from indexer.calibrating import Lessons
from indexer.enrol import enrol
from indexer.given import Given
from indexer.occasions import occasions
from indexer.sightings import Source
from indexer.station import Station

DAY = 738_000
rows = st.tuples(st.integers(1, 3), st.integers(1, 6), st.sampled_from([0, DAY, DAY + 1, DAY + 2]), st.integers(0, 23))


def linked(one: list[int], other: list[int]) -> bool:
    same_day = one[3] == other[3] != 0
    near = one[4] != 0 and other[4] != 0 and abs(one[4] - other[4]) <= 3600
    return one[1] == other[1] and (one[2] == other[2] or same_day or near)


def searched(table: list[list[int]]) -> list[set[int]]:
    """Of each row, the rows that links lead to."""
    found = []
    for start in range(len(table)):
        seen, ask = {start}, [start]
        while ask:
            here = ask.pop()
            for other in range(len(table)):
                if other not in seen and linked(table[here], table[other]):
                    seen.add(other)
                    ask.append(other)
        found.append(seen)
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, max_size=12))
def test_an_occasion_is_all_that_the_links_lead_to(drawn: list[tuple[int, int, int, int]]) -> None:
    table = [
        [number, individual, encounter, day, day * 86_400 + hour * 3600 if day and hour else 0]
        for number, (individual, encounter, day, hour) in enumerate(drawn, start=1)
    ]
    told = occasions(np.array(table, np.int64).reshape(len(table), 5))
    assert told[:, :2].tolist() == [row[:2] for row in table]
    keys = [tuple(row[1:]) for row in told.tolist()]
    assert [{at for at, key in enumerate(keys) if key == one} for one in keys] == searched(table)


def test_a_long_chain_of_nights_is_one_occasion() -> None:
    count = 2000
    table = np.zeros((count, 5), np.int64)
    table[:, 0], table[:, 1], table[:, 2] = np.arange(count), 1, np.arange(count) // 2 + 1
    table[:, 3] = DAY + (np.arange(count) + 1) // 2
    assert set(occasions(table)[:, 2].tolist()) == {1}


def test_names_that_were_merged_have_one_occasion_a_day(station: Station, whales: Path) -> None:
    def seen(photo: str, on: date) -> Source:
        return Source(photo, Given(taken_on=on), whales / photo)

    enrol(station, "Kelp", [seen("W0/0.jpg", date(2024, 8, 1))], who="me")
    enrol(station, "Tide", [seen("W0/1.jpg", date(2024, 8, 1)), seen("W0/2.jpg", date(2024, 8, 2))], who="me")
    edits.merge(station.catalogue, "Kelp", "Tide", who="me")
    one, two, three = Lessons(station.catalogue, station.bundle_id).enrolled().tolist()
    assert one[1:] == two[1:]
    assert three[1] == one[1]
    assert three[2] != one[2]
