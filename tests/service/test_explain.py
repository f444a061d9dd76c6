"""The grounds in sentences say what the numbers say, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from service.explain import explained


def answer(max_false_match: float, false_match: float | None) -> dict[str, Any]:
    grounds = {"source": "catalogue", "reason": "fitted", "optimistic": False, "new_share": 0.005}
    grounds |= {"max_false_match": max_false_match, "expected": {"false_match": false_match}}
    return {"calibration": grounds, "candidates": [], "new_probability": 1.0, "decision": "new"}


@pytest.mark.parametrize(("share", "told"), [(0.05, "5%"), (0.001, "0.1%"), (0.125, "12.5%"), (0.00002, "0.002%")])
def test_a_small_share_is_told_as_it_is(share: float, told: str) -> None:
    said = " ".join(explained(answer(share, share)))
    assert f"at most {told} of new animals" in said
    assert "0.5% of animals are expected to be new" in said


def test_what_nobody_measured_is_not_claimed() -> None:
    assert "at most" not in " ".join(explained(answer(0.05, None)))
