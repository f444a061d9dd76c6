"""A species that no individual is of: an answer without anything in it says which species there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from said import Run


@pytest.fixture
def known(run: Run, photos: Path) -> Path:
    """A humpback whale and a beluga; and a photo."""
    assert run("enrol", "--name", "Kelp", "--species", "humpback whale", photos / "W0" / "0-0.jpg").code == 0
    assert run("enrol", "--name", "Snow", "--species", "beluga", photos / "W1" / "1-0.jpg").code == 0
    return photos / "W0" / "0-1.jpg"


@pytest.mark.parametrize("verb", ["identify", "similar", "individuals"])
@pytest.mark.parametrize(("asked", "meant"), [("Humpback Whale", "humpback whale"), ("belga", "beluga")])
def test_the_nearest_species_and_all_that_there_are_are_named(run: Run, known: Path, verb: str, asked: str, meant: str) -> None:
    words = [verb, "--species", asked] + ([] if verb == "individuals" else [known])
    said = run(*words)
    assert said.code == 0
    expected = f'No individual is of the species "{asked}": did you mean "{meant}"? There are: "beluga", "humpback whale".'
    assert said.err.splitlines() == [f"flukeprint: {expected}"]
    assert expected in run(*words, "--json").err
    assert "No individual is of" not in run(*words[:1], "--species", meant, *words[3:]).err


def test_where_something_else_leaves_nothing_that_is_said(run: Run, known: Path) -> None:
    assert "No sighting is as you asked for." in run("similar", known, "--after", "2100-01-01").err
    assert "No individual is as you asked for." in run("individuals", "--search", "zzz").err
    assert run("individuals").err == ""


def test_where_no_species_is_known_that_is_said(run: Run, photos: Path) -> None:
    run("enrol", "--name", "Kelp", photos / "W0" / "0-0.jpg")
    assert 'of the species "orca", nor of any other.' in run("individuals", "--species", "orca").err
