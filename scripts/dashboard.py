"""Writes Grafana's dashboard, deploy/grafana/dashboards/flukeprint.json, from the list below; `make docs` does it.

A panel is a title, what its axis counts, and its queries with their legends. A test starts a service and proves that every
metric and label that a query names is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ACROSS, WIDTH, HEIGHT = 3, 8, 8  # panels in a row, and the size of each on Grafana's grid of 24
RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str  # as Grafana names it: "s", "reqps", "short", "percentunit"
    queries: tuple[tuple[str, str], ...]  # PromQL and its legend
    says: str = ""
    line: float | None = None  # a level to draw


def _p(share: float, metric: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{RATE})))"


ROWS: dict[str, tuple[Panel, ...]] = {
    "The service": (
        Panel(
            "Requests",
            "reqps",
            ((f"sum by (route) (rate(flukeprint_requests_total{RATE}))", "{{route}}"),),
        ),
        Panel(
            "How long they take, one in twenty",
            "s",
            ((_p(0.95, "flukeprint_request_seconds", "route"), "{{route}}"),),
        ),
        Panel(
            "Refused and failed",
            "reqps",
            ((f"sum by (problem) (rate(flukeprint_refusals_total{RATE}))", "{{problem}}"),),
        ),
        Panel(
            "Where an identification's time goes",
            "s",
            (
                (
                    f"sum by (stage) (rate(flukeprint_stage_seconds_sum{RATE})) / "
                    f"sum by (stage) (rate(flukeprint_stage_seconds_count{RATE}))",
                    "{{stage}}, mean",
                ),
                (_p(0.95, "flukeprint_stage_seconds", "stage"), "{{stage}}, one in twenty"),
            ),
        ),
        Panel(
            "Places taken",
            "percentunit",
            (("flukeprint_inside / flukeprint_places", "{{lane}}"),),
            "One more is answered 429.",
            0.8,
        ),
        Panel(
            "Jobs",
            "short",
            (
                ('flukeprint_jobs{state=~"waiting|running"}', "{{state}}"),
                (f"sum by (state) (rate(flukeprint_job_rows_total{RATE}))", "rows a second, {{state}}"),
            ),
        ),
    ),
    "The answers": (
        Panel(
            "Decisions",
            "percentunit",
            (
                (
                    f"sum by (decision) (rate(flukeprint_identifications_total{RATE})) / "
                    f"scalar(sum(rate(flukeprint_identifications_total{RATE})))",
                    "{{decision}}",
                ),
            ),
        ),
        Panel(
            "Stated probability",
            "percentunit",
            ((_p(0.5, "flukeprint_probability", "decision"), "{{decision}}, median"),),
        ),
        Panel(
            "Score of the best candidate",
            "short",
            (
                (f"histogram_quantile(0.5, sum by (le) (rate(flukeprint_similarity_bucket{RATE})))", "median"),
                (f"histogram_quantile(0.1, sum by (le) (rate(flukeprint_similarity_bucket{RATE})))", "lowest tenth"),
            ),
        ),
        Panel(
            "Drift",
            "short",
            (("flukeprint_drift_psi", "{{measure}}"),),
            "Population stability index of the recent photos against the catalogue's.",
            0.2,
        ),
        Panel(
            "Calibration in use",
            "percentunit",
            (
                ("flukeprint_calibration_stated", "stated"),
                ("flukeprint_calibration_right", "right"),
                ("flukeprint_calibration_gap", "stated less right"),
            ),
        ),
        Panel(
            "Looked at",
            "short",
            (("flukeprint_drift_photos", "photos"), ("flukeprint_calibration_answers", "answers with a verdict")),
        ),
    ),
    "The catalogue": (
        Panel("What is known", "short", (("flukeprint_catalogue", "{{what}}"),)),
        Panel(
            "In the index",
            "short",
            (("flukeprint_index_points", "points"), ('flukeprint_catalogue{what="sightings"}', "sightings")),
        ),
        Panel("Bundle in use", "short", (("flukeprint_bundle_in_use", "{{bundle}} on {{runtime}}"),)),
    ),
}


def dashboard() -> str:
    panels: list[dict[str, Any]] = []
    down = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": _place(0, down, 24, 1),
            }
        )
        down += 1
        for number, panel in enumerate(row):
            at = _place(number % ACROSS * WIDTH, down + number // ACROSS * HEIGHT, WIDTH, HEIGHT)
            panels.append(_panel(panel, len(panels) + 1, at))
        down += -(-len(row) // ACROSS) * HEIGHT
    told = {
        "uid": "flukeprint",
        "title": "Flukeprint",
        "tags": ["flukeprint"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": panels,
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _panel(panel: Panel, number: int, at: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "prometheus"}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.line is not None:
        steps.append({"color": "red", "value": panel.line})
    custom = {"thresholdsStyle": {"mode": "off" if panel.line is None else "line"}}
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}, "custom": custom}
    if any("gap" in query for query, _ in panel.queries):
        del defaults["min"]
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": source,
        "gridPos": at,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": source, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}
