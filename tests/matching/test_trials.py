from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from galleries import Gallery, drawn, unit
from hypothesis import given
from hypothesis import strategies as st

from matching.fusion import fuse
from matching.ranking import rank
from matching.trials import Sampling, run_trials, sample

tables = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), max_size=60).map(
    lambda pairs: np.array([(n, i, e) for n, (i, e) in enumerate(pairs)], dtype=np.int64).reshape(-1, 3)
)


@given(tables, st.integers(1, 30), st.integers(1, 4), st.integers(0, 3))
def test_a_sample_is_of_whole_occasions_within_its_caps_and_blind_to_row_order(
    rows: np.ndarray, occasions: int, photos: int, seed: int
) -> None:
    sampling = Sampling(occasions, photos, seed)
    chosen = sample(rows, sampling)
    assert sample(rows[::-1], sampling) == chosen
    of = {(int(i), int(e)): {int(s) for s, j, f in rows if (j, f) == (i, e)} for _, i, e in rows}
    seen = Counter(individual for individual, _ in of)
    assert len(chosen) == min(occasions, len(of))
    assert len({occasion.all for occasion in chosen}) == len(chosen)
    for occasion in chosen:
        assert set(occasion.all) in of.values()
        assert set(occasion.asked) <= set(occasion.all)
        assert len(set(occasion.asked)) == len(occasion.asked) == min(photos, len(occasion.all))
        assert occasion.repeated == (seen[occasion.individual] > 1)


def test_each_individual_is_asked_with_once_before_any_is_twice() -> None:
    rows = np.array([(n, n % 7, n // 7) for n in range(70)], dtype=np.int64)  # 7 individuals of ten encounters
    for occasions, most in ((7, 1), (14, 2), (10, 2)):
        counted = Counter(occasion.individual for occasion in sample(rows, Sampling(occasions)))
        assert max(counted.values()) == most
        assert len(counted) == 7


def test_half_of_a_sample_is_of_individuals_seen_again_where_there_are_so_many() -> None:
    once = [(n, n, n) for n in range(1000)]
    again = [(2000 + n, 2000 + n // 2, 2000 + n) for n in range(40)]
    chosen = sample(np.array(once + again, dtype=np.int64), Sampling(occasions=40))
    assert sum(occasion.repeated for occasion in chosen) == 20
    chosen = sample(np.array(once + again, dtype=np.int64), Sampling(occasions=200))
    assert sum(occasion.repeated for occasion in chosen) == 40


def test_trials_agree_with_asking_a_gallery_that_truly_lacks_the_sightings() -> None:
    gallery = drawn(25, 2)
    rows = gallery.enrolled()
    for occasion in sample(rows, Sampling(occasions=12)):
        trials = list(run_trials(gallery, gallery, rows, [occasion]))
        for known in (True, False):
            lacking = ~np.isin(rows[:, 0], occasion.all) if known else rows[:, 1] != occasion.individual
            rest = gallery.only(lacking)
            rankings = [
                rank(rest.search(vector, len(rest.rows)), {int(s): int(i) for s, i, _ in rest.rows}, photo)
                for photo, vector in enumerate(gallery.vectors(occasion.asked))
            ]
            some = [trial for trial in trials if trial.known == known]
            if known and not occasion.repeated:
                assert not some
                continue
            assert [trial.features.score for trial in some[: len(rankings)]] == pytest.approx([r[0].score for r in rankings])
            assert [t.place == 1 for t in some[: len(rankings)]] == [
                r[0].individual_id == occasion.individual for r in rankings
            ]
            assert sum(trial.share for trial in some) == pytest.approx(1.0)
            if len(rankings) > 1:
                assert some[-1].share == 0.5
                assert some[-1].features.score == pytest.approx(fuse(rankings)[0].score)


def test_a_burst_is_never_its_own_answer() -> None:
    """80 copies of one photo in one encounter, and the same animal once more, far away: only the far one may answer."""
    away = unit([[1.0, 0.2, 0.0]])
    copies = np.repeat(unit([[0.0, 1.0, 0.0]]), 80, axis=0)
    other = unit([[0.0, 0.5, 1.0]])
    rows = np.array([(n, 1, 1) for n in range(80)] + [(80, 1, 2), (81, 2, 3)], dtype=np.int64)
    gallery = Gallery(rows, np.concatenate([copies, away, other]))
    (burst,) = [occasion for occasion in sample(rows, Sampling()) if len(occasion.all) == 80]
    for trial in run_trials(gallery, gallery, rows, [burst]):
        assert trial.features.score < 0.5
        assert trial.place == (2 if trial.known else 0)


def test_an_empty_catalogue_has_no_occasions() -> None:
    assert sample(np.empty((0, 3), dtype=np.int64), Sampling()) == []
