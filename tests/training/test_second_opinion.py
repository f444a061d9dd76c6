from __future__ import annotations

from pathlib import Path

import numpy as np

from demo import animals
from training.answers import Labelled
from training.rows import Row
from training.second_opinion import measure


def test_the_figures_count_only_queries_that_still_have_a_photo_of_their_animal(tmp_path: Path) -> None:
    rows, vectors = [], []
    random = np.random.default_rng(0)
    for animal in range(8):
        for number, encounter in enumerate(("a", "a", "b") if animal < 6 else ("a", "a")):
            name = f"{animal}-{number}.png"
            (tmp_path / name).write_bytes(animals.photo(animal, number, size=(320, 240), encounter=ord(encounter) - ord("a")))
            rows.append(Row(name, f"W{animal}", encounter=f"W{animal}-{encounter}"))
            vectors.append(np.eye(8)[animal] + random.normal(size=8) * 0.1)
    unit = np.array(vectors, np.float32) / np.linalg.norm(vectors, axis=1)[:, None]
    made = measure(Labelled(tuple(rows), unit.astype(np.float32)), range(len(rows)), tmp_path)
    figures = made["most 20"]
    assert isinstance(figures, dict)
    assert figures["all"]["questions"] == 22
    assert figures["encounter"]["questions"] == 18  # of the six animals that were met twice
    assert "date" not in figures  # no photo tells its day
    assert figures["all"]["without"] == 1.0
    assert isinstance(made["compare_ms"], float)
