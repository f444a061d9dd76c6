"""The verbs of the service from the command line, and what an installation that only serves says of the others."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import pytest
from said import Run

import cli


def test_the_first_key_says_that_every_request_needs_one_from_now_on(run: Run) -> None:
    first = run("keys", "create", "--role", "viewer", "--name", "prometheus")
    assert len(first.out.split()) == 1
    assert "from now on every request to the service needs one" in first.err
    assert "flukeprint keys create --role editor" in first.err
    assert "from now on" not in run("keys", "create", "--role", "editor").err


def test_the_first_key_of_an_admin_needs_no_other(run: Run) -> None:
    first = run("keys", "create", "--role", "admin", "--json")
    assert set(first.json) == {"id", "key", "role"}
    assert "from now on every request" in first.err
    assert "one more" not in first.err


class WithoutRooms(MetaPathFinder):
    """As where the rooms are not there."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        if fullname in cli.CHECKOUT_ALONE:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["train", "--data", "t.csv", "--out", "run"], "train"),
        (["evaluate", "--gallery", "a", "--query", "b"], "evaluate"),
        (["datasets"], "datasets"),
        (["loadtest"], "loadtest"),
        (["bundles", "make", "--timm", "resnet18", "--out", "x", "--licence", "MIT"], "bundles make"),
    ],
)
def test_what_the_image_lacks_is_said_in_words(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], verb: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in cli.CHECKOUT_ALONE]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutRooms(), *sys.meta_path])
    refused = run(*words)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f'flukeprint: "{verb}" is not part of this installation')
    assert "checkout" in refused.err
    assert "make" not in refused.err.replace("bundles make", "")


def test_the_image_lacks_no_other_room_that_a_verb_needs(root: Path) -> None:
    copied = re.findall(r"for room in ([\w ]+); do", (root / "scripts/build_image").read_text("utf-8"))[0].split()
    verbs = "".join(path.read_text("utf-8") for path in root.glob("verbs*.py"))
    rooms = {path.name for path in root.iterdir() if (path / "__init__.py").is_file()}
    needed = set(re.findall(r"^\s*(?:from|import) (\w+)", verbs, re.MULTILINE)) & rooms
    assert needed - set(copied) == set(cli.CHECKOUT_ALONE)
