"""The starter's projection: a discriminant that looks away from what changes between photos of one animal."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")
pytest.importorskip("openvino", reason="needs the extra openvino")

from training import starter  # noqa: E402
from training.discriminant import Kind, discriminant  # noqa: E402
from training.starter import RIDGE, measure, two_fold  # noqa: E402


def kind(seed: int, animals: int = 60) -> Kind:
    """16 numbers a photo: the first eight are the animal's, the next four the encounter's and twice as loud."""
    draw = np.random.default_rng(seed)
    photos = []
    for animal in range(animals):
        own = draw.standard_normal(8)
        for encounter in range(3):
            day = 2 * draw.standard_normal(4)
            for _ in range(2):
                noise = 0.3 * draw.standard_normal(16)
                photos.append((np.concatenate([own, day, np.zeros(4)]) + noise, animal, animal * 3 + encounter))
    features, animal_of, encounter_of = zip(*photos, strict=True)
    return Kind(f"kind {seed}", np.array(features), np.array(animal_of), np.array(encounter_of))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "DIMENSION", 8)


def test_the_discriminant_finds_the_animals_and_looks_away_from_the_day() -> None:
    centre, matrix = discriminant([kind(1), kind(2)], 8, RIDGE)
    assert matrix.shape == (16, 8)
    weight = np.abs(matrix).sum(axis=1)
    assert weight[:8].mean() > 1.5 * weight[8:12].mean()
    held = kind(3)
    plain = measure(held, np.zeros(16), np.eye(16))
    fitted = measure(held, centre, matrix)
    assert fitted["cross_encounter_top1"] > 1.25 * plain["cross_encounter_top1"]


def test_cross_encounter_leaves_the_own_encounter_out() -> None:
    """Two animals, each two encounters of two equal photos; across encounters each resembles the other animal."""
    features = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0.1, 1], [0.1, 1], [1, 0.1], [1, 0.1]], float)
    animal = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    encounter = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    made = measure(Kind("k", features, animal, encounter), np.zeros(2), np.eye(2))
    assert made == {"top1": 1.0, "cross_encounter_top1": 0.0, "queries": 8}


def test_two_folds_measure_each_animal_once() -> None:
    made = two_fold([kind(1)])
    assert set(made) == {"kind 1"}
    assert made["kind 1"]["queries"] == 60 * 6 / 2
    assert made["kind 1"]["cross_encounter_top1"] > made["kind 1"]["random_cross_encounter_top1"]
