"""The figures as a folder to read: `figures.json`, and one page with curves and the worst confusions as pairs of photos.

The page stands alone: drawings are SVG, photos are small and inside it. It is a person's own data; nothing is sent anywhere.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from encoder.photo import read_photo
from encoder.values import Limits

from .answers import Answers, Asked, answers, ask
from .judge import Judged
from .rows import Row
from .validate import read_crop

WORST = 12
SIDE = 280  # of a plot
FEW = 12  # points that are marked each
Points = Sequence[tuple[float, float]]
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#123}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ccd}"
    "th:first-child,td:first-child{text-align:left}"
    "figure{display:inline-block;vertical-align:top;margin:.5rem 1.5rem .5rem 0;max-width:18rem}.pair{max-width:100%}"
    "figcaption{font-size:13px;color:#456}img{max-height:12rem;max-width:min(30rem,45vw);margin:2px}"
)


def write_report(judged: Judged, images: Path, folder: Path) -> Path:
    """The page's path. What stands in the folder under these names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(judged.figures, indent=1), "utf-8")
    page = folder / "index.html"
    page.write_text(as_page(judged, images), "utf-8")
    return page


def as_page(judged: Judged, images: Path) -> str:
    made = judged.figures
    asked = ask(judged.gallery, judged.query)
    whole = answers(asked, ["whole"])["whole"]
    known, new = whole.best[whole.known], whole.best[asked.truth < 0]
    parts = [
        f"<h1>{html.escape(str(made.get('bundle', 'An encoder')))}</h1>",
        f"<p>{made['n_query']} queries, {made['n_known']} of animals that are among the {made['n_individuals']} individuals "
        f"({made['n_gallery']} photos) of the gallery. In brackets what 95 of 100 draws of individuals span.{_cost(made)}</p>",
        _table(made),
        "<h2>Known or new</h2>",
        *_curves(roc(known, new)),
        _plot("Best scores of known (blue) and of new animals (red)", *histograms(known, new)),
        _open_set(made["open_set"]),
        _targets(made.get("targets", {})),
        "<h2>Said and true</h2>",
        _plot(
            "Stated probability against the share that was right",
            [[(0.0, 0.0), (1.0, 1.0)], [(b["said"], b["right"]) for b in made["calibration"]["reliability"]]],
            (0, 1),
        ),
        "<h2>More individuals</h2>",
        _plot(
            "Top-1 against individuals in the gallery",
            [[(size["individuals"], size["top1"]) for size in made["top1_by_gallery"] if size["top1"] is not None]],
            (0, max(size["individuals"] for size in made["top1_by_gallery"])),
        ),
        _by("species", made["by_species"]),
        _by("viewpoint", made["by_viewpoint"]),
        _robustness(made.get("robustness", {})),
        "<h2>The worst confusions</h2><p>Left the query, right the photo of another animal that was preferred.</p>",
        *(_pair(query, other, score, images, judged.limits) for query, other, score in worst(asked, whole)),
    ]
    title = "<!doctype html><meta charset=utf-8><title>How well animals are told apart</title>"
    return f"{title}<style>{STYLE}</style>{''.join(parts)}\n"


def roc(known_best: npt.NDArray[np.floating], new_best: npt.NDArray[np.floating]) -> Points:
    """(share of new animals accepted, share of known ones accepted) as the threshold falls."""
    if not len(known_best) or not len(new_best):
        return []
    thresholds = np.quantile(np.concatenate([known_best, new_best]), np.linspace(1, 0, 101))
    return [(0.0, 0.0), *((float((new_best >= t).mean()), float((known_best >= t).mean())) for t in thresholds)]


def _curves(points: Points) -> list[str]:
    if not points:
        return ["<p>Curves of known against new take queries of both, and these are of one kind alone.</p>"]
    refused = [(accepted, 1 - kept) for accepted, kept in points]
    return [
        _plot("ROC: known animals accepted against new ones accepted", [points], (0, 1)),
        _plot("DET: known animals refused against new ones accepted", [refused], (0, 1)),
    ]


def histograms(
    known_best: npt.NDArray[np.floating], new_best: npt.NDArray[np.floating]
) -> tuple[list[Points], tuple[float, float]]:
    """The share of each group's scores in thirty bins, and what the bins span."""
    both = [values[np.isfinite(values)] for values in (known_best, new_best)]
    low, high = (float(of(np.concatenate([*both, [0.0] if not any(map(len, both)) else []]))) for of in (np.min, np.max))
    edges = np.linspace(low, high if high > low else low + 1, 31)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    shares = [np.histogram(values, edges)[0] / max(len(values), 1) for values in both]
    return [list(zip(middles, share.tolist(), strict=True)) for share in shares], (float(edges[0]), float(edges[-1]))


def worst(asked: Asked, whole: Answers) -> list[tuple[Row, Row, float]]:
    """Known queries whose best photo is another animal's, the surest first."""
    wrong = np.flatnonzero(whole.known & (asked.owner[whole.nearest] != asked.truth))
    order = wrong[np.argsort(-whole.best[wrong], kind="stable")][:WORST]
    return [(asked.query.rows[q], asked.gallery.rows[whole.nearest[q]], float(whole.best[q])) for q in order]


