"""The verbs of the service from the command line, and what an installation that only serves says of the others."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import pytest
from said import Run

import cli
from indexer import tuning


def test_the_first_key_says_that_every_request_needs_one_from_now_on(run: Run) -> None:
    first = run("keys", "create", "--role", "viewer", "--name", "prometheus")
    assert len(first.out.split()) == 1
    assert "from now on every request to the service needs one" in first.err
    assert "flukeprint keys create --role editor" in first.err
    assert "from now on" not in run("keys", "create", "--role", "editor").err


@pytest.mark.slow
def test_tuning_is_shown_without_a_catalogue_and_written_into_a_new_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it measures, only shorter."""
    for name, value in {"ROUNDS": 1, "ROUND_S": 0.05, "POINTS": (1_000, 6_000)}.items():
        monkeypatch.setattr(tuning, name, value)
    monkeypatch.setattr(tuning, "ways", lambda there: [tuning.Way(there)])
    shown = run("tune", "--show")
    assert shown.code == 0, shown.err
    assert "One stream a core stays" in shown.out
    assert not (tmp_path / "data").exists()
    assert run("tune", "--json").json["way"]["batch"] == 1
    assert (tmp_path / "data" / "tuned.toml").exists()
    (tmp_path / "data" / "tuned.toml").write_text("streams = many")
    assert "flukeprint tune" in run("doctor").err, "what is broken is mended by this"
    assert run("tune", "--json").code == 0
    assert run("doctor").code == 0


def test_the_first_key_of_an_admin_needs_no_other(run: Run) -> None:
    first = run("keys", "create", "--role", "admin", "--json")
    assert set(first.json) == {"id", "key", "role"}
    assert "from now on every request" in first.err
    assert "one more" not in first.err


def test_where_there_is_no_catalogue_there_is_no_key_and_how_to_make_one_is_said(run: Run) -> None:
    for words in (["keys", "list"], ["keys", "revoke", "1"]):
        refused = run(*words)
        assert refused.code == 1
        assert "flukeprint keys create --role admin" in refused.err
        assert "photo" not in refused.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["identify", "--tpo", "3", "a.jpg"], "--tpo"),
        (["keys", "create"], "--role"),
        (["nothing"], "nothing"),
        (["identify", "a.jpg", "--top", "0"], "'0' is not a whole number from 1 on"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_refused_in_json_too(run: Run, words: list[str], says: str) -> None:
    wrong = run(*words, "--json")
    assert (wrong.code, wrong.json["error"]) == (2, "CommandWrong")
    assert says in wrong.json["message"]
    assert wrong.json["message"] in wrong.err
    assert wrong.err.startswith("usage: flukeprint")
    plain = run(*words)
    assert (plain.code, plain.out) == (2, "")


def test_an_address_that_is_not_this_machines_is_said_so_and_a_taken_port_too(run: Run, root: Path, tmp_path: Path) -> None:
    def serve(*words: object) -> str:
        command = [sys.executable, root / "cli.py", "serve", "--data-dir", tmp_path / "data", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        return done.stderr

    run("keys", "create", "--role", "admin")
    assert "The --host has to be an address of this machine" in serve("--host", "192.0.2.1", "--port", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "Another --port may be free." in serve("--port", taken.getsockname()[1])


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
