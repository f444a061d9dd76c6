"""Of each query the numbers that figures are made of, whatever the blocks that they were made in."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training.answers
from encoder.values import Box
from training.answers import WAYS, Answers, Apart, Labelled, answers, ask
from training.rows import Row

DAY = date(2020, 1, 1)
NEXT = DAY + timedelta(days=1)


def bare(*rows: Row) -> Labelled:
    return Labelled(rows, np.zeros((len(rows), 2), np.float32))


def test_what_midnight_parted_is_left_out_by_date_and_by_occasion() -> None:
    gallery = bare(
        Row("before", "w", encounter="e", date=DAY),
        Row("after", "w", encounter="e", date=NEXT),
        Row("undated", "w", encounter="e"),
        Row("later", "w", encounter="f", date=NEXT + timedelta(days=1)),
        Row("other", "v", encounter="e", date=DAY),
        Row("never", "w"),
    )
    left = Apart(gallery, bare(Row("q", "w", encounter="e", date=DAY), Row("r", "w"))).masks()
    assert left["whole"].all()
    assert left["occasion"].tolist() == [[False, False, False, True, True, False], [False] * 6]
    assert left["date"].tolist() == [[False, False, False, True, False, False], [False] * 6]
    assert left["encounter"].tolist() == [[False, False, False, True, True, False], [False] * 6]


@pytest.mark.parametrize("joining", [Row("q", "w", encounter="e", date=NEXT), Row("q", "w", encounter="e")])
def test_a_query_may_join_what_the_gallery_alone_does_not(joining: Row) -> None:
    gallery = bare(Row("a", "w", encounter="e", date=DAY), Row("b", "w", date=NEXT))
    assert Apart(gallery, bare(joining)).masks()["occasion"].tolist() == [[False, joining.date is None]]


def test_neither_a_copy_nor_another_box_of_the_same_animal_finds_the_photo() -> None:
    photo = Row("a.jpg", "a", box=Box(10, 10, 100, 50))
    gallery = replace(bare(photo, Row("b.jpg", "b")), bytes_of={"a.jpg": "1", "b.jpg": "2"})
    asking = (
        replace(photo, box=Box(11, 10, 99, 50)),
        replace(photo, box=None),
        replace(photo, path="copy.jpg"),
        replace(photo, box=Box(200, 10, 100, 50)),  # its companion
        replace(photo, path="other.jpg"),
    )
    query = replace(bare(*asking), bytes_of={"a.jpg": "1", "copy.jpg": "1", "other.jpg": "3"})
    assert Apart(gallery, query).masks()["whole"].tolist() == [[False, True]] * 3 + [[True, True]] * 2


def photos(draw: np.random.Generator, count: int, names: str) -> Labelled:
    rows = [
        Row(
            f"{draw.integers(6)}.jpg",
            str(draw.choice(list(names))),
            encounter=str(draw.integers(3)) if draw.random() < 0.8 else None,
            date=DAY + timedelta(days=int(draw.integers(3))) if draw.random() < 0.8 else None,
        )
        for _ in range(count)
    ]
    return Labelled(rows, draw.integers(-2, 3, (count, 3)).astype(np.float32))  # whole numbers: scores tie, and are exact


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 6))
def test_answers_are_those_of_counting_photo_by_photo(seed: int, many: int, queries: int) -> None:
    draw = np.random.default_rng(seed)
    asked = ask(photos(draw, many, "abcd"), photos(draw, queries, "abcdz"))
    part = draw.random(len(asked.names)) < 0.5
    made = answers(asked, among=[part])
    allowed = asked.apart.masks()
    for way in WAYS:
        for q, truth in enumerate(asked.truth):
            seen = {n: float(asked.query.vectors[q] @ asked.gallery.vectors[n]) for n in np.flatnonzero(allowed[way][q])}
            score: dict[int, float] = {}
            for n, one in seen.items():
                score[int(asked.owner[n])] = max(one, score.get(int(asked.owner[n]), -np.inf))
            own = score.get(int(truth), -np.inf)
            ahead = [who for who, one in score.items() if who != truth and one >= own]
            given_ = Answers(*(getattr(made[way], f.name)[q] for f in fields(Answers)))
            assert given_.best == pytest.approx(max(score.values(), default=-np.inf))
            assert given_.own == pytest.approx(own)
            assert given_.five == pytest.approx(sorted([*score.values(), *[-np.inf] * 5], reverse=True)[:5])
            if seen:
                assert score[int(given_.winner)] == pytest.approx(given_.best)
                assert seen[int(given_.nearest)] == pytest.approx(given_.best)
            if np.isfinite(own):
                assert given_.rank == len(ahead)
                assert given_.rank_among[0] == sum(bool(part[who]) for who in ahead)
                mine = sorted((one for n, one in seen.items() if asked.owner[n] == truth), reverse=True)
                others = [one for n, one in seen.items() if asked.owner[n] != truth]
                precisions = [i / (i + sum(o >= one for o in others)) for i, one in enumerate(mine, 1)]
                assert given_.precision == pytest.approx(np.mean(precisions))
            else:
                assert np.isnan(given_.precision)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(4)
    gallery, query = photos(draw, 40, "abcdefg"), photos(draw, 30, "abcdefgz")
    whole = answers(ask(gallery, query))
    monkeypatch.setattr(training.answers, "PAIRS", 7 * 40)
    blocks = answers(ask(gallery, query))
    for way in WAYS:
        for f in fields(Answers):
            np.testing.assert_allclose(getattr(whole[way], f.name), getattr(blocks[way], f.name))


def test_a_tie_counts_against_the_encoder() -> None:
    both = np.array([[1, 0], [1, 0]], np.float32)
    asked = ask(Labelled((Row("a", "a"), Row("b", "b")), both), Labelled((Row("q", "a"),), both[:1]))
    (whole,) = answers(asked, ["whole"]).values()
    assert whole.hits().tolist() == [False]
    assert whole.hits(2).tolist() == [True]
    assert whole.precision.tolist() == [0.5]


def test_retrieval_figures_equal_pytorch_metric_learning() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    accuracy = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator", reason="needs the extra train")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    draw = np.random.default_rng(5)
    gallery, query = (
        v / np.linalg.norm(v, axis=1, keepdims=True) for v in (draw.normal(size=(60, 8)), draw.normal(size=(25, 8)))
    )
    owner, truth = draw.integers(0, 9, 60), draw.integers(0, 9, 25)
    find = inference.CustomKNN(__import__("pytorch_metric_learning").distances.CosineSimilarity())
    theirs = accuracy.AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision"), k=60, knn_func=find
    ).get_accuracy(*(torch.from_numpy(a) for a in (query, truth, gallery, owner)))
    found, asking = (
        Labelled([Row(f"{kind}{n}", str(one)) for n, one in enumerate(names)], vectors.astype(np.float32))
        for kind, names, vectors in (("g", owner, gallery), ("q", truth, query))
    )
    (whole,) = answers(ask(found, asking), ["whole"]).values()
    assert whole.hits().mean() == pytest.approx(theirs["precision_at_1"])
    assert whole.precision.mean() == pytest.approx(theirs["mean_average_precision"])
