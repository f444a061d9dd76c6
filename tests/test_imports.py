"""What an import brings in: serving needs no torch, a module does nothing until it is called, help answers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SERVING = ["encoder", "vector_db", "catalog", "matching", "indexer", "service", "demo"]

IMPORT_ALL = """
import importlib, json, pkgutil, sys, threading
{before}
names = list({modules!r})
for room in {rooms!r}:
    names += [room, *(m.name for m in pkgutil.walk_packages([room], room + ".") if not m.name.endswith("__main__"))]
for name in names:
    importlib.import_module(name)
print(json.dumps({{"imported": names, "modules": sorted(sys.modules), "threads": threading.active_count(), "did": {did}}}))
"""

WATCH = """
did = []
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+") and "__pycache__" not in str(args[0])
    if writes or event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "socket.connect", "os.mkdir"):
        did.append([event, str(args[:1])])
sys.addaudithook(watch)
"""


def run(root: Path, code: str) -> dict[str, list[str]]:
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    answer: dict[str, list[str]] = json.loads(said.stdout.splitlines()[-1])
    return answer


def test_serving_imports_no_torch(root: Path) -> None:
    """Every module of the serving rooms and the command line, where an import of torch would fail."""
    block = "for name in ('torch', 'torchvision', 'timm'): sys.modules[name] = None"
    answer = run(root, IMPORT_ALL.format(before=block, modules=["cli", "verbs", "settings"], rooms=SERVING, did="[]"))
    assert {name.split(".")[0] for name in answer["imported"]} == {"cli", "verbs", "settings", *SERVING}
    assert len(answer["imported"]) > 30
    assert not {name for name in answer["modules"] if name.split(".")[0] == "training"}


def test_importing_a_module_starts_writes_and_connects_nothing(root: Path) -> None:
    answer = run(root, IMPORT_ALL.format(before=WATCH, modules=["cli", "verbs", "settings"], rooms=SERVING, did="did"))
    assert answer["did"] == []
    assert answer["threads"] == 1


def test_an_engine_or_a_runtime_is_imported_by_whoever_opens_it_only(root: Path) -> None:
    """onnxruntime alone costs 0.2 s; a verb that asks SQL alone must not pay for it."""
    code = "import json, sys, verbs, indexer.station, matching.identify; print(json.dumps({'modules': sorted(sys.modules)}))"
    modules = set(run(root, code)["modules"])
    assert {"catalog.catalogue", "encoder.encode", "vector_db.open"} <= modules
    assert {"onnxruntime", "openvino", "qdrant_client", "qdrant_edge", "alembic"} & modules == set()


def test_help_imports_nothing_heavy(root: Path) -> None:
    code = """
import json, sys
import cli
try:
    cli.main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
print(json.dumps({"modules": sorted(sys.modules)}))
"""
    modules = set(run(root, code)["modules"])
    assert "cli" in modules
    heavy = {
        "numpy",
        "sqlalchemy",
        "alembic",
        "onnxruntime",
        "openvino",
        "cv2",
        "PIL",
        "pydantic",
        "qdrant_edge",
        "qdrant_client",
    }
    assert heavy & modules == set()
