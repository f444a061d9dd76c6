from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.calibration import BUILT_IN, Bar, Basis, Calibration, Curve
from matching.decision import KNOWN_AT, NEW_AT, SAME_PHOTO, Decision, decide, expected, share_out
from matching.features import Features

ranks = st.builds(
    Features,
    score=st.floats(-1, SAME_PHOTO, exclude_max=True),
    margin=st.floats(0, 1),
    agreement=st.floats(0, 1),
    photos=st.floats(0, 4),
)
slopes = st.floats(0, 20)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    places = sorted(draw(st.sets(st.floats(-20, 20), min_size=0, max_size=8)))
    shares = sorted(draw(st.lists(st.floats(0.001, 1), min_size=len(places), max_size=len(places))), reverse=True)
    later = sorted(draw(st.lists(st.floats(0, 0.3), max_size=3)), reverse=True)
    return replace(
        BUILT_IN,
        intercept=draw(st.floats(-10, 10)),
        coefficients={name: draw(slopes) for name in BUILT_IN.coefficients},
        known=Curve(draw(st.floats(-5, 5)), draw(slopes)),
        right=Curve(draw(st.floats(-5, 5)), draw(slopes)),
        bars=tuple(Bar(p, s, 0.0, 0.0) for p, s in zip(places, shares, strict=True)),
        places=tuple(later),
    )


MADE = replace(
    BUILT_IN,
    intercept=0.0,
    coefficients={"score": 1.0, "margin": 0.0, "agreement": 0.0, "photos": 0.0},
    known=Curve(-5.0, 20.0),  # a score of .25 is even odds
    right=Curve(10.0, 0.0),
    bars=(Bar(0.1, 0.9, 1.0, 0.0), Bar(0.3, 0.04, 0.8, 0.02), Bar(0.5, 0.01, 0.6, 0.01)),
    places=(0.5, 0.2),
    basis=Basis(false_new=0.03),
)


def at(score: float) -> Features:
    return Features(score, 0.0, 0.0, 0.0)


def test_each_kind_by_hand() -> None:
    known = decide(at(0.4), MADE, 0.05)
    assert (known.kind, known.probability) == ("known", known.right)
    new = decide(at(0.2), MADE, 0.05)
    assert (new.kind, new.probability) == ("new", new.new)
    assert new.new == pytest.approx(1 / (1 + 2.718281828 ** (-5 + 4)), abs=1e-6)
    unsure = decide(at(0.28), MADE, 0.05)  # likelier known than not, but too many new animals look so
    assert (unsure.kind, unsure.probability) == ("unsure", unsure.right)
    assert unsure.right > KNOWN_AT


@given(ranks, calibrations(), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_operating_point_never_adds_a_match(seen: Features, made: Calibration, one: float, other: float) -> None:
    strict, lenient = (decide(seen, made, share) for share in sorted((one, other)))
    if strict.kind == "known":
        assert lenient == strict
    if strict.kind == "new":
        assert lenient == strict


@given(ranks, st.tuples(*[st.floats(0, 1)] * 4), calibrations(), st.floats(0, 1))
def test_a_better_match_is_never_a_worse_answer(
    seen: Features, more: tuple[float, ...], made: Calibration, share: float
) -> None:
    order = {"new": 0, "unsure": 1, "known": 2}
    better = Features(*(a + b for a, b in zip(seen.row(), more, strict=True)))
    worse, best = decide(seen, made, share), decide(better, made, share)
    assert order[best.kind] >= order[worse.kind]
    if better.score < SAME_PHOTO:
        assert best.right >= worse.right
        assert best.new <= worse.new


@given(ranks, calibrations(), st.floats(0, 1))
def test_what_is_stated_is_likely(seen: Features, made: Calibration, share: float) -> None:
    decision = decide(seen, made, share)
    if decision.kind == "known":
        assert decision.probability >= KNOWN_AT
    if decision.kind == "new":
        assert decision.probability >= NEW_AT
    assert 0 <= decision.probability <= 1


@given(ranks, calibrations(), st.integers(0, 30))
def test_candidates_share_what_is_not_new_and_fall_with_their_rank(seen: Features, made: Calibration, count: int) -> None:
    decision = decide(seen, made)
    chances = share_out(decision, count, made)
    assert len(chances) == count
    assert chances == sorted(chances, reverse=True)
    assert all(chance >= 0 for chance in chances)
    assert sum(chances) + decision.new <= 1 + 1e-9
    assert chances[:1] == [decision.right][:count]


def test_later_candidates_get_their_places_share_by_hand() -> None:
    assert share_out(Decision("unsure", 0.3, 0.3, 0.4), 4, MADE) == pytest.approx([0.3, 0.15, 0.06, 0.0])
    assert share_out(Decision("unsure", 0.1, 0.1, 0.1), 2, MADE) == pytest.approx([0.1, 0.1])  # never above the first


def test_the_photo_itself_is_known_whatever_the_calibration() -> None:
    decision = decide(at(0.9999), BUILT_IN, 0.0)
    assert decision.kind == "known"
    assert decision.probability == 0.99
    assert decide(at(0.9990), BUILT_IN, 1.0).kind == "unsure"


def test_to_an_empty_catalogue_every_animal_is_new_but_a_filter_proves_nothing() -> None:
    assert decide(None, MADE) == Decision("new", 1.0, 0.0, 1.0)
    assert decide(None, MADE, filtered=True) == Decision("unsure", 0.0, 0.0, MADE.new_share)


def test_expected_rates_are_those_of_the_lowest_bar_that_both_rules_pass() -> None:
    rates = expected(MADE, 0.05)
    assert (rates.false_match, rates.named, rates.misnamed, rates.false_new) == (0.04, 0.8, 0.02, 0.03)
    assert expected(MADE, 0.02).named == 0.6
    rates = expected(MADE, 1.0)  # the bar at .1 is passed, but there the animal is likelier new
    assert (rates.false_match, rates.named, rates.misnamed) == (0.9, 0.8, 0.0)
    assert expected(MADE, 0.001).named == 0.0
    assert expected(BUILT_IN, 0.05).false_match is None
