from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import exp, isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.calibration import BUILT_IN, NEW_SHARE, Bar, Basis, Calibration, Curve, stand_in
from matching.errors import CalibrationRefused
from matching.features import Features

MADE = Calibration(
    source="catalogue",
    reason="made by hand",
    sightings=200,
    new_share=0.3,
    intercept=-3.0,
    coefficients={"score": 5.0, "margin": 2.0, "agreement": 1.0, "photos": 0.5},
    known=Curve(0.5, 1.0),
    right=Curve(0.0, 2.0),
    bars=(Bar(-1.0, 0.5, 0.9, 0.1), Bar(0.0, 0.2, 0.7, 0.05), Bar(1.0, 0.04, 0.4, 0.0)),
    places=(0.3, 0.2),
    basis=Basis(data="by hand", sightings=200, individuals=30),
)


def test_confidence_and_chances_by_hand() -> None:
    assert MADE.confidence(Features(0.8, 0.1, 0.4, 2.0)) == pytest.approx(-3 + 4 + 0.2 + 0.4 + 1)
    known = 1 / (1 + exp(-(0.5 + 1.5)))
    right, new = MADE.chances(1.5)
    assert right == pytest.approx(known / (1 + exp(-3)))
    assert new == pytest.approx(1 - known)


@pytest.mark.parametrize(("confidence", "new"), [(-2, 1), (-1, 1), (-0.5, 0.5), (0, 0.5), (0.001, 0.2), (1, 0.2), (99, 0.04)])
def test_the_bar_is_the_highest_one_strictly_below(confidence: float, new: float) -> None:
    assert MADE.bar(confidence).new == new


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_probabilities_follow_the_confidence_at_any_distance(one: float, other: float) -> None:
    low, high = sorted((one, other))
    (right, new), (right_up, new_up) = MADE.chances(low), MADE.chances(high)
    assert 0 <= right <= right_up <= 1
    assert 1 >= new >= new_up >= 0
    assert right + new <= 1 + 1e-12
    assert MADE.bar(low).new >= MADE.bar(high).new


@given(st.tuples(*[st.floats(0, 1)] * 4), st.tuples(*[st.floats(0, 1)] * 4))
def test_no_feature_that_grows_makes_the_match_less_likely(some: tuple[float, ...], more: tuple[float, ...]) -> None:
    grown = Features(*(a + b for a, b in zip(some, more, strict=True)))
    assert MADE.confidence(grown) >= MADE.confidence(Features(*some))


def test_json_and_back_through_text_is_the_same() -> None:
    for calibration in (MADE, BUILT_IN):
        assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda given: given.pop(key)


