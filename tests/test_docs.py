"""The docs say what is so: every command and setting stands in them, and what they show can be typed."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
import settings
from demo import folder, show
from scripts import reference
from scripts.tree import ROOT, own_files

MARKDOWN = [path.relative_to(ROOT).as_posix() for path in own_files() if path.suffix == ".md"]
VERBS = reference.verbs_of(cli.build_parser())


@pytest.mark.parametrize("page", reference.PAGES, ids=str)
def test_a_reference_page_is_what_make_docs_writes(root: Path, page: Path) -> None:
    assert (root / page).read_text("utf-8") == reference.PAGES[page](), "run `make docs`"


@pytest.mark.parametrize("name", VERBS)
def test_every_command_stands_in_the_docs_with_all_its_flags(root: Path, name: str) -> None:
    page = (root / "docs/commands.md").read_text("utf-8")
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None
    common = page.split("\n## ")[0]
    flags = [flag for action in VERBS[name]._actions for flag in action.option_strings if action.dest != "help"]
    assert [flag for flag in flags if flag not in section[1] and flag not in common] == []


@pytest.mark.parametrize("name", VERBS)
def test_every_flag_says_what_it_does_and_every_command_has_an_example(name: str) -> None:
    verb = VERBS[name]
    assert [action.dest for action in verb._actions if action.option_strings and not action.help] == []
    assert f"flukeprint {name}" in (verb.epilog or "")


@pytest.mark.parametrize("name", settings.Settings.model_fields)
def test_every_setting_stands_in_the_docs_with_what_it_does(root: Path, name: str) -> None:
    described = settings.Settings.model_fields[name].description
    assert described
    assert f"| `FLUKEPRINT_{name.upper()}` |" in (root / "docs/settings.md").read_text("utf-8")


def code_blocks(text: str) -> Iterator[str]:
    yield from re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def typed_commands(text: str) -> Iterator[list[str]]:
    """What stands in the code blocks for a shell: each `flukeprint …` line, continued lines joined."""
    for block in code_blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == "flukeprint":
                yield words[1:]


def accepts(parser: argparse.ArgumentParser, words: list[str]) -> str | None:
    """None, or what the parser has against it."""
    plain = [word for word in words if word not in {">", "|"}]
    try:
        parser.parse_args(plain)
    except SystemExit as stop:
        return None if stop.code == 0 else " ".join(words)
    return None


def test_every_command_line_that_the_docs_show_is_accepted_by_the_parser(root: Path) -> None:
    shown = [(page, words) for page in MARKDOWN for words in typed_commands((root / page).read_text("utf-8"))]
    assert len(shown) > 30
    assert [(page, wrong) for page, words in shown if (wrong := accepts(cli.build_parser(), words))] == []


def test_every_make_target_that_the_docs_name_exists(root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        (page, target)
        for page in MARKDOWN
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", (root / page).read_text("utf-8"), re.MULTILINE)
    }
    assert {target for _, target in named} >= {"setup", "demo", "test", "check"}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_every_setting_that_the_docs_name_exists(root: Path) -> None:
    known = {f"FLUKEPRINT_{name.upper()}" for name in settings.Settings.model_fields}
    for path in (root / "tests").rglob("*.py"):
        known |= set(re.findall(r'"(FLUKEPRINT_TEST_[A-Z_]+)"', path.read_text("utf-8")))
    named = {
        (page, key) for page in MARKDOWN for key in re.findall(r"FLUKEPRINT_[A-Z_]*[A-Z]", (root / page).read_text("utf-8"))
    }
    assert {(page, key) for page, key in named if key not in known} == set()


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_link_between_pages_leads_somewhere(root: Path, page: str) -> None:
    text = (root / page).read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (root / page).parent / path if path else root / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def test_the_files_that_the_readme_names_exist(root: Path) -> None:
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)`", (root / "README.md").read_text("utf-8"))
    assert len(named) > 8
    assert [name for name in named if not (root / name).is_file()] == []


def test_the_tour_names_drawings_that_the_demo_leaves(root: Path) -> None:
    named = set(re.findall(r"demo/data/(\w+/[\w/.-]+)", (root / "README.md").read_text("utf-8")))
    everybody, data = range(show.KNOWN + show.STRANGERS), Path()
    drawn = {folder.path_of(data / "later", one, photo).as_posix() for one in everybody for photo in show.LATER}
    assert len(named) > 4
    assert named <= drawn | {f"photos/{folder.TABLE}"}
