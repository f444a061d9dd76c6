"""What `make bench` says of its figures; no test here looks at a time."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import bench.__main__ as command
from bench.growth import growth
from bench.row import Row

OLD = [
    {"name": "same", "value": 1.0, "level": "≤ 2", "met": True, "detail": ""},
    {"name": "slower", "value": 1.0, "level": "≤ 2", "met": True, "detail": ""},
    {"name": "missed", "value": 1.99, "level": "≤ 2", "met": True, "detail": ""},
    {"name": "left out", "value": 1.0, "level": "", "met": True, "detail": ""},
]
NOW = [
    Row("same", 1.05, "≤ 2", True),
    Row("slower", 1.2, "≤ 2", True),
    Row("missed", 2.01, "≤ 2", False),
    Row("first", 5.0, "", True),
]


def test_what_changed_is_told_and_what_did_not_is_not() -> None:
    assert command.changes("search", NOW, OLD) == [
        "search: slower: 1 → 1.2 (+20%)",
        "search: missed: 1.99 → 2.01 (+1%), MISSED now",
        "search: first: new, 5",
        "search: left out: gone",
    ]


def test_nothing_stays_nothing_and_a_number_that_is_gone_is_told() -> None:
    old = [{"name": "none", "value": 0.0, "level": "", "met": True}, {"name": "gone", "value": 2.0, "level": "", "met": True}]
    assert command.changes("load", [Row("none", 0.0, "", True), Row("gone", math.nan, "", True)], old) == [
        "load: gone: 2 → nothing"
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"subjects": ', "[]", "null", '{"subjects": []}', '{"subjects": {"scale": {}}}',
        '{"subjects": {"scale": {"rows": [{"name": "a", "value": 1}]}}}',
    ],
)  # fmt: skip
def test_figures_that_cannot_be_read_are_not_written_over(text: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(text)
    with pytest.raises(SystemExit, match="cannot be read"):
        command.main(["--only", "scale", "--out", str(kept)])
    assert kept.read_text() == text


def test_a_place_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    monkeypatch.setattr(command, "_write", lambda *_: kept.joinpath("nowhere").write_text(""))
    with pytest.raises(SystemExit):
        command.main(["--only", "scale", "--out", str(kept)])
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "measuring" not in said


def test_the_table_has_the_change_beside_the_last_value() -> None:
    lines = command.table(NOW, {row["name"]: float(str(row["value"])) for row in OLD})
    assert lines[0].split() == ["name", "value", "last", "change", "level", "detail"]
    assert lines[2].split() == ["ok", "slower", "1.2", "1", "+20%", "≤", "2"]
    assert lines[4].split() == ["ok", "first", "5"]


def test_a_run_is_kept_compared_with_and_plotted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = 10.0

    def measured(name: str) -> list[Row]:
        assert name == "scale"
        return [
            Row(f"{what}, {unit}", value * size, "", True) for size in (1, 2) for what, unit in ((f"start at {size},000", "s"),)
        ]

    monkeypatch.setattr(command, "measure_alone", measured)
    out = tmp_path / "kept.json"
    assert command.main(["--only", "scale", "--out", str(out)]) == 0
    value = 5.0
    assert command.main(["--only", "scale", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "scale: start at 1,000, s: new, 10" in said
    assert "scale: start at 1,000, s: 10 → 5 (-50%)" in said
    drawn = ET.fromstring((tmp_path / "scale.svg").read_text("utf-8"))
    assert len([one for one in drawn.iter() if one.tag.endswith("circle")]) == 2


def test_what_takes_hours_stays_where_a_run_leaves_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes, out = [1_000, 1_000_000], tmp_path / "kept.json"
    monkeypatch.setattr(command, "measure_alone", lambda _: [Row(f"start at {size:,}, s", size, "", True) for size in sizes])
    for _ in range(3):
        assert command.main(["--only", "scale", "--out", str(out)]) == 0
        sizes = [1_000]
    kept = json.loads(out.read_text())["subjects"]["scale"]
    assert [row["name"] for row in kept["rows"]] == ["start at 1,000, s", "start at 1,000,000, s"]
    assert kept["rows"][1]["detail"] == f"; of {kept['at'][:10]}"
    assert "gone" not in capsys.readouterr().out


def test_the_plot_shows_each_measure_at_each_size() -> None:
    rows = [
        {"name": f"{what} at {size:,}, {unit}", "value": size / 1000}
        for size in (1_000, 10_000, 1_000_000)
        for what, unit in (("identify", "ms"), ("start", "s"), ("memory", "GB"))
    ]
    none = {"name": "start at 100,000, s", "value": None}  # as what was not a number is kept
    drawn = ET.fromstring(growth([*rows, none, {"name": "identify at 10,000 / at 1,000", "value": 1.0}]))
    texts = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert {"one photo identified, ms", "start, s", "memory, GB", "1,000,000"} <= set(texts)
    assert len([one for one in drawn.iter() if one.tag.endswith("polyline")]) == 3