def _table(made: dict[str, Any]) -> str:
    rows = [
        ("whole gallery", made),
        ("own encounter left out", made["cross_encounter"]),
        ("all photos of its date left out", made["cross_date"]),
        ("its own animal's photos of that occasion left out", made["cross_occasion"]),
    ]
    lines = [
        f"<tr><td>{name}<td>{part.get('n', made['n_known'])}"
        + "".join(f"<td>{_spanned(part, f)}" for f in ("top1", "top5", "map", "map5_new"))
        for name, part in rows
    ]
    calibration = made["calibration"]
    photo, encounter = _figure(calibration["ece"]), _figure(calibration["ece_by_encounter"])
    return (
        f"<table><tr>{_heads('gallery', 'queries', 'top-1', 'top-5', 'mAP', 'MAP@5 with new')}{''.join(lines)}</table>"
        f"<p>Calibration error, own encounter left out: {photo} counting photos, {encounter} counting encounters.</p>"
    )


def _open_set(made: dict[str, Any]) -> str:
    """What a threshold costs that takes so many new animals for known ones."""
    points = {name.removeprefix("at_").split("_")[0]: point for name, point in made.items() if name.startswith("at_")}
    lines = [
        f"<tr><td>{share}<td>{point['threshold']:.3f}"
        + "".join(f"<td>{_spanned(point, f)}" for f in ("precision", "recall", "specificity", "f1"))
        for share, point in points.items()
    ]
    head = _heads("new animals accepted", "score", "precision", "recall", "specificity", "F1")
    return f"<p>AUROC {_spanned(made, 'auroc')}.</p><table><tr>{head}{''.join(lines)}</table>"


def _by(what: str, made: dict[str, Any]) -> str:
    lines = [
        f"<tr><td>{html.escape(name)}<td>{one['n']}<td>{_figure(one['top1'])}"
        f"<td>{one['cross_encounter']['n']}<td>{_figure(one['cross_encounter']['top1'])}"
        for name, one in made.items()
    ]
    head = _heads(what, "queries", "top-1", "with other encounters", "top-1 without their own")
    return f"<h2>By {what}</h2><table><tr>{head}{''.join(lines)}</table>" if lines else ""


def _robustness(made: dict[str, Any]) -> str:
    lines = [
        f"<tr><td>{name}, {strength}<td>{_figure(one['top1'])}<td>{_figure(one['drop'])}<td>{one['refused']}"
        for name, by in made.items()
        for strength, one in by.items()
    ]
    head = _heads("damage", "top-1", "relative drop", "refused")
    return f"<h2>Damaged photos</h2><table><tr>{head}{''.join(lines)}</table>" if lines else ""


def _cost(made: dict[str, Any]) -> str:
    aside = made.get("set_aside", 0)
    told = f" {aside} {'row was' if aside == 1 else 'rows were'} set aside." if aside else ""
    if "photos_per_s" not in made:
        return told
    return f"{told} {made['photos_per_s']:.3g} photos a second, {made['peak_memory_mb']:,.0f} MB at the most."


def _targets(made: dict[str, Any]) -> str:
    said = {True: "met", False: "missed", None: "not measured"}
    lines = [
        f"<tr><td>{name}<td>{html.escape(one['target'])}<td>{_figure(one['value'])}<td>{said[one['met']]}"
        for name, one in made.items()
    ]
    return f"<table><tr>{_heads('at 5 % of new animals accepted', 'target', 'measured', '')}{''.join(lines)}</table>"


def _heads(*names: str) -> str:
    return "".join(f"<th>{name}" for name in names)


def _spanned(made: dict[str, Any], name: str) -> str:
    span = made.get(f"{name}_95")
    return _figure(made[name]) + (f" <small>({span[0]:.3f}–{span[1]:.3f})</small>" if span else "")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _plot(caption: str, curves: Sequence[Points], across: tuple[float, float]) -> str:
    top = max((y for curve in curves for _, y in curve), default=1.0)
    height = 1.0 if 0.3 < top <= 1 else max(top, 1e-9)
    low, high = across
    drawn = []
    for index, curve in enumerate(curves):
        points = " ".join(f"{(x - low) / (high - low) * SIDE:.1f},{SIDE - y / height * SIDE:.1f}" for x, y in curve)
        colour = ("#0b6e8a", "#c4572f")[index % 2]
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(curve) <= FEW:  # each of them was measured; the line between is not
            drawn += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in (p.split(",") for p in points.split())]
    frame = f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#99a"/>'
    words = f"{html.escape(caption)} (across {low:.3g} to {high:.3g}, up 0 to {height:.2g})"
    size = f'viewBox="-2 -2 {SIDE + 4} {SIDE + 4}" width="{SIDE}"'
    box = f'<svg {size} role="img" aria-label="{words}">{frame}{"".join(drawn)}</svg>'
    return f"<figure>{box}<figcaption>{words}</figcaption></figure>"


def _pair(query: Row, other: Row, score: float, images: Path, limits: Limits) -> str:
    said = f"{query.identity} ({query.path}) taken for {other.identity} ({other.path}), {score:.2f}"
    both = _photo(query, images, limits) + _photo(other, images, limits)
    return f"<figure class=pair>{both}<figcaption>{html.escape(said)}</figcaption></figure>"


def _photo(row: Row, images: Path, limits: Limits) -> str:
    pixels = read_crop(read_photo(images / row.path, limits), row.box, limits)
    scale = min(1.0, 240 / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    code = base64.b64encode(cv2.imencode(".jpg", small)[1].tobytes()).decode()
    return f'<img alt="{html.escape(row.path)}" src="data:image/jpeg;base64,{code}">'
