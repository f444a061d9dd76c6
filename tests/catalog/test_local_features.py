"""The cache of local features: bytes in, the same bytes out, and nothing else depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from filling import fill, photo
from hypothesis import given
from hypothesis import strategies as st

import catalog.open as opening
from catalog.catalogue import Catalogue
from catalog.open import open_catalogue


def test_what_is_kept_comes_back_and_what_is_not_is_left_out(catalogue: Catalogue) -> None:
    one, other = fill(catalogue, {"Muddy": 2})["Muddy"]
    assert catalogue.local_features([one, other]) == {}
    catalogue.put_local_features({one: b"\0\1\2"})
    assert catalogue.local_features([one, other, 999]) == {one: b"\0\1\2"}


def test_keeping_again_takes_the_place_of_what_was_there(catalogue: Catalogue) -> None:
    (one,) = fill(catalogue, {"Muddy": 1})["Muddy"]
    catalogue.put_local_features({one: b"first"})
    catalogue.put_local_features({one: b"second"})
    assert catalogue.local_features([one]) == {one: b"second"}
    catalogue.put_local_features({})
    assert catalogue.local_features([]) == {}


def test_the_cache_is_no_event_and_leaves_the_catalogue_well(catalogue: Catalogue) -> None:
    (one,) = fill(catalogue, {"Muddy": 1})["Muddy"]
    before = catalogue.last_event_id()
    catalogue.put_local_features({one: b"x"})
    assert catalogue.last_event_id() == before
    assert catalogue.check().is_well()


def test_a_sighting_s_photo_and_box_are_told_together(catalogue: Catalogue) -> None:
    one, other = fill(catalogue, {"Muddy": 2})["Muddy"]
    found = catalogue.photos_of([one, other, 999])
    assert found == {one: (photo("Muddy-0.jpg"), None), other: (photo("Muddy-1.jpg"), None)}


@given(st.dictionaries(st.integers(0, 2999), st.binary(max_size=40), max_size=5))
def test_any_bytes_of_any_sightings_are_kept(many: Catalogue, features: dict[int, bytes]) -> None:
    ids = many.live_ids("starter-1-0123abcd").tolist()
    given_them = {ids[number]: packed for number, packed in features.items()}
    many.put_local_features(given_them)
    found = many.local_features(ids)
    assert {sighting: found[sighting] for sighting in given_them} == given_them


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """More sightings than a statement takes at once."""
    with open_catalogue(tmp_path_factory.mktemp("many") / "catalogue.db", full_sync=False) as opened:
        fill(opened, {"Muddy": 3000})
        yield opened


def test_a_catalogue_of_the_first_revision_gets_the_cache_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.db"
    with monkeypatch.context() as first:
        first.setattr(opening, "REVISIONS", ("0001",))
        first.setattr(opening, "HEAD", "0001")
        with open_catalogue(path) as old:
            (one,) = fill(old, {"Muddy": 1})["Muddy"]
    with open_catalogue(path) as new:
        assert [individual.name for individual in new.individuals()] == ["Muddy"]
        new.put_local_features({one: b"x"})
        assert new.local_features([one]) == {one: b"x"}
