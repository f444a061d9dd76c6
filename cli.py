"""The `flukeprint` command: the roof. One function a verb, each a few lines over the room that does the work.

Answers go to stdout, as a table for a person or as JSON with `--json`; everything else goes to stderr. The exit code is 0
when it was done, 1 when the input was refused or something did not work, 2 when the command line itself is wrong. The verbs'
flags stand in `flags.py`, the verbs themselves in `verbs.py`, `verbs_edits.py`, `verbs_bundles.py`, `verbs_training.py` and
`verbs_service.py`: nothing heavy is imported before one runs, and `--help` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from arguments import CommandWrong, PartLacking, joined, path
from errors import FlukeprintError
from flags import every_verb

VERSION = "0.1.0"
DONE, REFUSED, WRONG = 0, 1, 2  # argparse itself leaves with 2 for a wrong command line
STOPPED, UNHEARD = 130, 141  # as of a program that SIGINT or SIGPIPE ends
UNWRITABLE = (errno.ENOSPC, errno.EIO, errno.EBADF)  # of the output; rooms say themselves what they cannot write
CHECKOUT_ALONE = ("training", "loadtests")  # rooms that the image is built without
Verb = Callable[[argparse.Namespace], int]
_UNDERSCORED = str.maketrans(" -", "__")  # `bundles list` and `second-opinion` as functions
GROUPS = {
    "bundles": "encoders as files: list, compare, use and make them",
    "keys": "who may ask the service: make, list and revoke its keys",
}


def main(argv: Sequence[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that cannot be written is spelled out, as on stderr, not died of
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # closed before we began; what is asked is done all the same
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    words = joined(sys.argv[1:] if argv is None else argv)
    try:
        args = build_parser().parse_args(words)
    except Unread as unread:
        if "--json" in words:
            _put_json(CommandWrong.__name__, unread.said)
        raise
    code = UNHEARD
    try:
        code = _done(args)
        sys.stdout.flush()
    except FlukeprintError as error:
        _refused(error, str(error), json=args.json)
        return WRONG if isinstance(error, CommandWrong) else REFUSED
    except KeyboardInterrupt:
        print("flukeprint: stopped. What was acknowledged is kept; an import goes on where it was.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever read our output has left, as `| head` does
        sys.stdout = None
    except OSError as error:  # of a file that no room has words of its own for
        if error.filename is None:
            if error.errno not in UNWRITABLE:
                raise
            sys.stdout = None
            return _refused(error, f"The answer could not be written to the output: {error.strerror}.", json=False)
        name = error.filename2 or error.filename  # the second is what was written, where something was copied
        said = f"{name}: {error.strerror}. Look at the path, at who may write there, and at the space that is left."
        return _refused(error, said, json=args.json)
    return code


def _refused(error: Exception, said: str, *, json: bool) -> int:
    import terminal

    with suppress(BrokenPipeError):  # whoever read it has left
        terminal.say(f"flukeprint: {said}", stream=sys.stderr)
    if json:
        _put_json(type(error).__name__, said)
    return REFUSED


def _put_json(error: str, said: str) -> None:
    import terminal

    try:
        terminal.put_json({"error": error, "message": said})
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None


class Unread(SystemExit):
    """The command line cannot be read, which stderr has been told; `said` is argparse's message."""

    def __init__(self, said: str) -> None:
        super().__init__(WRONG)
        self.said = said


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise Unread(message)


def _done(args: argparse.Namespace) -> int:
    try:
        return _verb(args.room, args.function)(args)
    except ModuleNotFoundError as error:
        if error.name not in CHECKOUT_ALONE:
            raise
        verb = " ".join(word for word in (args.verb, getattr(args, "what", None)) if word)
        raise PartLacking(f'"{verb}" is not part of this installation; use a checkout of Flukeprint for it.') from error


def _verb(room: str, name: str) -> Verb:
    found: Verb = getattr(importlib.import_module(room), name)
    return found


def build_parser() -> argparse.ArgumentParser:
    """The command line: what all verbs have in common, and every verb of `flags.py`."""
    parser = Parser(
        prog="flukeprint",
        description="Which animal is this? Photo-identification for whales and dolphins.",
        epilog="Every verb explains itself, with an example: flukeprint identify --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"flukeprint {VERSION}")
    _add_common(parser)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)

    groups: dict[str, Any] = {}

    def add(name: str, says: str, example: str, room: str = "verbs") -> argparse.ArgumentParser:
        """A verb, or two words: a verb of a group, as "bundles list"."""
        first, _, second = name.partition(" ")
        if second and first not in groups:
            group = verbs.add_parser(first, help=GROUPS[first], description=GROUPS[first], allow_abbrev=False)
            groups[first] = group.add_subparsers(title="verbs", metavar="VERB", dest="what", required=True)
        verb: argparse.ArgumentParser = (groups[first] if second else verbs).add_parser(
            second or first,
            help=says,
            description=says[0].upper() + says[1:] + ".",
            epilog="example:\n  " + example.replace("\n", "\n  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.set_defaults(room=room, function={"import": "import_"}.get(name, name.translate(_UNDERSCORED)))
        _add_common(verb, default=argparse.SUPPRESS)  # what stands before the verb holds, where it is not said after it
        return verb

    every_verb(add)
    return parser


def _add_common(parser: argparse.ArgumentParser, **more: Any) -> None:
    parser.add_argument("--data-dir", type=path, metavar="DIR", help="the data folder (default: FLUKEPRINT_DATA_DIR)", **more)
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs", **more)


if __name__ == "__main__":
    sys.exit(main())
