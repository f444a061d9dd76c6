"""Which files are the project's own: what git would keep, or, in a copy without git, what .gitignore does not name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def own_files(root: Path = ROOT) -> list[Path]:
    """Every file that belongs to the project, sorted; build outputs and environments are left out."""
    return sorted(path for path in _from_git(root) or _walked(root) if path.is_file())


def _from_git(root: Path) -> list[Path]:
    asked = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (root / ".git").exists():  # a copy inside another checkout must not ask that one
        return []
    try:
        said = subprocess.run(asked, check=True, capture_output=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):  # no git, or one that does not trust this folder's owner
        return []
    return [root / os.fsdecode(name) for name in said.split(b"\0") if name]


def _walked(root: Path) -> Iterator[Path]:
    ignored = [".git", *(line.strip() for line in (root / ".gitignore").read_text("utf-8").splitlines() if line.strip())]
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if not _ignored((here / name).relative_to(root), ignored)]
        yield from (here / name for name in names if not _ignored((here / name).relative_to(root), ignored))


def _ignored(path: Path, patterns: list[str]) -> bool:
    """As git reads the patterns that our .gitignore is written in: a slash within ties one to the root."""
    return any(fnmatch(path.as_posix() if "/" in given.rstrip("/") else path.name, given.strip("/")) for given in patterns)
