"""A bundle lends its figures to one of the same making only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from encoder.bundle import load_bundle
from training.errors import CheckpointRefused
from training.sibling import refuse_other_making


@pytest.mark.parametrize("name", ["beluga-lite0", "beluga-lite0-judged"])
def test_going_on_from_the_sibling_is_its_making_and_so_is_doing_the_same_again(name: str, root: Path) -> None:
    """The bundle that ships was taught on from its sibling, at another rate."""
    refuse_other_making(load_bundle(root / "bundles" / "beluga-lite0-judged"), load_bundle(root / "bundles" / name).training)


def test_other_threads_make_no_other_encoder(root: Path) -> None:
    judged = load_bundle(root / "bundles" / "beluga-lite0-judged")
    refuse_other_making(judged, {**judged.training, "config": judged.training["config"] | {"threads": 7}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sides": [1.0]}, r"sides is \[0.9\] there and \[1.0\] here"),
        ({"taught_share": 1.0}, "taught_share is 0.5 there and 1.0 here"),
        ({"half": False}, "half is True there and False here"),
        ({"before": []}, "photos is 25600 there and 4800 here"),  # not gone on from it, and taught otherwise
        ({"config": {"dimension": 128}}, "dimension is 512 there and 128 here"),
    ],
)
def test_other_making_is_refused_and_says_what_is_other(change: dict[str, Any], said: str, root: Path) -> None:
    judged, ours = (load_bundle(root / "bundles" / name) for name in ("beluga-lite0-judged", "beluga-lite0"))
    config = ours.training["config"] | change.get("config", {})
    with pytest.raises(CheckpointRefused, match=said):
        refuse_other_making(judged, {**ours.training, **change, "config": config})


def test_bundle_of_no_run_is_nobodys_sibling(root: Path) -> None:
    judged = load_bundle(root / "bundles" / "beluga-lite0-judged")
    with pytest.raises(CheckpointRefused, match="made of is no run there"):
        refuse_other_making(replace(judged, training={}), judged.training)
