"""A split keeps its promises for any table, and a saved one is refused for other photos."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.values import Box
from training.errors import SplitRefused
from training.manifest import Manifest
from training.rows import NEW, Row, Table
from training.splits import Split, key, make_split

DAY = date(2020, 1, 1)


def table(animals: list[list[int]], *, dated: bool = True) -> Table:
    """Of each animal, how many photos on each of its days."""
    rows = [
        Row(f"{a}-{d}-{p}.jpg", f"w{a:03}", encounter=f"w{a}-{d}", date=DAY + timedelta(days=d) if dated else None)
        for a, days in enumerate(animals)
        for d, photos in enumerate(days)
        for p in range(photos)
    ]
    return Table("t.csv", tuple(rows))


def split_of(whole: Table, seed: int = 0) -> Split:
    return make_split(whole, Manifest({row.path: f"hash of {row.path}" for row in whole.rows}, "hash"), seed)


animals = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=2, max_size=30)
nights = st.sets(st.tuples(st.integers(0, 29), st.integers(0, 3)), max_size=30)


def with_nights(whole: Table, over_midnight: set[tuple[int, int]]) -> Table:
    """The last photo of some encounters is of the next day."""
    places = {(row.identity, row.encounter): n for n, row in enumerate(whole.rows)}
    rows = list(whole.rows)
    for animal, day in over_midnight:
        place = places.get((f"w{animal:03}", f"w{animal}-{day}"))
        if place is not None and (when := rows[place].date):
            rows[place] = replace(rows[place], date=when + timedelta(days=1))
    return Table("t.csv", tuple(rows))


@given(animals, nights, st.integers(0, 5), st.booleans())
def test_parts_keep_their_promises(
    given_animals: list[list[int]], over_midnight: set[tuple[int, int]], seed: int, dated: bool
) -> None:
    whole = with_nights(table(given_animals, dated=dated), over_midnight)
    split = split_of(whole, seed)
    assert len(split.parts) == len(whole.rows)
    of: dict[str, set[str]] = defaultdict(set)
    taught_on = defaultdict(set)
    for row in whole.rows:
        part = split.parts[row.path]
        of[row.identity].add(part)
        taught_on[row.identity, part] |= {row.date, row.encounter} - {None}
    for identity, parts in of.items():
        assert parts == {"stranger"} or "stranger" not in parts
        assert parts == {"stranger"} or "train" in parts
        seen = taught_on[identity, "train"] | taught_on[identity, "closed"]
        assert not seen & taught_on[identity, "occasion"]  # neither a date nor an encounter of them
    assert sum(parts == {"stranger"} for parts in of.values()) == len(given_animals) // 5


def test_same_seed_same_split_whatever_the_order_of_rows() -> None:
    whole = table([[3, 2], [5], [1, 1, 1]] * 6)
    other = Table("t.csv", whole.rows[::-1])
    assert split_of(whole, 3) == split_of(other, 3)
    assert split_of(whole, 3) != split_of(whole, 4)


def test_a_fifth_of_what_is_left_asks() -> None:
    split = split_of(table([[50]] * 50), 0)
    counts = Counter(split.parts.values())
    assert counts == {"stranger": 500, "closed": 400, "train": 1600}


def test_boxes_of_one_photo_are_split_by_themselves_and_unnamed_animals_are_strangers() -> None:
    rows = (Row("a.jpg", "w0", box=Box(0, 0, 5, 5)), Row("a.jpg", "w1", box=Box(9, 0, 5, 5)), Row("n.jpg", NEW))
    split = split_of(Table("t", rows), 0)
    assert split.parts == {"a.jpg 0,0,5,5": "train", "a.jpg 9,0,5,5": "train", "n.jpg": "stranger"}


def test_boxes_of_one_photo_of_one_animal_stay_together() -> None:
    rows = [Row(f"{a}-{p}.jpg", f"w{a}", box=Box(9 * b, 0, 5, 5)) for a in range(10) for p in range(10) for b in range(2)]
    split = split_of(Table("t", tuple(rows)), 0)
    of = defaultdict(set)
    for name, part in split.parts.items():
        of[name.split()[0]].add(part)
    assert all(len(parts) == 1 for parts in of.values())
    assert Counter(split.parts.values()) == {"stranger": 40, "closed": 32, "train": 128}


@given(animals, st.integers(0, 3), st.lists(st.sampled_from(["date", "encounter", "both"]), min_size=1, max_size=8))
def test_an_occasion_is_held_back_only_of_animals_whose_every_photo_says_when(
    given_animals: list[list[int]], seed: int, told: list[str]
) -> None:
    """The photos of one encounter, some with a date and some without, are no two occasions."""
    rows = tuple(
        replace(
            row,
            date=row.date if told[n % len(told)] != "encounter" else None,
            encounter=row.encounter if told[n % len(told)] != "date" else None,
        )
        for n, row in enumerate(table(given_animals).rows)
    )
    split = split_of(Table("t.csv", rows), seed)
    held = {row.identity for row in rows if split.parts[key(row)] == "occasion"}
    for identity in held:
        own = [row for row in rows if row.identity == identity]
        assert all(row.date for row in own) or not any(row.date for row in own)
        encounters = [{row.encounter for row in own if split.parts[key(row)] == part} for part in ("occasion", "train")]
        assert not encounters[0] & encounters[1] - {None}


def test_copies_of_one_photo_stay_together() -> None:
    rows = tuple(Row(f"{a}-{p}.jpg", f"w{a}") for a in range(10) for p in range(10))
    copies = Manifest({row.path: f"{row.identity} {int(row.path[2]) // 2}" for row in rows}, "hash")
    split = make_split(Table("t", rows), copies, 0)
    of = defaultdict(set)
    for row in rows:
        of[copies.photos[row.path]].add(split.parts[row.path])
    assert all(len(parts) == 1 for parts in of.values())
    assert Counter(split.parts.values()) == {"stranger": 20, "closed": 16, "train": 64}


def test_one_individual_cannot_be_split() -> None:
    with pytest.raises(SplitRefused, match="names 1 individual"):
        split_of(table([[4]]), 0)


def test_saved_split_comes_back_and_is_refused_for_other_photos(tmp_path: Path) -> None:
    whole = table([[3, 2], [5], [4]])
    split = split_of(whole, 1)
    split.save(tmp_path / "s.json")
    assert Split.load(tmp_path / "s.json", whole, "hash") == split
    with pytest.raises(SplitRefused, match="other photos"):
        Split.load(tmp_path / "s.json", whole, "another")
    with pytest.raises(SplitRefused, match="other photos"):
        Split.load(tmp_path / "s.json", table([[3, 2], [5]]), "hash")
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(SplitRefused, match="not a split"):
        Split.load(tmp_path / "s.json", whole, "hash")
