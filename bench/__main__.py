"""`python -m bench`: runs every module of this room that has `rows()`, prints one table, and keeps the figures.

Each module measures its own subject against a peer in the same run and yields `Row`s: ratios, which carry over from one
machine to another as absolute times do not. The run is kept in bench/results/, beside a description of the machine, and
compared with the last one. The exit code is 1 when a level was missed or a module failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.growth import growth
from bench.row import Row
from bench.subjects import measure_alone, subjects

LATEST = Path(__file__).resolve().parent / "results" / "latest.json"
A_TENTH = 0.1
FULL, OF = " 1,000,000", "; of "  # what BENCH_FULL=1 measures, and of which day it is where this run did not
PARTS = [
    "numpy", "onnxruntime", "opencv-python-headless", "openvino", "qdrant-edge-py", "SQLAlchemy", "fastapi", "uvicorn",
    "torch", "timm", "qdrant-client",
]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", metavar="NAME", help="only this module of bench/; may be repeated")
    parser.add_argument(
        "--out", type=Path, default=LATEST, help="where to keep the figures (default: bench/results/latest.json)"
    )
    args = parser.parse_args(argv)
    there = subjects()
    chosen = args.only or there
    if unknown := sorted(set(chosen) - set(there)):
        parser.error(f"no such subject: {', '.join(unknown)}; there are: {', '.join(there)}")

    before = _read(args.out)
    runs: dict[str, Any] = {name: kept for name, kept in before.get("subjects", {}).items() if name in there}
    try:
        _write(args.out, {"subjects": runs})  # before hours are measured that nothing could keep
    except OSError as error:
        parser.error(f"{args.out} cannot be written: {error.strerror}")
    failed, changed = list[str](), list[str]()
    for name in chosen:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            rows = measure_alone(name)
        except Exception:  # one subject's failure must not lose the others' figures
            traceback.print_exc()
            failed.append(name)
            continue
        before_it, carried = _split(runs.get(name, {}), rows)
        last = {row["name"]: row["value"] for row in before_it.get("rows", [])}
        print("\n".join(table(rows, last)), flush=True)
        if before_it and before_it.get("machine") != machine():
            print("the last run was on another machine, or with other versions: compare ratios, not times")
        changed += changes(name, rows, before_it.get("rows", []))
        runs[name] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "rows": [
                *(asdict(row) | {"value": row.value if math.isfinite(row.value) else None} for row in rows),
                *carried,
            ],
        }
        _write(args.out, {"subjects": runs})
    if "scale" in chosen and "scale" not in failed:
        args.out.with_name("scale.svg").write_text(growth(runs["scale"]["rows"]), "utf-8")
    print("\n".join(["", "what changed since the last table:", *(changed or ["nothing by a tenth or more"])]), flush=True)
    missed = [row["name"] for name in chosen if name not in failed for row in runs[name]["rows"] if not row["met"]]
    for name in failed:
        print(f"bench.{name} failed; see above", file=sys.stderr)
    for row_name in missed:
        print(f"missed: {row_name}", file=sys.stderr)
    return 1 if failed or missed else 0


def _split(kept: dict[str, Any], rows: Iterable[Row]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The last run, and those of its rows that this one left out because they take hours: they stay, with their day."""
    measured, stay, compared = {row.name for row in rows}, list[dict[str, Any]](), list[dict[str, Any]]()
    for row in kept.get("rows", []):
        if FULL in row["name"] and row["name"] not in measured:
            detail = str(row.get("detail", ""))
            stay.append(row if OF in detail else row | {"detail": f"{detail}{OF}{kept.get('at', '')[:10]}"})
        else:
            compared.append(row)
    return kept | ({"rows": compared} if kept else {}), stay


def table(rows: Iterable[Row], last: dict[str, float]) -> list[str]:
    """Aligned columns; `last` gives the values of the run before, by name."""
    head = ("", "name", "value", "last", "change", "level", "detail")
    body = []
    for row in rows:
        then = last.get(row.name)
        told = (_short(row.value), _short(then), _change(row.value, then), row.level, row.detail)
        body.append(("ok" if row.met else "MISSED", row.name, *told))
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [head, *body]]


def changes(subject: str, rows: Iterable[Row], before: Sequence[dict[str, Any]]) -> list[str]:
    """What moved by a tenth or more, what is met or missed now and was not, what is new and what is gone."""
    then = {row["name"]: row for row in before}
    told = []
    for row in rows:
        old = then.pop(row.name, None)
        if old is None:
            told.append(f"{subject}: {row.name}: new, {_short(row.value)}")
            continue
        change = _change(row.value, old["value"])
        moved = f"{_short(old['value']) or 'nothing'} → {_short(row.value) or 'nothing'}" + (f" ({change})" if change else "")
        if row.met != old["met"]:
            told.append(f"{subject}: {row.name}: {moved}, {'met' if row.met else 'MISSED'} now")
        elif _moved(row.value, old["value"]):
            told.append(f"{subject}: {row.name}: {moved}")
    return told + [f"{subject}: {name}: gone" for name in then]


def _moved(value: float, then: float | None) -> bool:
    """By a tenth or more; from a number to none, or back, too."""
    if then is None or math.isnan(value):
        return (then is None) != math.isnan(value)
    return value != then and abs(value - then) >= A_TENTH * abs(then)


def _change(value: float, then: float | None) -> str:
    return "" if not then or math.isnan(value) else f"{(value - then) / abs(then):+.0%}"


def _short(value: float | None) -> str:
    """Four figures that count, and whole numbers whole."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def machine() -> dict[str, Any]:
    """What the figures were measured on; no name of it, no user, no path."""
    cpu = platform.processor() or platform.machine()
    features: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        told = dict(line.split(":", 1) for line in info.read_text("utf-8").splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in told.items()}
        cpu = fields.get("model name", cpu)
        features = set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": cores,
        "features": sorted(features),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "parts": {name: _version(name) for name in PARTS},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
        for subject in kept.get("subjects", {}).values():
            for row in subject["rows"]:
                _ = row["name"], row["value"], row["met"]
    except FileNotFoundError:
        return {}
    except (
        OSError,
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
    ) as error:  # its other figures would be lost by writing over it
        raise SystemExit(
            f"{path} cannot be read as figures of a bench: {error}. Mend it, remove it, or name another with --out."
        ) from error
    return kept


def _write(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".part")
    written.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", "utf-8")
    written.replace(path)


if __name__ == "__main__":
    sys.exit(main())
