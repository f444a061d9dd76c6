"""What the verbs' arguments have in common: the types that they are read as, and the flags that several verbs share.

A type refuses with what was given and what was expected; argparse names the flag, and leaves with 2.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from errors import FlukeprintError

_NEGATIVE = re.compile(r"-\.?\d")


class CommandWrong(FlukeprintError):
    """The command line lacks a word or contradicts itself, which argparse cannot tell; the exit code is 2 as for its own."""


class PartLacking(FlukeprintError):
    """The verb needs a room that this installation was made without, as the image is."""


def joined(argv: Sequence[str]) -> list[str]:
    """`--near -17.5,-149.8,50` as `--near=-17.5,…`: argparse takes what begins with a minus for an unknown flag."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] in ("--near", "--lat", "--lon", "--box") and _NEGATIVE.match(word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def boxes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--box",
        action="append",
        metavar="X,Y,W,H",
        help="the animal's place in the photo, in pixels; give one for each photo, in their order, or - for a whole photo",
    )


def filters(verb: argparse.ArgumentParser) -> None:
    only = verb.add_argument_group("compare only with sightings")
    only.add_argument("--species", metavar="S", help="of this species")
    only.add_argument("--viewpoint", metavar="V", help="of this viewpoint")
    only.add_argument("--near", metavar="LAT,LON,KM", help="at most so many kilometres from a place")
    only.add_argument("--after", metavar="D", help="of this day or later")
    only.add_argument("--before", metavar="D", help="of this day or earlier")


def path(text: str) -> Path:
    if not text:  # as of a shell's variable that is not set; Python would take the current folder
        raise argparse.ArgumentTypeError("it is empty, and a path was expected; the current folder is .")
    return Path(text)


def count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 2**63:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from 1 on")
    return number


def seconds(text: str) -> float:
    return float(count(text))


def port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a port; give 1 to 65535, or 0 for any that is free")
    return number


def share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a share between 0 and 1, like 0.05")
    return number


def whole_share(text: str) -> float:
    return 1.0 if text.strip() in ("1", "1.0") else share(text)
