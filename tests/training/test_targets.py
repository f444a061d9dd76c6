from __future__ import annotations

from training.targets import targets


def test_each_target_is_met_missed_or_not_measured() -> None:
    made = {
        "open_set": {"at_5%_false_positives": {"precision": 0.8, "recall": 0.85, "specificity": 0.95, "f1": 0.61}},
        "photos_per_s": 0.1,
        "robustness": {"blur": {"middle": {"drop": 0.1}}, "noise": {"middle": {"drop": 0.25}}},
    }
    said = {name: one["met"] for name, one in targets(made).items()}
    assert said == {
        "precision": True,
        "recall": False,
        "specificity": True,
        "f1": True,
        "seconds_a_photo": False,
        "largest_drop": False,
    }
    assert targets(made)["seconds_a_photo"]["value"] == 10.0
    unknown = targets({"open_set": {"auroc": None}})
    assert {one["met"] for one in unknown.values()} == {None}
