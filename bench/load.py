"""The service levels that a load test holds a running service to, as rows: cost at saturation, waiting at half load, bursts,
overload, memory over time.

Each scenario of `loadtests/` that measures one is run as `flukeprint loadtest` runs it, on a service of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.row import Row
from settings import ROOT

SCENARIOS = ("closed", "open", "burst", "overload", "soak")
WITHIN_S = 900


def rows() -> Iterator[Row]:
    for name in SCENARIOS:
        with tempfile.TemporaryDirectory() as scratch:
            told = _run(name, Path(scratch))
        met = {one["name"]: one for one in told["levels"]}
        for figure, found in told["figures"].items():
            if figure in met:
                value, level = found["value"], met[figure]
                value = float("nan") if value is None else value
                yield Row(f"load, {name}: {figure}", value, f"≤ {level['most']:g}", level["met"], found["detail"])


def _run(name: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "cli.py"), "loadtest", "--scenario", name, "--out", str(out), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as test:
        try:
            _, said = test.communicate(timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            test.terminate()  # which ends the service that it has started; killed, it would leave it behind
            _, said = test.communicate()
            raise RuntimeError(f"the load test {name} took more than {WITHIN_S} s: {said[-2000:]}") from None
    figures = out / "figures.json"
    told: dict[str, Any] = json.loads(figures.read_text("utf-8")) if figures.exists() else {"left": "no figures"}
    if told["left"]:
        raise RuntimeError(f"the load test {name} did not come to its end: {told['left']} {said[-2000:]}")
    return told
