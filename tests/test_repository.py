"""The checkout as a whole: what may lie in it, what it must hold, and that its lists are complete."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import itertools
import pkgutil
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from errors import FlukeprintError
from scripts.tree import own_files

BIG = 20_000_000
TEXT_BELOW = 2_000_000
HOSTS = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org", "conda." + "anaconda.org"]
MACHINE_PATHS = [re.compile(r"(?<![\w.])/" + folder + "/") for folder in ("work", "opt", "root", "farm")]
PINNED_BY_TORCH = ("nvidia-", "cuda-", "triton")  # its builds for accelerators ask for these, each by exact version
ABOVE_SERVING = {"training", "bench", "demo", "loadtests", "scripts", "tests"}


def rooms(root: Path) -> set[str]:
    return {path.parent.name for path in root.glob("*/__init__.py")} - {"scripts", "tests"}


def root_modules(root: Path) -> set[str]:
    return {path.stem for path in root.glob("*.py")}


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    for path in own_files(root):
        if path.stat().st_size < TEXT_BELOW:
            data = path.read_bytes()
            if b"\0" not in data:
                yield path.relative_to(root), data.decode("utf-8")


def test_no_file_names_a_package_registry_or_a_folder_of_one_machine(root: Path) -> None:
    found = [
        (str(path), number)
        for path, text in texts(root)
        for number, line in enumerate(text.splitlines(), 1)
        if any(host in line for host in HOSTS) or any(folder.search(line) for folder in MACHINE_PATHS)
    ]
    assert found == []


def test_big_files_are_models_that_the_licence_page_names(root: Path) -> None:
    stated = (root / "LICENSE-MODELS.md").read_text("utf-8")
    big = [path.relative_to(root) for path in own_files(root) if path.stat().st_size > BIG]
    assert [path for path in big if path.parts[0] != "bundles" or path.parts[1] not in stated] == []


def test_every_bundle_in_the_checkout_stands_on_the_licence_page(root: Path) -> None:
    bundles = [path.parent.name for path in (root / "bundles").glob("*/bundle.json")]
    stated = (root / "LICENSE-MODELS.md").read_text("utf-8")
    assert bundles
    assert [name for name in bundles if f"`bundles/{name}`" not in stated] == []


def test_no_photograph_is_in_the_checkout(root: Path) -> None:
    kinds = {".jpg", ".jpeg", ".heic", ".tif", ".tiff", ".nef", ".cr2"}
    assert [path for path in own_files(root) if path.suffix.lower() in kinds] == []


def test_the_licences_are_here_and_whole(root: Path) -> None:
    code = (root / "LICENSE").read_text("utf-8")
    assert "Apache License" in code
    assert "END OF TERMS AND CONDITIONS" in code
    assert "Flukeprint contributors" in code
    described = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert described["license"] == "Apache-2.0"
    assert [name for name in described["license-files"] if not (root / name).is_file()] == []
    assert "Apache-2.0" in (root / "LICENSE-MODELS.md").read_text("utf-8")
    assert "CDLA-Permissive-1.0" in (root / "LICENSE-DATA.md").read_text("utf-8")


def test_no_two_test_files_have_one_name(root: Path) -> None:
    """Of two the second is not collected, and only where both are asked for."""
    names = Counter(path.name for path in (root / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_room_and_module_is_installed_and_checked(root: Path) -> None:
    tools = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]
    assert set(tools["setuptools"]["packages"]) == rooms(root)
    assert set(tools["setuptools"]["py-modules"]) == root_modules(root)
    assert set(tools["mypy"]["packages"]) == rooms(root) | {"scripts"}
    assert set(tools["mypy"]["modules"]) == root_modules(root)
    assert set(tools["importlinter"]["root_packages"]) == rooms(root)
    bandit = re.search(r"^ROOMS = (.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert bandit is not None
    assert set(bandit[1].split()) == rooms(root) | {"scripts"} | {f"{name}.py" for name in root_modules(root)}


def pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"==[\w.+!]+", str(one.specifier)) for one in wanted), "each line pins exactly"
    return {canonicalize_name(one.name): str(one.specifier)[2:] for one in wanted}


def asked_for(root: Path) -> list[Requirement]:
    described = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    extras = described["project"]["optional-dependencies"].values()
    lines = [*described["build-system"]["requires"], *described["project"]["dependencies"], *itertools.chain(*extras)]
    return [Requirement(line) for line in lines]


def test_every_dependency_is_pinned_to_a_version_that_fits(root: Path) -> None:
    pinned = pins(root)
    unfit = [str(one) for one in asked_for(root) if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))]
    assert unfit == []


def test_what_the_dependencies_need_is_pinned_too(root: Path) -> None:
    pinned, missing, waiting, seen = pins(root), set(), asked_for(root), set()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        missing |= {name} - pinned.keys()
        if (name, *one.extras) in seen:
            continue
        seen.add((name, *one.extras))
        try:
            needed = [Requirement(line) for line in importlib.metadata.distribution(name).requires or []]
        except importlib.metadata.PackageNotFoundError:  # of an extra that is not installed here
            continue
        extras = ["", *one.extras]
        needed = [need for need in needed if not need.marker or any(need.marker.evaluate({"extra": e}) for e in extras)]
        waiting += [need for need in needed if not need.name.startswith(PINNED_BY_TORCH)]
    assert len(seen) > 20, "the walk found the dependencies"
    assert missing == set()


def test_a_python_that_is_too_old_is_named_with_what_to_do(root: Path, tmp_path: Path) -> None:
    """With nothing but an old python3 on the PATH, setting up stops before it makes anything."""
    shutil.copytree(root / "scripts", tmp_path / "a copy" / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, tmp_path / "a copy")
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("cat", "cksum", "dirname"):
        (path / tool).symlink_to(shutil.which(tool) or tool)
    old = path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    said = subprocess.run(
        ["/bin/sh", tmp_path / "a copy" / "scripts" / "setup", "serve"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 1
    assert "needs Python 3.11 or newer; 'python3' here is: Python 3.9.2" in said.stderr
    assert "make setup PYTHON=" in said.stderr
    assert not (tmp_path / "a copy" / ".venv").exists()


def errors_of_ours(root: Path) -> list[type[FlukeprintError]]:
    for room in rooms(root) - ABOVE_SERVING:
        for module in pkgutil.walk_packages([str(root / room)], f"{room}."):
            importlib.import_module(module.name)
    for name in root_modules(root):
        importlib.import_module(name)
    waiting, found = [FlukeprintError], []
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return [kind for kind in found if not kind.__module__.startswith("test_")]


def test_every_error_says_in_its_docstring_what_it_means(root: Path) -> None:
    kinds = errors_of_ours(root)
    assert len(kinds) > 10
    assert [kind.__name__ for kind in kinds if not kind.__dict__.get("__doc__")] == []


def test_the_trees_of_errors_draw_every_error(root: Path) -> None:
    drawn = {kind: inspect.getmodule(kind) for kind in errors_of_ours(root) if kind.__module__.endswith(".errors")}
    assert drawn
    assert [kind.__name__ for kind, module in drawn.items() if kind.__name__ not in (inspect.getdoc(module) or "")] == []


def test_a_copy_without_git_finds_the_same_files(root: Path, tmp_path: Path) -> None:
    for name in ("kept/a.py", ".venv/b.py", "kept/__pycache__/c.pyc", "report/d.html", "kept/report/e.py", "x.egg-info/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    shutil.copy(root / ".gitignore", tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in own_files(tmp_path)]
    assert found == [".gitignore", "kept/a.py", "kept/report/e.py"]


@pytest.mark.parametrize("place", ["Makefile", ".ci/run", ".github/workflows/checks.yml", ".pre-commit-config.yaml"])
def test_every_make_target_that_is_called_exists(root: Path, place: str) -> None:
    makefile = (root / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z-]+)", (root / place).read_text("utf-8")))
    assert called
    assert called <= targets
