from __future__ import annotations

from math import log

import pytest

from matching.features import NAMES, features
from matching.fusion import fuse
from matching.ranking import rank
from vector_db.port import Neighbour


def test_the_features_of_two_photos_by_hand() -> None:
    owner = {1: 10, 2: 10, 3: 20, 4: 20, 5: 30, 6: 30, 7: 10}
    first = rank(
        [Neighbour(1, 0.9), Neighbour(2, 0.8), Neighbour(3, 0.7), Neighbour(4, 0.6), Neighbour(5, 0.5), Neighbour(7, 0.1)],
        owner,
    )
    second = rank([Neighbour(1, 0.6), Neighbour(3, 0.5), Neighbour(6, 0.4)], owner, 1)
    seen = features(fuse([first, second]), [first, second])
    assert seen is not None
    assert seen.score == pytest.approx(0.75)
    assert seen.margin == pytest.approx(0.75 - 0.6)
    assert seen.agreement == pytest.approx((2 + 1) / (5 + 3))  # of the five and the three nearest; the sixth is not asked
    assert seen.photos == pytest.approx(log(2))


def test_a_single_individual_has_no_margin() -> None:
    alone = rank([Neighbour(1, 0.9)], {1: 10})
    seen = features(fuse([alone]), [alone])
    assert seen is not None
    assert seen.row() == (0.9, 0.0, 1.0, 0.0)
    assert NAMES == ("score", "margin", "agreement", "photos")


def test_nothing_found_has_no_features() -> None:
    assert features((), [()]) is None
