from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from galleries import Gallery, drawn, unit

from matching.calibration import Calibration
from matching.decision import decide, expected
from matching.features import Features
from matching.fit import across, bars, calibrate, calibration_error, fit, tabulate
from matching.trials import Occasion, Sampling, Trial, run_trials, sample


def trial(individual: int, known: bool, score: float, place: int = 1, share: float = 1.0) -> Trial:
    return Trial(individual, known, place if known else 0, share, Features(score, 0.1, 0.5, 0.0))


def spread(low: float, high: float, count: int) -> list[float]:
    return np.linspace(low, high, count).tolist()


@pytest.fixture(scope="module")
def asked() -> tuple[Calibration, list[Trial]]:
    """A catalogue of 150 individuals of middling likeness, and what 450 animals say that took no part in its calibration:
    sightings of the same individuals on a further occasion, and of 300 that are new."""
    world = drawn(450, 11, apart=0.9)
    rows = world.rows
    inside = rows[:, 1] < 150
    last = {int(i): max(e for _, j, e in rows.tolist() if j == i) for i in range(450)}
    again = np.array(
        [i < 150 and e == last[i] and len({f for _, j, f in rows.tolist() if j == i}) > 1 for _, i, e in rows.tolist()]
    )
    gallery = world.only(inside & ~again)
    calibration = calibrate(gallery, gallery)
    questions = []
    for individual in range(450):
        of = tuple(s for s, i, e in rows.tolist() if i == individual and e == last[individual])
        known = individual < 150 and bool(again[rows[:, 0] == of[0]][0])
        if known or individual >= 150:
            asking = Both(gallery, world)
            occasion = Occasion(individual, int(known), of[:3], of)
            questions += [t for t in run_trials(asking, asking, gallery.rows, [occasion]) if t.known == known]
    return calibration, questions


