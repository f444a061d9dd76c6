"""Writes what stands in the code alone: docs/commands.md, docs/settings.md, Grafana's dashboard. So they cannot drift.

`python -m scripts.reference` writes them; a test compares what it would write with what lies there.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

import cli
import settings
from scripts.dashboard import dashboard
from scripts.tree import ROOT

MADE = "<!-- Made by `make docs` from {source}. Change the words there, not here. -->"


def commands() -> str:
    """Every verb and flag, as the parser knows them."""
    parser = cli.build_parser()
    lines = [
        "# Commands",
        "",
        MADE.format(source="flags.py"),
        "",
        "`flukeprint VERB …` stands in `.venv/bin/` after `make setup`. Answers go to stdout, everything else to stderr.",
        "The exit code is 0 when it was done, 1 when the input was refused or something did not work, 2 when the command line",
        "itself is wrong, 130 when it was interrupted, 141 when its reader left before the end of the answer. With `--json`, a",
        'refusal is JSON too: `{"error": …, "message": …}`.',
        "",
        "Every verb takes these, before its name or after it:",
        "",
        *_flags(_common(parser)),
    ]
    common = {action.dest for action in _common(parser)}
    for name, verb in sorted(verbs_of(parser).items()):
        own = [action for action in verb._actions if action.dest not in common | {"help"}]
        lines += ["", f"## {name}", "", verb.description or "", "", "```", f"{_usage(name, own)}", "```"]
        for title, actions in _groups(verb, own):
            lines += ["", *([f"{title[0].upper()}{title[1:]}:", ""] if title else []), *_flags(actions)]
        example = (verb.epilog or "").removeprefix("example:").strip("\n")
        lines += ["", "For example:", "", "```sh", *(line.strip() for line in example.splitlines()), "```"]
    return "\n".join(lines) + "\n"


def keys() -> str:
    """Every setting, as the environment gives it."""
    lines = [
        "# Settings",
        "",
        MADE.format(source="settings.py"),
        "",
        "All of them are keys of the environment. With none set, Flukeprint runs on one machine. A key that begins with",
        "`FLUKEPRINT_` and is none of these is refused, so that a typing error does not silently run on defaults.",
        "",
        "`flukeprint tune` measures some of them on this machine and writes them to `tuned.toml` in the data folder, from",
        "where they are read as long as the number of cores stays what it was: "
        + ", ".join(f"`{name}`" for name in settings.TUNED)
        + ".",
        "A key of the environment wins over the file.",
        "",
        "| key | values | default | what it does |",
        "|---|---|---|---|",
    ]
    for name, field in settings.Settings.model_fields.items():
        row = (f"`{settings.PREFIX}{name.upper()}`", _values(field), _default(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


PAGES = {
    Path("docs/commands.md"): commands,
    Path("docs/settings.md"): keys,
    Path("deploy/grafana/dashboards/flukeprint.json"): dashboard,
}


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Those of a group under both words, as "bundles list"."""
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found: dict[str, argparse.ArgumentParser] = {}
    for name, verb in verbs.choices.items():
        is_group = any(isinstance(action, argparse._SubParsersAction) for action in verb._actions)
        found |= {f"{name} {second}": one for second, one in verbs_of(verb).items()} if is_group else {name: verb}
    return found


def _common(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The flags that all verbs have alike."""
    first, *others = verbs_of(parser).values()
    shared = set.intersection(*({(a.dest, a.help) for a in verb._actions} for verb in [first, *others]))
    return [action for action in first._actions if (action.dest, action.help) in shared and action.dest != "help"]


def _usage(name: str, actions: list[argparse.Action]) -> str:
    return " ".join(["flukeprint", name, *(_shape(action) for action in sorted(actions, key=_is_place))])


def _is_place(action: argparse.Action) -> bool:
    return not action.option_strings


def _shape(action: argparse.Action) -> str:
    what = _metavar(action)
    if action.option_strings:
        flag = f"{action.option_strings[-1]} {what}".rstrip()
        flag += " …" if isinstance(action, argparse._AppendAction) else ""
        return flag if action.required else f"[{flag}]"
    return {"+": f"{what} …", "*": f"[{what} …]", "?": f"[{what}]"}.get(str(action.nargs), what)


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "|".join(str(choice) for choice in action.choices)
    return str(action.metavar or action.dest.upper())


def _groups(verb: argparse.ArgumentParser, own: list[argparse.Action]) -> Iterator[tuple[str, list[argparse.Action]]]:
    """The flags under their headings; those that argparse groups by itself have none."""
    named = {group.title or "": [a for a in group._group_actions if a in own] for group in verb._action_groups[2:]}
    rest = [action for action in own if not any(action in actions for actions in named.values())]
    if any(action.help for action in rest):
        yield "", rest
    yield from named.items()


def _flags(actions: list[argparse.Action]) -> Iterator[str]:
    """What says enough by its name alone, as PHOTO does, has no help and no line."""
    for action in sorted((action for action in actions if action.help), key=_is_place, reverse=True):
        taken = f"{', '.join(action.option_strings)} {_metavar(action)}".strip()
        yield f"- `{taken}`: {action.help}"


def _values(field: FieldInfo) -> str:
    kinds = [kind for kind in (typing.get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    names = {str: "text", int: "whole number", float: "number", bool: "true, false", Path: "path"}
    said = ", ".join(names.get(kind, f"`{kind}`") if isinstance(kind, type) else f"`{kind}`" for kind in kinds)
    bounds = [
        f"{word} {getattr(limit, name)}"  # in full: not 1e+06
        for limit in field.metadata
        for name, word in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if hasattr(limit, name)
    ]
    return " ".join([said, ", ".join(bounds)]).strip()


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "by the machine"
    if field.default is None:
        return "unset"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, Path) and field.default.is_relative_to(Path.home()):
        return f"`~/{field.default.relative_to(Path.home()).as_posix()}`"
    return f"`{field.default}`"


def main() -> int:
    for path, made in PAGES.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(made(), "utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
