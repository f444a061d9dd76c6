"""What there is to measure: the modules of this room that have `rows()`, each run in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.row import Row

HERE = Path(__file__).resolve().parent


def subjects() -> list[str]:
    """Their names, sorted; modules without `rows` are parts of others."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if not module.ispkg)
    return [name for name in names if "\ndef rows(" in (HERE / f"{name}.py").read_text("utf-8")]


def measure_alone(name: str) -> list[Row]:
    """In its own process, so that no subject pays for the threads and the memory of another."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_measure, name).result()


def _measure(name: str) -> list[Row]:
    return list(importlib.import_module(f"bench.{name}").rows())