class Both(Gallery):
    """Searches one gallery with vectors that another knows."""

    def __init__(self, searched: Gallery, known: Gallery) -> None:
        super().__init__(searched.rows, searched.matrix)
        self._known = known

    def vectors(self, sighting_ids: object) -> np.ndarray:
        return self._known.vectors(sighting_ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("accepted", [0.02, 0.05, 0.1, 0.2])
def test_no_more_than_the_accepted_share_of_unseen_new_animals_is_called_known(
    asked: tuple[Calibration, list[Trial]], accepted: float
) -> None:
    calibration, questions = asked
    new = [t for t in questions if not t.known]
    called = sum(t.share for t in new if decide(t.features, calibration, accepted).kind == "known") / 300
    spare = 3 * (accepted * (1 - accepted) * (1 / 300 + 1 / 150)) ** 0.5  # of 300 asked and of the 150 the bar rests on
    assert called <= accepted + spare
    assert expected(calibration, accepted).false_match <= accepted  # type: ignore[operator]


def test_the_rates_that_are_stated_come_true(asked: tuple[Calibration, list[Trial]]) -> None:
    calibration, questions = asked
    known = [t for t in questions if t.known]
    occasions = sum(t.share for t in known)
    stated = expected(calibration, 0.05)
    kinds = [decide(t.features, calibration, 0.05).kind for t in known]
    named = sum(t.share for t, kind in zip(known, kinds, strict=True) if kind == "known" and t.place == 1) / occasions
    misnamed = sum(t.share for t, kind in zip(known, kinds, strict=True) if kind == "known" and t.place != 1) / occasions
    false_new = sum(t.share for t, kind in zip(known, kinds, strict=True) if kind == "new") / occasions
    for stated_share, share in ((stated.named, named), (stated.misnamed, misnamed), (stated.false_new, false_new)):
        assert stated_share is not None
        assert abs(stated_share - share) <= 3 * (max(share, 0.02) * (1 - share) * 2 / occasions) ** 0.5
    assert named > 0.4  # the world was drawn so that there is something to name


def test_probabilities_are_right_as_often_as_they_say(asked: tuple[Calibration, list[Trial]]) -> None:
    calibration, questions = asked
    sheet = tabulate(questions, calibration.new_share)
    chances = np.array([calibration.chances(calibration.confidence(t.features)) for t in questions])
    assert calibration_error(chances[:, 0], sheet.right, sheet.weight) < 0.07
    assert calibration_error(chances[:, 1], ~sheet.known, sheet.weight) < 0.07
    assert calibration.basis.error_right is not None
    assert calibration.basis.error_right < 0.07


class Turned(Gallery):
    """The same gallery, whose catalogue gives its rows in another order."""

    def enrolled(self) -> np.ndarray:
        return super().enrolled()[::-1]


def test_a_calibration_is_the_same_each_time_and_whatever_the_order_of_rows() -> None:
    gallery = drawn(40, 3)
    turned = Turned(gallery.rows, gallery.matrix)
    assert calibrate(gallery, gallery) == calibrate(turned, turned) == calibrate(gallery, gallery)


def test_a_calibration_made_obeys_its_laws_and_survives_json(asked: tuple[Calibration, list[Trial]]) -> None:
    calibration, _ = asked
    assert Calibration.from_json(calibration.to_json()) == calibration
    along = [calibration.chances(z) for z in spread(-20, 20, 400)]
    assert all(a[0] <= b[0] and a[1] >= b[1] for a, b in pairwise(along))
    assert all(right + new <= 1 for right, new in along)
    bars = [calibration.bar(z).new for z in spread(-20, 20, 400)]
    assert bars == sorted(bars, reverse=True)
    assert calibration.source == "catalogue"
    assert not calibration.basis.optimistic


def test_the_bars_count_individuals_by_hand() -> None:
    """New: animals 1 and 2 asked once, 3 twice. Known: two with the right one on top, two with a wrong one."""
    new = [trial(1, False, 0), trial(2, False, 0), trial(3, False, 0), trial(3, False, 0)]
    known = [trial(4, True, 0), trial(5, True, 0, place=2), trial(6, True, 0), trial(7, True, 0, place=0)]
    confidence = np.array([1.0, 2.0, 3.0, 0.5, 2.5, 2.75, 4.0, 0.0])
    found = {bar.confidence: (bar.new, bar.named, bar.misnamed) for bar in bars(confidence, tabulate([*new, *known], 0.3))}
    assert found[3.0] == pytest.approx((1 / 4, 1 / 4, 0))  # of three animals none is above, but the one asked about counts
    assert found[2.0] == pytest.approx(((1 + 1 / 2) / 4, 2 / 4, 1 / 4))  # half of animal 3's questions
    assert found[1.0] == pytest.approx(((1 + 1 + 1 / 2) / 4, 2 / 4, 1 / 4))


def test_a_trial_is_never_above_its_own_bar() -> None:
    """Confidences are kept to six digits; rounded down, the surest new animal would count twice."""
    sheet = tabulate([*[trial(i, False, 0) for i in range(9)], *[trial(i, True, 0) for i in range(9)]], 0.3)
    for nth in range(1, 50):
        confidence = np.r_[np.arange(1, 10), np.zeros(9)] / (nth + 1 / 3)
        assert bars(confidence, sheet)[-1].new == pytest.approx(1 / 10)


def test_what_an_individual_taught_is_not_in_the_figures_of_its_own_trials() -> None:
    gallery = drawn(40, 5)
    sheet = tabulate(list(run_trials(gallery, gallery, gallery.rows, sample(gallery.rows, Sampling()))), 0.3)
    for individual in range(0, 40, 5):
        mine = sheet.individual == individual
        lied = replace(
            sheet, place=np.where(mine, 3 - sheet.place, sheet.place), known=np.where(mine, ~sheet.known, sheet.known)
        )
        for honest, other in zip(across(sheet), across(lied), strict=True):
            assert honest[mine].tolist() == other[mine].tolist()
            assert honest[~mine].tolist() != other[~mine].tolist()


def test_few_animals_support_no_strict_operating_point() -> None:
    new = [trial(i, False, (i + 1) / 100) for i in range(39)]
    made = fit(new + [trial(i, True, 0.5 + i / 100) for i in range(39)], new_share=0.3, sightings=78, optimistic=False, data="")
    clear = Features(0.8, 0.1, 0.5, 0.0)
    assert decide(clear, made, 1 / 40).kind == "known"
    assert decide(clear, made, 0.024).kind == "unsure"
    assert expected(made, 0.024).named == 0.0


def test_no_probability_is_surer_than_one_occasion_more_might_be() -> None:
    """60 occasions, all told apart: Platt's targets leave one of them to chance."""
    new = [trial(i, False, 0.1 + i / 1000) for i in range(30)]
    made = fit(
        [*new, *[trial(i, True, 0.9 + i / 1000) for i in range(30)]], new_share=0.3, sightings=60, optimistic=False, data=""
    )
    clear, strange = (made.chances(made.confidence(Features(score, 0.1, 0.5, 0.0))) for score in (0.92, 0.11))
    assert 0.9 < clear[0] < 43 / 44  # known animals weigh .7 of the 60 occasions
    assert 0.8 < strange[1] < 1 - 1 / 20


def test_the_places_after_a_wrong_first_are_counted_and_sorted() -> None:
    """Of ten occasions with a wrong one on top, one stood second, three third, six nowhere; one more is counted nowhere."""
    known = [trial(i, True, 0.5 + i / 100, place) for i, place in enumerate([2, 3, 3, 3, 0, 0, 0, 0, 0, 0, *[1] * 20])]
    made = fit(
        [*known, *[trial(i, False, 0.4 + i / 100) for i in range(30)]], new_share=0.5, sightings=60, optimistic=False, data=""
    )
    assert made.places[:3] == pytest.approx([3 / 11, 1 / 11, 0])


def test_an_individual_asked_with_often_counts_once() -> None:
    once = [trial(i, False, i / 40) for i in range(30)]
    often = [trial(99, False, 0.9) for _ in range(50)]
    sheet = tabulate([*once, *often, *[trial(i, True, 0.8) for i in range(30)]], 0.3)
    assert sheet.weight[30:80].sum() == pytest.approx(sheet.weight[0])
    assert sheet.weight[sheet.known].sum() / sheet.weight.sum() == pytest.approx(0.7)


def test_a_larger_share_of_new_animals_makes_every_animal_likelier_new() -> None:
    gallery = drawn(40, 5)
    trials = list(run_trials(gallery, gallery, gallery.rows, sample(gallery.rows, Sampling())))
    few, many = (fit(trials, new_share=s, sightings=1, optimistic=False, data="") for s in (0.1, 0.6))
    for t in trials[::20]:
        assert few.chances(few.confidence(t.features))[1] < many.chances(many.confidence(t.features))[1]


@pytest.mark.parametrize("individuals", [0, 1, 2, 19])
def test_a_catalogue_too_small_says_so_and_lets_the_bundle_answer(
    individuals: int, asked: tuple[Calibration, list[Trial]]
) -> None:
    world = drawn(20, 4)
    gallery = world.only(world.rows[:, 1] < individuals)
    made = calibrate(gallery, gallery)
    assert made.source == "none"
    assert f"the catalogue has {individuals} individual{'' if individuals == 1 else 's'}, " in made.reason
    assert "needs 20" in made.reason
    assert gallery.asked == []  # no search was spent on it
    bundled = calibrate(gallery, gallery, bundle=asked[0])
    assert bundled.source == "bundle"
    assert bundled.sightings == len(gallery.rows)
    assert replace(bundled, source=asked[0].source, reason=asked[0].reason, sightings=asked[0].sightings) == asked[0]


def test_individuals_seen_once_each_teach_nothing_of_known_animals() -> None:
    gallery = drawn(60, 4, occasions=1)
    made = calibrate(gallery, gallery)
    assert made.source == "none"
    assert "0 seen in two encounters" in made.reason


def test_where_no_encounter_has_two_photos_the_calibration_calls_itself_optimistic() -> None:
    world = drawn(40, 6)
    rows = world.rows.copy()
    rows[:, 2] = rows[:, 0]  # nobody wrote down which photos belong together
    assert calibrate(Gallery(rows, world.matrix), Gallery(rows, world.matrix)).basis.optimistic


def test_the_cost_is_one_search_a_photo_whatever_the_size() -> None:
    gallery = drawn(120, 7)
    calibrate(gallery, gallery, sampling=Sampling(occasions=50, photos=2))
    assert len(gallery.asked) <= 100


def test_calibration_error_by_hand() -> None:
    weight = np.ones(100)
    stated = np.repeat([0.2, 0.9], 50)
    came = np.r_[np.arange(50) < 10, np.arange(50) < 40]  # .2 came true as often as stated, .9 in four of five cases
    assert calibration_error(stated, came, weight) == pytest.approx(0.05)
    assert calibration_error(stated, came[::-1], weight) == pytest.approx((0.6 + 0.7) / 2)
    assert calibration_error(np.full(10, 0.5), np.arange(10) < 5, np.ones(10)) == 0
    assert calibration_error(np.array([1.0, 0.0]), np.array([False, True]), np.array([3.0, 1.0])) == 1


@pytest.mark.parametrize(("occasions", "told"), [(2, 0), (3, 9)])
def test_scores_are_held_against_trials_where_those_find_nearly_as_much_as_questions(occasions: int, told: int) -> None:
    """Two photos an occasion: each is asked by itself, and both together, as a known and as a new animal."""
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(size=(30, 32)), occasions * 2, axis=0)
    number = np.arange(len(centres))
    rows = np.column_stack([number + 1, number // (occasions * 2), number // 2])
    gallery = Gallery(rows, unit(centres + random.normal(size=centres.shape)))
    made = calibrate(gallery, gallery)
    assert len(made.tenths) == told
    assert made.basis.single_trials == 2 * len(rows)
    assert made.basis.known_trials + made.basis.new_trials == 3 * len(rows)
