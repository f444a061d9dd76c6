"""Local features from a seed: an animal is a set of marks, and each of its photos shows some of them, turned and moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from encoder.errors import NotAPhoto
from encoder.values import Box, LocalFeatures


def marked(
    animal: int, photo: int, *, marks: int = 40, shown: float = 0.7, stray: int = 20, apart: float = 1.0
) -> LocalFeatures:
    """`animal` below 0: nothing but strays. `apart`: how far a mark's looks differ from photo to photo, in steps."""
    of_animal = np.random.default_rng([7, abs(animal)])
    places = of_animal.uniform(60, 300, (marks, 2))
    looks = of_animal.integers(0, 16, (marks, 128))
    turns = of_animal.uniform(0, 2 * np.pi, marks)
    now = np.random.default_rng([9, abs(animal), photo])
    seen = now.random(marks) < (shown if animal >= 0 else 0.0)
    turn, scale, move = now.uniform(-0.6, 0.6), now.uniform(0.8, 1.25), now.uniform(-30, 30, 2)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.column_stack(
        [places[seen] @ rotation.T * scale + move, np.full(seen.sum(), 6 * scale), (turns[seen] + turn) % (2 * np.pi)]
    )
    others = np.column_stack([now.uniform(0, 400, (stray, 2)), now.uniform(3, 9, stray), now.uniform(0, 2 * np.pi, stray)])
    both = np.clip(looks[seen] + now.normal(0, apart, (seen.sum(), 128)).round(), 0, 15)
    return LocalFeatures(
        np.vstack([points, others]).astype(np.float32),
        np.vstack([both, now.integers(0, 16, (stray, 128))]).astype(np.uint8),
        (100.0, 50.0),
        (2.0, 2.0),
    )


@dataclass
class Marks:
    """Where local features come from: of a gallery's sightings, and of a question, which shows `question`."""

    individual_of: Mapping[int, int]
    shown: bool = True  # False: the marks say nothing of who it is
    gone: frozenset[int] = frozenset()  # sightings whose photo is lost
    asked: list[int] = field(default_factory=list)

    def of_photo(self, data: bytes, box: Box | None = None) -> LocalFeatures:  # noqa: ARG002
        if not data:
            raise NotAPhoto("no photo; give a JPEG")
        return self.question

    def of_sightings(self, sighting_ids: Sequence[int]) -> dict[int, LocalFeatures]:
        self.asked += sighting_ids
        return {s: self.features(s) for s in sighting_ids if s not in self.gone}

    def features(self, sighting: int) -> LocalFeatures:
        animal = self.individual_of[sighting]
        return marked(animal if self.shown else -1 - sighting, sighting)

    question: LocalFeatures = field(default_factory=lambda: marked(0, 0))
