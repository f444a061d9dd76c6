from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from galleries import Gallery, drawn
from hypothesis import given
from hypothesis import strategies as st
from marks import Marks

from matching.errors import CalibrationRefused
from matching.opinion import Opinion, Worth
from matching.second_fit import Pairs, fitted_share, form_opinion, is_earned
from matching.trials import Sampling, run_searches, run_trials, sample, trials_of

GALLERY = drawn(60, 3, apart=2.2)  # so far apart from day to day that the cosine is often wrong
OWNER = {int(sighting): int(individual) for sighting, individual, _ in GALLERY.rows}
SMALL = Sampling(occasions=60, photos=2)


def formed(marks: Marks, gallery: Gallery = GALLERY) -> Opinion:
    return form_opinion(gallery, gallery, marks, bundle_id="drawn-1", sampling=SMALL)


HELPS = formed(Marks(OWNER))


def test_marks_that_tell_animals_apart_are_followed_and_counted() -> None:
    assert HELPS.earned
    assert 0 < HELPS.share <= 1
    worth = HELPS.worth
    assert worth is not None
    assert worth.top1_with > worth.top1_without + 0.1
    assert worth.top1_with - worth.top1_without == pytest.approx((worth.gained - worth.lost) / worth.questions)
    assert HELPS.calibration is not None
    assert HELPS.calibration.basis.individuals == len({int(i) for i in GALLERY.rows[:, 1]} & set(range(60)))


def test_marks_that_say_nothing_are_not_followed_and_the_order_stays() -> None:
    opinion = formed(Marks(OWNER, shown=False))
    assert (opinion.earned, opinion.share, opinion.calibration) == (False, 0.0, None)
    assert "not enough" in opinion.reason


def test_a_catalogue_whose_photos_are_gone_follows_nothing() -> None:
    opinion = formed(Marks(OWNER, gone=frozenset(OWNER)))
    assert (opinion.earned, opinion.share) == (False, 0.0)


def test_a_catalogue_too_small_to_measure_on_says_so_and_makes_no_features() -> None:
    few = GALLERY.only(GALLERY.rows[:, 1] < 12)
    marks = Marks(OWNER)
    opinion = formed(marks, few)
    assert (opinion.earned, opinion.worth, marks.asked) == (False, None, [])
    assert "12 individuals" in opinion.reason


def test_the_same_catalogue_forms_the_same_opinion() -> None:
    assert formed(Marks(OWNER)) == HELPS


def test_a_search_serves_the_same_trials_as_before() -> None:
    rows = GALLERY.enrolled()
    occasions = sample(rows, Sampling(occasions=10))
    apart = [trial for search in run_searches(GALLERY, GALLERY, rows, occasions) for trial in trials_of(search)]
    assert apart == list(run_trials(GALLERY, GALLERY, rows, occasions))


@given(st.floats(0, 1), st.integers(0, 5))
def test_a_share_that_decided_is_found_again(share: float, seed: int) -> None:
    """Pairs decided by a line through the origin of known slope, with noise of a tenth."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(2000, 2))
    line = rows @ [1 - share, share] + random.logistic(size=2000) * 0.1
    rows[line < 0] *= -1
    found = fitted_share(Pairs(rows, np.ones(len(rows)), np.arange(len(rows))))
    assert found == pytest.approx(share, abs=0.05)


def test_strength_that_speaks_against_the_right_animal_has_no_share() -> None:
    rows = np.column_stack([np.random.default_rng(0).normal(1, 1, 200), np.full(200, -0.3)])
    assert fitted_share(Pairs(rows, np.ones(200), np.arange(200))) == 0
    assert fitted_share(Pairs()) == 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_what_is_lost_more_often_than_gained_is_never_earned(gained: int, lost: int) -> None:
    worth = Worth(200, 0.5, 0.5 + (gained - lost) / 200, 0.4, gained, lost)
    if is_earned(worth):
        assert gained > lost
        assert is_earned(Worth(200, 0.5, 0.5 + (gained + 1 - lost) / 200, 0.4, gained + 1, lost))


def test_five_of_five_is_earned_and_four_of_four_may_be_chance() -> None:
    assert is_earned(Worth(100, 0.5, 0.55, 0.4, gained=5, lost=0))  # 1 in 32
    assert not is_earned(Worth(100, 0.5, 0.54, 0.4, gained=4, lost=0))  # 1 in 16
    assert not is_earned(Worth(10_000, 0.5, 0.509, 0.4, gained=90, lost=0))  # sure, but less than one in a hundred


def test_an_opinion_survives_being_kept() -> None:
    assert Opinion.from_json(json.loads(json.dumps(HELPS.to_json()))) == HELPS
    bare = replace(HELPS, share=0.0, earned=False, worth=None, calibration=None)
    assert Opinion.from_json(json.loads(json.dumps(bare.to_json()))) == bare


@pytest.mark.parametrize(
    "wrong", [{"format": 99}, {"share": 2}, {"calibration": None}, {"worth": {"a": 1}}, {"sightings": "many"}]
)
def test_a_kept_opinion_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(CalibrationRefused, match="measure it again"):
        Opinion.from_json(HELPS.to_json() | wrong)


def test_an_opinion_is_stale_after_a_change_of_a_tenth() -> None:
    assert not HELPS.is_stale(HELPS.sightings + HELPS.sightings // 10)
    assert HELPS.is_stale(HELPS.sightings * 12 // 10)
    assert HELPS.is_stale(HELPS.sightings * 8 // 10)
