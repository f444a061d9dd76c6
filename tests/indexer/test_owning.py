"""Owners are remembered, and never longer than they are true: what this process did, and what another did beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.catalogue import Catalogue
from indexer import edits, owning
from indexer.bulk import import_rows
from indexer.station import Station, open_books
from indexer.undo import undo

EDITS: list[Callable[[Catalogue], object]] = [
    lambda books: edits.rename(books, "W0", "Murky", who="me"),
    lambda books: edits.set_species(books, "W0", "beluga", who="me"),
    lambda books: edits.merge(books, "W0", "W1", who="me"),
    lambda books: edits.delete_sightings(books, [1, 2], who="me"),
    lambda books: edits.reassign(books, [1, 2], "W1", who="me"),
    lambda books: undo(books, books.last_event_id(), who="me"),
]


@pytest.mark.parametrize("edit", EDITS, ids=["rename", "species", "merge", "delete", "reassign", "undo"])
@pytest.mark.parametrize("beside", [False, True], ids=["here", "beside"])
def test_after_an_edit_owners_are_who_the_catalogue_says(
    station: Station, whales: Path, edit: Callable[[Catalogue], object], beside: bool
) -> None:
    import_rows(station, whales, who="me")
    everybody = range(1, 30)
    station.follower.follow()
    before = station.owning.owners(everybody)
    assert before == station.catalogue.owners(everybody)
    if beside:
        with open_books(station.settings) as books:
            edit(books)
    else:
        edit(station.catalogue)
    station.follower.follow()
    after = station.owning.owners(everybody)
    assert after == station.catalogue.owners(everybody)
    assert after != before


def test_while_nothing_happens_nothing_is_read_again(station: Station, whales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_rows(station, whales, who="me")
    station.follower.follow()
    first = station.owning.owners([1, 2, 3, 99])
    asked: list[list[int]] = []
    read = station.catalogue.owners
    monkeypatch.setattr(station.catalogue, "owners", lambda some: asked.append(list(some)) or read(some))
    assert station.owning.owners([3, 2, 1, 99]) == first
    assert station.owning.owners([3, 4]).keys() == {3, 4}
    assert asked == [[4]]
    monkeypatch.setattr(owning, "MOST", 2)
    station.owning.owners([1])
    assert asked == [[4], [1]]
