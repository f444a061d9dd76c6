"""Each kind of damage to a data set gets its own message, at its own row."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest

from encoder.values import Box
from training.errors import DataRefused
from training.rows import NEW, Finding, Row, Table
from training.validate import refuse_errors, save_findings, validate

Damage = Callable[[Path], list[Row]]


def photo(folder: Path, name: str, seed: int, quality: int = 92) -> Path:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
    target = folder / name
    assert cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return target


def sound(folder: Path) -> list[Row]:
    """Two animals of two photos each, nothing wrong."""
    rows = [Row(f"{n}.jpg", f"w{n // 2}", encounter=f"e{n}", date=date(2020, 1, 1 + n), line=n + 2) for n in range(4)]
    for n, row in enumerate(rows):
        photo(folder, row.path, n)
    return rows


def findings(folder: Path, rows: list[Row]) -> tuple[Finding, ...]:
    return validate(Table("t.csv", tuple(rows)), folder, today=date(2024, 1, 1))


def test_sound_data_has_no_findings(tmp_path: Path) -> None:
    assert findings(tmp_path, sound(tmp_path)) == ()


def added(row: Row, make: Callable[[Path], object] = lambda _: None) -> Damage:
    def damage(folder: Path) -> list[Row]:
        rows = sound(folder)
        make(folder)
        return [*rows, row]

    return damage


def copied(source: str, target: str) -> Callable[[Path], object]:
    return lambda folder: (folder / target).write_bytes((folder / source).read_bytes())


def grey(folder: Path) -> None:
    cv2.imwrite(str(folder / "x.png"), np.full((64, 64, 3), 90, np.uint8))


DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "photo-missing": (added(Row("absent.jpg", "w0", line=9)), "error", "no such file"),
    "photo-missing (a folder)": (added(Row("x.jpg", "w0", line=9), lambda f: (f / "x.jpg").mkdir()), "error", "x.jpg"),
    "not-a-photo": (added(Row("x.jpg", "w0", line=9), lambda f: (f / "x.jpg").write_text("text")), "error", ""),
    "not-a-photo (no bytes)": (added(Row("x.jpg", "w0", line=9), lambda f: (f / "x.jpg").touch()), "error", "zero bytes"),
    "box-outside": (added(Row("0.jpg", "w0", box=Box(90, 0, 20, 20), line=9)), "error", "box"),
    "no-detail": (added(Row("x.png", "w0", line=9), grey), "error", "even grey"),
    "two-individuals": (added(Row("0.jpg", "w1", line=9)), "error", "is w1 here and w0 on line 2"),
    "two-individuals (a box beside none)": (added(Row("0.jpg", "w1", box=Box(0, 0, 96, 95), line=9)), "error", "lacks a box"),
    "repeated": (added(Row("0.jpg", "w0", line=9)), "warning", "line 2; it would count twice"),
    "same-bytes": (added(Row("x.jpg", "w1", line=9), copied("0.jpg", "x.jpg")), "error", "the same bytes as 0.jpg (line 2)"),
    "copy": (added(Row("x.jpg", "w0", line=9), copied("0.jpg", "x.jpg")), "warning", "a copy of 0.jpg (line 2)"),
    "near-duplicate": (
        added(Row("x.jpg", "w1", line=9), lambda f: photo(f, "x.jpg", 0, 60)),
        "warning",
        "nearly the same as 0.jpg",
    ),
    "single": (added(Row("x.jpg", "w7", line=9), lambda f: photo(f, "x.jpg", 9)), "warning", "w7 has one photo"),
    "unnamed": (added(Row("x.jpg", NEW, line=9), lambda f: photo(f, "x.jpg", 9)), "warning", "1 photos are new_individual"),
    "future": (
        added(Row("x.jpg", "w0", date=date(2024, 1, 2), line=9), lambda f: photo(f, "x.jpg", 9)),
        "error",
        "has not come yet",
    ),
    "long-encounter": (
        added(Row("x.jpg", "w0", encounter="e0", date=date(2023, 1, 1), line=2), lambda f: photo(f, "x.jpg", 9)),
        "warning",
        "spans 2 dates",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_gets_its_message_at_its_row(tmp_path: Path, kind: str) -> None:
    damage, severity, said = DAMAGES[kind]
    (finding,) = findings(tmp_path, damage(tmp_path))
    assert finding.kind == kind.partition(" (")[0]
    assert finding.severity == severity
    assert finding.line == (2 if kind == "long-encounter" else 9)
    assert said in finding.message


def test_truncated_photo_is_an_error(tmp_path: Path) -> None:
    rows = sound(tmp_path)
    whole = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes(whole[: len(whole) // 8])
    (finding,) = findings(tmp_path, rows)
    assert (finding.severity, finding.line) == ("error", 2)


def test_one_individual_alone_cannot_be_trained_on(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, sound(tmp_path)[:2])
    assert finding.kind == "one-individual"
    unnamed = [replace(row, identity=NEW) for row in sound(tmp_path)]
    (of_nobody,) = (one for one in findings(tmp_path, unnamed) if one.kind == "one-individual")
    assert "none has a name" in of_nobody.message
    named = [*unnamed[:-1], replace(unnamed[-1], identity="W1")]
    (of_one,) = (one for one in findings(tmp_path, named) if one.kind == "one-individual")
    assert "all photos that have a name are of W1" in of_one.message


def test_refusal_names_five_rows_and_counts_the_rest(tmp_path: Path) -> None:
    rows = [*sound(tmp_path), *(Row(f"absent{n}.jpg", "w0", line=n) for n in range(10, 18))]
    with pytest.raises(DataRefused) as refused:
        refuse_errors(findings(tmp_path, rows))
    assert str(refused.value).startswith("8 rows must be mended")
    assert str(refused.value).count("absent") >= 5
    assert "and 3 more" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_findings_can_be_read_of_and_none_of_an_earlier_look_is_left(tmp_path: Path) -> None:
    rows = [*sound(tmp_path), *(Row(f"absent{n}\udcff.jpg", "w0", line=n) for n in range(10, 18))]
    found, target = findings(tmp_path, rows), tmp_path / "run" / "findings.csv"
    assert save_findings(found, target) == target
    with target.open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [(one["severity"], one["line"]) for one in kept] == [("error", str(n)) for n in range(10, 18)]
    assert kept[0]["path"] == "absent10\\udcff.jpg"
    with pytest.raises(DataRefused, match=r"All stand in .*findings\.csv"):
        refuse_errors(found, target)
    assert save_findings((), target) is None
    assert not target.exists()


def test_warnings_alone_do_not_refuse(tmp_path: Path) -> None:
    refuse_errors(findings(tmp_path, DAMAGES["single"][0](tmp_path)))
