"""A bundle is judged through serving's own encoder, and its report can be read without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_photos import draw_photos

from encoder.encode import Encoder, open_encoder
from encoder.values import Limits
from training.corruptions import CORRUPTIONS
from training.errors import EvaluationRefused
from training.judge import Judged, damage, encode_rows, judge
from training.report import roc, write_report
from training.rows import Finding, Row, Table

COARSE = np.random.default_rng(0).integers(40, 200, (120, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder(root: Path) -> Iterator[Encoder]:
    opened = open_encoder(root / "bundles" / "starter-lite0")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def judged(encoder: Encoder, images: Path) -> Judged:
    rows = draw_photos(images, individuals=3, encounters=2, photos=2).rows
    gallery = tuple(row for row in rows if row.path.endswith("-0.png") and row.identity != "w2")
    asks = (*(row for row in rows if row not in gallery), Row("absent.png", "w0"))
    return judge(encoder, Table("g", gallery), Table("q", asks), images, robustness=True)


def test_judging_gives_all_that_evaluate_promises(judged: Judged, encoder: Encoder) -> None:
    made = judged.figures
    assert {"n_query", "top1", "top5", "map", "cross_encounter", "cross_date", "open_set", "calibration"} <= set(made)
    assert made["bundle"] == encoder.bundle_id
    assert made["photos_per_s"] > 0
    assert (made["n_query"], made["n_known"], made["open_set"]["n_new"]) == (8, 4, 4)
    assert json.loads(json.dumps(made)) == made


def test_photo_that_serving_refuses_is_set_aside_with_its_reason(judged: Judged) -> None:
    (one,) = judged.set_aside
    assert one.row.path == "absent.png"
    assert "no such file" in one.reason
    assert judged.figures["set_aside"] == 1


def test_rows_that_a_table_could_not_give_are_counted_as_set_aside(encoder: Encoder, images: Path) -> None:
    rows = draw_photos(images, individuals=2, encounters=1, photos=2).rows
    bad = (
        Finding("error", "date", 5, "a.png", "the date is none"),
        Finding("error", "box", 5, "a.png", "the box is none"),  # of the same row
        Finding("warning", "loose", 0, "b.png", "in no folder"),
    )
    made = judge(encoder, Table("g", rows[::2], bad), Table("q", rows[1::2], bad[:1]), images)
    assert made.figures["set_aside"] == 2


def test_a_folder_that_holds_none_of_the_photos_is_refused(encoder: Encoder, images: Path, tmp_path: Path) -> None:
    rows = draw_photos(images, individuals=2, encounters=1, photos=2).rows
    with pytest.raises(EvaluationRefused, match=r"None of the 4 photos of the gallery .* no such file.* --images"):
        judge(encoder, Table("g", rows), Table("q", rows), tmp_path)
    with pytest.raises(EvaluationRefused, match="None of the 1 photos of the query"):
        judge(encoder, Table("g", rows), Table("q", (Row("absent.png", "w0"),)), images)


def test_robustness_states_the_drop_of_each_corruption(judged: Judged) -> None:
    assert set(judged.figures["robustness"]) == set(CORRUPTIONS)
    for made in judged.figures["robustness"].values():
        assert made["middle"]["n"] == 8
        assert made["middle"]["drop"] == pytest.approx(1 - made["middle"]["top1"] / judged.figures["top1"])


def test_photo_that_serving_refuses_once_it_is_damaged_is_one_that_is_not_found(encoder: Encoder, tmp_path: Path) -> None:
    rows = draw_photos(tmp_path, individuals=2, encounters=1, photos=2).rows
    for row in rows:  # so bright that more light leaves an even white
        path = str(tmp_path / row.path)
        cv2.imwrite(path, (190 + cv2.imread(path) / 5).astype(np.uint8))
    made = judge(encoder, Table("g", rows[::2]), Table("q", rows[1::2]), tmp_path, robustness=True).figures
    assert made["top1"] == 1.0
    assert made["robustness"]["brighter"]["middle"] == {"n": 2, "refused": 2, "top1": 0.0, "drop": 1.0}
    assert made["robustness"]["darker"]["middle"]["refused"] == 0


def test_report_stands_alone_and_shows_the_worst_confusions_as_pairs(judged: Judged, images: Path, tmp_path: Path) -> None:
    # Names swapped: what is found is then wrong, so there are confusions to show.
    swapped = tuple(
        Row(r.path, {"w0": "w1", "w1": "w0"}.get(r.identity, r.identity), r.species, r.encounter) for r in judged.query.rows
    )
    wrong = Judged(judged.figures, judged.gallery, type(judged.query)(swapped, judged.query.vectors), ())
    page = write_report(wrong, images, tmp_path / "report").read_text()
    assert json.loads((tmp_path / "report" / "figures.json").read_text()) == judged.figures
    assert page.count("data:image/jpeg;base64,") == 2 * page.count(" taken for ")
    assert page.count(" taken for ") >= 3
    assert "http" not in page
    assert page.count("<svg") == 5
    for said in (
        "top-1 without their own",
        "<td>drawn<td>4",
        "<td>top<td>4",
        "noise, middle",
        "photos a second",
        "1 row was set aside",
    ):
        assert said in page, said
    for share in ("1%", "5%"):
        point = judged.figures["open_set"][f"at_{share}_false_positives"]
        assert f"<tr><td>{share}<td>{point['threshold']:.3f}<td>" in page


def test_report_without_new_animals_says_why_there_are_no_curves(encoder: Encoder, images: Path, tmp_path: Path) -> None:
    rows = draw_photos(images, individuals=3, encounters=2, photos=2).rows
    known = judge(encoder, Table("g", rows), Table("q", rows), images)
    page = write_report(known, images, tmp_path).read_text()
    assert "take queries of both" in page
    assert page.count("<svg") == 3
    assert "<td>&lt; 8<td>" in page


def test_roc_runs_from_nothing_accepted_to_everything() -> None:
    points = roc(np.array([0.9, 0.8, 0.3]), np.array([0.1, 0.4]))
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(points))
    assert max(y - x for x, y in points) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_stronger_corruption_changes_more_and_is_the_same_again(name: str) -> None:
    row = Row("a.jpg", "w")
    changes = [np.abs(damage(CORRUPTIONS[name], s)(row, COARSE).astype(int) - COARSE).mean() for s in range(3)]
    assert 0 < changes[0] < changes[1] < changes[2]
    one, two = (damage(CORRUPTIONS[name], 1)(row, COARSE) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == COARSE.shape


def test_photos_are_read_up_to_the_limits_of_the_encoder_that_is_judged(encoder: Encoder, images: Path) -> None:
    rows = draw_photos(images, individuals=2, encounters=1, photos=2).rows
    least = min((images / row.path).stat().st_size for row in rows)
    with closing(open_encoder(encoder.bundle.folder, limits=Limits(max_bytes=least))) as strict:
        made, aside = encode_rows(strict, rows, images)
    assert 0 < len(made.rows) < len(rows)
    assert all(f"more than the {least:,} that are read" in one.reason for one in aside)
