"""The figures of photos whose vectors are laid out by hand: what is left out is left out, and nothing is counted in favour."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from encoder.bundle import load_bundle
from matching.calibration import Calibration
from settings import ROOT
from training.answers import Apart, Labelled
from training.errors import EvaluationRefused
from training.evaluate import _folds, figures, headline
from training.rows import NEW, Row

DAY, NEXT = date(2020, 1, 1), date(2020, 1, 2)


def towards(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def row(path: str, identity: str, encounter: str | None, day: date | None = DAY, view: str = "top") -> Row:
    return Row(path, identity, "beluga", encounter, view, day)


# Animal a: a burst at 0-1 degrees, another encounter of that day at 20, another day at 60. Animal b: at 30 and 90 degrees.
GALLERY = Labelled(
    (
        row("a0", "a", "a1"),
        row("a1", "a", "a2"),
        row("a2", "a", "a3", NEXT),
        row("b0", "b", "b1"),
        row("b1", "b", "b2", NEXT, "left"),
    ),
    towards(0, 20, 60, 30, 90),
)


def test_own_encounter_and_own_date_are_left_out_of_the_gallery() -> None:
    made = figures(GALLERY, Labelled((row("q", "a", "a1"),), towards(1)), rounds=10)
    # The whole gallery: a0, one degree away. Without its encounter: a1 at 19 before b0 at 29. Without its date: b0 is b's photo
    # of that date and is left out too; a2 at 59 before b1 at 89.
    assert (made["top1"], made["cross_encounter"]["top1"], made["cross_date"]["top1"]) == (1.0, 1.0, 1.0)
    # The day's other animals stay: b0 at 29 degrees is preferred to a2 at 59.
    assert made["cross_occasion"]["top1"] == 0.0
    further = figures(GALLERY, Labelled((row("q", "a", "a2"),), towards(18)), rounds=10)
    # Without a2's encounter: b0 at 12 degrees before a0 at 18.
    assert (further["top1"], further["cross_encounter"]["top1"], further["cross_encounter"]["n"]) == (1.0, 0.0, 1)


def test_query_that_is_itself_in_the_gallery_does_not_find_itself() -> None:
    made = figures(GALLERY, Labelled((GALLERY.rows[2],), towards(60)), rounds=10)
    assert made["top1"] == 0.0  # b at 30 degrees away twice over, a at 40


def test_animal_without_other_occasions_is_not_counted_there() -> None:
    gallery = Labelled((row("a0", "a", "a1"), row("b0", "b", "b1")), towards(0, 90))
    made = figures(gallery, Labelled((row("q", "a", "a1"),), towards(1)), rounds=10)
    assert made["n_known"] == 1
    assert made["cross_encounter"].pop("n") == 0
    assert set(made["cross_encounter"].values()) == {None}
    assert made["open_set_cross_occasion"]["n_known"] == 0


def test_encounter_that_is_not_known_is_left_out_rather_than_counted() -> None:
    gallery = [row("x", "a", None), row("y", "a", "e1"), row("z", "b", None), row("w", "b", "e2")]
    queries = [row("q", "a", "e1"), row("r", "a", None), row("s", "a", "e3")]
    allowed = Apart(Labelled(gallery, towards()), Labelled(queries, towards())).masks()["encounter"]
    assert allowed.tolist() == [[False, False, True, True], [False] * 4, [False, True, True, True]]


def test_new_animals_are_told_by_their_low_scores() -> None:
    query = Labelled(
        (row("q", "a", "a9"), row("r", "b", "b9"), row("s", "c", "c1"), row("t", NEW, None)), towards(2, 32, 180, 200)
    )
    made = figures(GALLERY, query, rounds=10)
    assert made["n_known"] == 2
    assert made["open_set"]["n_new"] == 2
    assert made["open_set"]["auroc"] == 1.0
    assert made["open_set"]["at_5%_false_positives"]["recall"] == 1.0
    assert made["open_set"]["at_5%_false_positives"]["specificity"] == 1.0
    assert made["map5_new"] == 1.0


def test_who_does_not_say_when_counts_for_nothing_across_occasions() -> None:
    """Neither a known animal whose photos were only left out, nor a new one of an unknown day, is rejected rightly by that."""
    gallery = Labelled((row("a0", "a", None, None), row("b0", "b", None, None)), towards(0, 90))
    query = Labelled((row("q", "a", None, None), row("r", "c", None, None)), towards(40, 10))
    made = figures(gallery, query, rounds=10)
    assert made["cross_encounter"]["map5_new"] is made["cross_occasion"]["map5_new"] is None
    assert made["open_set_cross_occasion"] == {"n_known": 0, "n_new": 0, "auroc": None, "auroc_95": None}
    assert made["open_set"]["n_new"] == 1
    dated = Labelled((row("q", "a", None, NEXT), row("r", "c", None, DAY), row("s", "c", None, None)), towards(40, 10, 10))
    known = Labelled((row("a0", "a", None, DAY), row("b0", "b", None, DAY)), towards(0, 90))
    assert figures(known, dated, rounds=10)["open_set_cross_occasion"]["n_new"] == 1


def test_a_calibration_is_not_asked_about_what_it_learnt_from() -> None:
    rows = [row(f"{n}-{p}", f"w{n % 5}", f"e{n}") for n in range(20) for p in range(3)]
    gallery = Labelled(rows, towards(*range(60)))
    names, encounter = np.unique([f"{r.identity} {r.encounter}" for r in rows], return_inverse=True)
    fold, learnt_from = _folds(gallery, gallery, names, encounter)
    for place, part in enumerate(fold):
        assert encounter[place] not in encounter[learnt_from[part]]
    assert {len(some) for some in learnt_from} == {48}
    others = Labelled([row("x", "w0", "e0")], towards(1))
    assert [len(some) for some in _folds(gallery, others, names, encounter)[1]] == [60]


def test_figures_are_json_and_the_same_again() -> None:
    query = Labelled((row("q", "a", "a9"), row("s", "c", "c1")), towards(2, 180))
    assert json.dumps(figures(GALLERY, query)) == json.dumps(figures(GALLERY, query))


def test_views_and_gallery_sizes_have_rows_of_their_own() -> None:
    query = Labelled((row("q", "a", "a9"), row("r", "b", "b9", NEXT, "left")), towards(2, 31))
    made = figures(GALLERY, query, rounds=10)
    assert {name: part["n"] for name, part in made["by_viewpoint"].items()} == {"left": 1, "top": 1}
    assert [size["individuals"] for size in made["top1_by_gallery"]] == sorted(
        size["individuals"] for size in made["top1_by_gallery"]
    )
    assert made["top1_by_gallery"][-1] == {"individuals": 2, "top1": made["top1"]}


def test_headline_takes_the_hardest_figure_that_exists() -> None:
    empty = {"top1": None}
    parts = {
        "one": {"top1": 0.9, "cross_encounter": {"top1": 0.5}, "cross_occasion": {"top1": 0.2}},
        "two": {"top1": 0.8, "cross_encounter": {"top1": 0.4}, "cross_occasion": empty},
    }
    assert headline(parts) == pytest.approx(0.3)
    assert headline({}) == 0.0


def test_calibration_is_that_of_serving_fitted_on_the_gallery() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(60, 16))
    rows, vectors = [], []
    for who, centre in enumerate(centres):
        for when in range(3):
            for which in range(2):
                rows.append(Row(f"{who}-{when}-{which}", f"w{who}", None, f"w{who}-{when}", None, date(2020, 1, 1 + when)))
                vectors.append(centre + draw.normal(size=16) * 0.8)
    unit = np.array(vectors, np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    asks = np.array([r.encounter is not None and (r.encounter.endswith("-2") or int(r.identity[1:]) >= 45) for r in rows])

    def some(mask: np.ndarray) -> Labelled:
        return Labelled([r for r, m in zip(rows, mask, strict=True) if m], unit[mask])

    made = figures(some(~asks), some(asks), rounds=10)
    assert made["calibration"]["source"] == "catalogue"
    assert made["calibration"]["n"] == int(asks.sum())
    assert made["calibration"]["ece"] < 0.15
    assert sum(b["weight"] for b in made["calibration"]["reliability"]) == pytest.approx(1)
    few = np.array([int(row.identity[1:]) < 10 for row in rows])
    assert figures(some(~asks & few), some(asks & few), rounds=10)["calibration"]["source"] == "none"
    own = load_bundle(ROOT / "bundles" / "beluga-lite0").calibration
    assert own is not None
    small = figures(some(~asks & few), some(asks & few), rounds=10, shipped=Calibration.from_json(own))
    assert small["calibration"]["source"] == "bundle", "as when it serves"


def test_empty_and_unnamed_galleries_are_refused() -> None:
    with pytest.raises(EvaluationRefused, match="0 photos in the gallery"):
        figures(Labelled((), towards()), GALLERY)
    with pytest.raises(EvaluationRefused, match="1 photos of new_individual"):
        figures(Labelled((row("n", NEW, None),), towards(3)), GALLERY)
