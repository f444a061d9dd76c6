"""The report of a run: one page to look at, a table to read, CSV to reckon with. Locust's own page and CSV lie beside it."""

from __future__ import annotations

import csv
import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from loadtests.figures import Line, Run, percentile
from loadtests.levels import Figure, Verdict
from loadtests.plan import Sample
from loadtests.watch import Moment

WIDTH, HEIGHT = 860, 150
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#16242c;background:#fbfcfc}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}p.asks{color:#546a76;margin-top:.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.3rem .6rem;border-bottom:1px solid #dde5e8}
th{text-align:right;color:#546a76;font-weight:600}td{text-align:right}td.t,th.t{text-align:left}
.ok{color:#1b7a4b}.missed{color:#b3261e;font-weight:600}svg{width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#11191d;color:#e2eaed}td,th{border-color:#2b383e}th,p.asks{color:#9db2bc}
.ok{color:#62c793}.missed{color:#ff8a80}}
"""


@dataclass(frozen=True, slots=True)
class Report:
    run: Run
    asks: str
    lines: Sequence[Line]
    figures: dict[str, Figure]
    verdicts: Sequence[Verdict]

    @property
    def kept(self) -> bool:
        return self.run.left is None and all(one.met for one in self.verdicts)


def clear(folder: Path) -> None:
    """Of what an earlier run left, what would pass for this one's."""
    for name in ("table.txt", "index.html", "figures.json", "requests.csv", "stages.csv", "service.csv"):
        (folder / name).unlink(missing_ok=True)


def write(report: Report, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text("\n".join(table(report)) + "\n", "utf-8")
    (folder / "index.html").write_text(_page(report), "utf-8")
    _csv(folder / "requests.csv", Sample, report.run.samples, leave_out={"body"})
    _csv(folder / "stages.csv", Line, report.lines)
    with (folder / "service.csv").open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file)
        written.writerow(("at", "what", "value"))
        written.writerows((one.at, "memory_mb", one.value) for one in report.run.watch.memory_mb)
        written.writerows((one.at, "cpu_s", one.value) for one in report.run.watch.cpu_s)
        written.writerows((one.at, f"ms {one.path}", one.ms) for one in report.run.watch.probes)
    told = {
        "scenario": report.run.scenario,
        "kept": report.kept,
        "left": report.run.left,
        "figures": {name: asdict(one) for name, one in report.figures.items()},
        "levels": [{"name": one.level.name, "most": one.level.most, "met": one.met} for one in report.verdicts],
        "stages": [asdict(one) for one in report.lines],
        "bare": {part: [asdict(one) for one in turns] for part, turns in report.run.bare.items()},
        "wrong": dict(list(report.run.wrong.items())[:50]),
    }
    (folder / "figures.json").write_text(json.dumps(_finite(told), indent=2) + "\n", "utf-8")


def table(report: Report) -> list[str]:
    """For a person at a terminal."""
    judged = {one.level.name for one in report.verdicts}
    said = [(_word(one), one.level.name, _short(one.value), f"≤ {one.level.most:g}", one.detail) for one in report.verdicts]
    said += [("", name, _short(one.value), "", one.detail) for name, one in report.figures.items() if name not in judged]
    left = [report.run.left] if report.run.left else []
    first = [
        f"{report.run.scenario}: {report.asks}",
        *left,
        "",
        *_aligned([_HEADS, *[_cells(one) for one in report.lines]], texts=2),
    ]
    wrong = [f"wrong: {name}: {why}" for name, why in list(report.run.wrong.items())[:5]]
    if weights := _weights(report.run):
        first += ["", *_aligned([("memory of all its processes, MB", "begins", "ends", "most"), *weights], texts=1)]
    return [*first, "", *_aligned([("", "figure", "value", "level", ""), *said], texts=2), *wrong]


def _weights(run: Run) -> list[tuple[str, ...]]:
    """Stage by stage."""
    found = []
    for stage in run.stages:
        mark = run.mark(stage)
        here = [one.value for one in run.watch.memory_mb if mark.begun <= one.at <= mark.ended]
        if here:
            found.append((stage.name, *(f"{value:.0f}" for value in (here[0], here[-1], max(here)))))
    return found


_HEADS = ("stage", "asked", "requests", "per s", "p50 ms", "p95", "p99", "server p95", "refused", "wrong", "failed")


def _cells(line: Line) -> tuple[str, ...]:
    ms = (line.p50_ms, line.p95_ms, line.p99_ms, line.server_p95_ms)
    counts = (line.refused, line.wrong, line.failed)
    return (line.stage, line.action, str(line.requests), f"{line.per_s:.1f}", *map(_short, ms), *map(str, counts))


def _aligned(rows: Sequence[Sequence[str]], *, texts: int) -> list[str]:
    """The first `texts` columns and the last to the left, where they are words; numbers to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    last = len(widths) - 1 if rows[0][-1] == "" else -1
    return [
        "  ".join(
            c.ljust(w) if at < texts or at == last else c.rjust(w) for at, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _page(report: Report) -> str:
    rows = "".join(
        f'<tr><td class="t {"ok" if one.met else "missed"}">{_word(one)}</td><td class=t>{_text(one.level.says)}</td>'
        f"<td>{_short(one.value)}</td><td>≤ {one.level.most:g}</td><td class=t>{_text(one.detail)}</td></tr>"
        for one in report.verdicts
    )
    stages = "".join("<tr>" + "".join(_cell(at, cell) for at, cell in enumerate(_cells(one))) + "</tr>" for one in report.lines)
    heads = "".join(f"<th{' class=t' if at < 2 else ''}>{_text(head)}</th>" for at, head in enumerate(_HEADS))
    run = report.run
    charts = _chart("p95 of identifications, ms, second by second", _p95(run.samples))
    if run.watch.memory_mb:
        charts += _chart("memory of all the service's processes, MB", run.watch.memory_mb)
    left = f"<p class=missed>{_text(run.left)}</p>" if run.left else ""
    wrong = "".join(f"<li><code>{_text(name)}</code>: {_text(why)}</li>" for name, why in list(run.wrong.items())[:20])
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>Flukeprint load test: {_text(run.scenario)}</title><style>{STYLE}</style>"
        f"<h1>{_text(run.scenario)}: {'every level kept' if report.kept else 'a level was missed'}</h1>"
        f"<p class=asks>{_text(report.asks)}</p>{left}"
        "<h2>Levels</h2><table><tr><th class=t></th><th class=t>what</th><th>value</th><th>level</th><th class=t></th></tr>"
        f"{rows}</table>"
        f"<h2>Stages</h2><table><tr>{heads}</tr>{stages}</table>{charts}"
        + (f"<h2>Wrong answers</h2><ul>{wrong}</ul>" if wrong else "")
        + '<p><a href="locust.html">Locust\'s own report</a>, <a href="requests.csv">every request</a>, '
        '<a href="stages.csv">the stages</a>, <a href="service.csv">memory and CPU</a></p></html>\n'
    )


def _p95(samples: Iterable[Sample]) -> list[Moment]:
    seconds: dict[int, list[float]] = {}
    for one in samples:
        if one.action == "identify" and one.status == 200:
            seconds.setdefault(int(one.ended), []).append(one.ms)
    return [Moment(second, percentile(ms, 0.95)) for second, ms in sorted(seconds.items())]


def _chart(title: str, moments: Sequence[Moment]) -> str:
    if len(moments) < 2:
        return ""
    begun, span = moments[0].at, moments[-1].at - moments[0].at or 1.0
    top = max(one.value for one in moments) * 1.1 or 1.0
    points = " ".join(f"{WIDTH * (o.at - begun) / span:.1f},{HEIGHT - HEIGHT * o.value / top:.1f}" for o in moments)
    return (
        f'<h2>{_text(title)}</h2><svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" role=img aria-label="{_text(title)}">'
        f"<line x1=0 y1={HEIGHT} x2={WIDTH} y2={HEIGHT} stroke=currentColor stroke-opacity=.3 />"
        f'<polyline points="{points}" fill=none stroke="#1d84a6" stroke-width=1.5 />'
        f"<text x=2 y=12 font-size=11 fill=currentColor>{_short(top / 1.1)}</text>"
        f"<text x={WIDTH} y={HEIGHT + 14} font-size=11 text-anchor=end fill=currentColor>{span:.0f} s</text></svg>"
    )


def _cell(at: int, text: str) -> str:
    return f"<td{' class=t' if at < 2 else ''}>{_text(text)}</td>"


def _text(text: str) -> str:
    return html.escape(text)


def _word(verdict: Verdict) -> str:
    return "ok" if verdict.met else "MISSED"


def _short(value: float) -> str:
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "never"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _finite(value: object) -> object:
    """As JSON has it: neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(file: Path, kind: type, rows: Iterable[Line | Sample], leave_out: frozenset[str] | set[str] = frozenset()) -> None:
    names = [field.name for field in fields(kind) if field.name not in leave_out]
    with file.open("w", newline="", encoding="utf-8") as out:
        written = csv.writer(out)
        written.writerow(names)
        written.writerows([getattr(row, name) for name in names] for row in rows)