REFUSED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "format 1": lambda given: given.update(format=2),
    "cannot be read": _without("bars"),
    "coefficients": _without("coefficients"),
    "'margin'": lambda given: given["coefficients"].pop("margin"),
    "unexpected": lambda given: given["basis"].update(unexpected=1),
    "could not convert": lambda given: given.update(intercept="much"),
    "rise and fall": lambda given: given["coefficients"].update(score=-1.0),
    "rise and fall ": lambda given: given["known"].update(slope=-0.1),
    "rise and fall  ": lambda given: given["bars"].reverse(),
    "rise and fall as": lambda given: given["bars"][2].__setitem__(1, 0.9),
    "rise and fall as ": lambda given: given.update(places=[0.2, 0.3]),
    "rise and fall as they": lambda given: given.update(intercept=float("nan")),
    "rise and fall as they must": lambda given: given.update(places=[0.8, 0.3]),
    "AttributeError": lambda given: given.update(basis=None, coefficients=None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_calibration_that_breaks_its_laws_is_refused(message: str) -> None:
    given = json.loads(json.dumps(MADE.to_json()))
    REFUSED[message](given)
    with pytest.raises(CalibrationRefused, match="fit it again") as refusal:
        Calibration.from_json(given)
    assert message.strip() in str(refusal.value) or "TypeError" in str(refusal.value)


@pytest.mark.parametrize("given", [5, [], "fitted", None])
def test_a_calibration_that_is_no_object_is_refused(given: object) -> None:
    with pytest.raises(CalibrationRefused, match="an object was expected: fit it again"):
        Calibration.from_json(given)


@pytest.mark.parametrize(("now", "stale"), [(200, False), (220, False), (221, True), (180, False), (179, True), (0, True)])
def test_a_tenth_more_or_less_makes_it_stale(now: int, stale: bool) -> None:
    assert MADE.is_stale(now) == stale


def test_what_was_chosen_for_an_empty_catalogue_is_stale_with_the_first_sighting() -> None:
    chosen = stand_in(None, "the catalogue is empty", 0)
    assert not chosen.is_stale(0)
    assert chosen.is_stale(1)


def test_a_stand_in_says_what_it_is_and_why() -> None:
    assert "12 individuals" in stand_in(MADE, "it has 12 individuals", 40).reason
    assert replace(stand_in(MADE, "small", 40), source="catalogue", reason="made by hand", sightings=200) == MADE
    nothing = stand_in(None, "it has 12 individuals", 40)
    assert nothing.source == "none"
    assert nothing.sightings == 40
    assert "12 individuals" in nothing.reason


@given(st.tuples(st.floats(-1, 1), st.floats(0, 2), st.floats(0, 1), st.floats(0, 5)))
def test_the_built_in_claims_little(row: tuple[float, float, float, float]) -> None:
    confidence = BUILT_IN.confidence(Features(*row))
    right, new = BUILT_IN.chances(confidence)
    assert isfinite(confidence)
    assert right <= 0.5 * (1 - NEW_SHARE) + 1e-9
    assert new == pytest.approx(NEW_SHARE, abs=1e-9)
    assert BUILT_IN.bar(confidence).new == 1.0


def test_a_calibration_that_a_bundle_brings_is_lawful_and_says_what_it_was_fitted_on(root: Path) -> None:
    brought = [json.loads(file.read_text())["calibration"] for file in root.glob("bundles/*/bundle.json")]
    fitted = [Calibration.from_json(given) for given in brought if given is not None]
    if not fitted:
        pytest.skip("no bundle of this checkout brings a calibration")
    for calibration in fitted:
        assert calibration.basis.data
        assert calibration.basis.individuals >= 20
        assert not calibration.basis.optimistic


def test_a_bundles_own_stands_in_for_the_species_that_it_was_measured_on_and_no_other() -> None:
    of_belugas = replace(MADE, basis=replace(MADE.basis, species=("beluga",)))
    assert Calibration.from_json(json.loads(json.dumps(of_belugas.to_json()))) == of_belugas
    assert [stand_in(of_belugas, "small", 4, kinds).source for kinds in ((), ("Beluga",))] == ["bundle", "bundle"]
    refused = stand_in(of_belugas, "small", 4, ("beluga", "orca"))
    assert refused.source == "none"
    assert "was measured on beluga and not on orca" in refused.reason
    assert stand_in(MADE, "small", 4, ("orca",)).source == "bundle"  # it does not say what it was measured on


def test_a_bundles_own_states_probabilities_for_the_share_that_is_set() -> None:
    """Bayes by hand: the odds of known against new change as those of the shares do, and nothing else."""
    for share in (0.05, 0.3, 0.9):
        chosen = stand_in(MADE, "small", 4, new_share=share)
        for confidence in (-3.0, 0.0, 2.0):
            (right, new), (right_before, new_before) = chosen.chances(confidence), MADE.chances(confidence)
            odds = (1 - new) / new
            assert odds == pytest.approx((1 - new_before) / new_before * ((1 - share) / share) / (0.7 / 0.3))
            assert right / (1 - new) == pytest.approx(right_before / (1 - new_before))
        assert (chosen.new_share, chosen.bars) == (share, MADE.bars)
    assert stand_in(None, "small", 4, new_share=0.9).chances(0.5)[1] == pytest.approx(0.3)  # nobody measured it
