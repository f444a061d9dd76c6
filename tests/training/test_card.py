"""The words beside a bundle are those of its contract, and the commands in them are commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli import build_parser
from encoder.bundle import load_bundle
from training.card import CARD, YAML, card, contract

SHIPPED = ("beluga-lite0", "beluga-lite0-judged", "starter-lite0")


def commands(words: str) -> list[list[str]]:
    return [shlex.split(line) for line in words.splitlines() if line.startswith("    flukeprint ")]


@pytest.mark.parametrize("name", SHIPPED)
def test_words_beside_a_shipped_bundle_are_those_of_its_contract(root: Path, name: str) -> None:
    bundle = load_bundle(root / "bundles" / name)
    assert (bundle.folder / CARD).read_text("utf-8") == card(bundle)
    assert (bundle.folder / YAML).read_text("utf-8") == contract(bundle)


def test_card_names_every_run_and_how_the_bundle_was_mixed_of_the_last(root: Path) -> None:
    parser = build_parser()
    *taught, made = (parser.parse_args(line[1:]) for line in commands(card(load_bundle(root / "bundles" / "beluga-lite0"))))
    assert [(one.out, one.begin, one.everything) for one in taught] == [
        (Path(f"{name}-{number}"), Path(f"{name}-{number - 1}") if number > 1 else None, number == 3)
        for name in ("RUN", "BESIDE")
        for number in (1, 2, 3)
    ]
    assert (made.run, made.beside, made.taught, made.half) == (Path("RUN-3"), Path("BESIDE-3"), 0.5, True)
    assert (made.sides, made.first_side) == ([0.9], 0.45)
    assert str(made.sibling) == load_bundle(root / "bundles" / "beluga-lite0-judged").id
    *_, judged = commands(card(load_bundle(root / "bundles" / "beluga-lite0-judged")))
    assert parser.parse_args(judged[1:]).sibling is None
