"""The demonstration: draw a small catalogue, import it, ask about photos it has not seen, and tell how that went.

Nothing is picked to flatter. Every individual is asked about with photos of a day that the catalogue has not seen; the table
shows the first and then every fifth; the first stranger that is called new is enrolled and asked about again; the last
table counts them all. The demo takes none of the environment's settings, so that it never writes into a real catalogue.

The encoder is the one that fits drawings: its last step was fitted on some, of other animals. The default one was taught on
belugas alone, and is seldom sure of a drawing: it calls none of these strangers new.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import terminal
from demo.animals import PHOTOS_AN_ENCOUNTER, photo
from demo.folder import make_folder, name_of, pairs, path_of
from errors import FlukeprintError
from indexer.asking import identify_and_keep, query_photo
from indexer.bulk import import_rows
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from matching.answer import Answer
from matching.decision import MAX_FALSE_MATCH
from settings import ROOT, read_settings

KNOWN = 30
STRANGERS = 8
DAYS = 2  # that the catalogue has seen, with three photos each
LATER = [DAYS * PHOTOS_AN_ENCOUNTER + photo for photo in range(3)]  # of one day more
EVERY = 5
WHO = "the demo"
OWN = ROOT / "demo" / "data"
BUNDLE = ROOT / "bundles" / "starter-lite0"
CATALOGUE = "catalogue"  # the data folder, below the demo's own
MARK = ".drawn-animals"  # in a folder that the demo has made
COLUMNS = 80
WIDTHS = (18, 11, 29, 6, 8)  # with two spaces between them
HEADS = ("photo", "answer", "best candidates", "time", "that was")
COLOURS = {"right": "32", "wrong": "31", "unsure": "33"}


class NotTheDemosFolder(FlukeprintError):
    """The folder holds something that the demo did not put there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, its answer, and what is true."""

    photos: str
    truth: str | None  # the individual's name; None where it is not in the catalogue
    answer: Answer
    seconds: float

    @property
    def verdict(self) -> str:
        if self.answer.decision == "unsure":
            return "unsure"
        said = self.answer.candidates[0].name if self.answer.decision == "known" else None
        return "right" if said == self.truth else "wrong"

    @property
    def on_top(self) -> bool:
        """Whether the right animal is the first candidate, whatever was decided."""
        return bool(self.answer.candidates) and self.answer.candidates[0].name == self.truth

    def row(self) -> tuple[str, ...]:
        best = [f"{one.name} {one.probability:.0%}" for one in self.answer.candidates[:2] if one.probability >= 0.01]
        answer = f"{self.answer.decision} {self.answer.probability:.0%}" if self.answer.decision != "unsure" else "unsure"
        photos = self.photos if self.truth else f"{self.photos} *"
        return photos, answer, ", ".join(best) or "-", f"{self.seconds * 1000:.0f} ms", self.verdict


def show(folder: Path) -> None:
    """Run the whole demonstration in this folder, and print it. What an earlier run has drawn is used again."""
    data = _made_ready(folder)
    began = time.perf_counter()
    everybody = range(KNOWN + STRANGERS)
    seen = list(pairs(range(KNOWN), photos_each=3 * DAYS, encounters_each=DAYS))
    unseen = [(individual, photo) for individual in everybody for photo in LATER]
    with terminal.Bar("photos drawn") as bar:
        total = len(seen) + len(unseen)
        table = make_folder(folder / "photos", seen, on_progress=lambda done, _: bar.at(done, total))
        make_folder(folder / "later", unseen, on_progress=lambda done, _: bar.at(len(seen) + done, total))
    spent = time.perf_counter() - began
    _say(
        f"{KNOWN} animals, which do not exist, drawn with {len(seen)} photos of two days, and {len(unseen)} photos of a third "
        f"day, of them and of {STRANGERS} strangers, in {spent:.0f} s."
    )
    with open_station(read_settings({}, data_dir=data, bundle=BUNDLE), streams=os.cpu_count() or 1) as station:
        with terminal.Bar("photos imported") as bar:
            done = import_rows(station, table, who=WHO, on_progress=lambda now: bar.at(now.done, now.total))
        _say(
            f"Imported {done.enrolled} photos in {done.seconds:.1f} s, {done.enrolled / done.seconds:.0f} a second, by the "
            f"encoder {BUNDLE.name}, whose last step was fitted on drawings of other animals; the default one is for belugas."
        )
        single = [_ask(station, folder, individual, LATER[:1]) for individual in everybody]
        together = [_ask(station, folder, individual, LATER) for individual in everybody]
        _say(
            f"The first photo of the third day, of one of every {EVERY} animals. A photo is called after the animal on it; "
            "* marks an animal that is not in the catalogue. Unsure is what cannot be named without calling more than "
            f"{MAX_FALSE_MATCH:.0%} of new animals known, and is not surely new either."
        )
        _put_rows(single[::EVERY])
        _say("Three photos of one encounter get one answer; the same animals again:")
        _put_rows(together[::EVERY])
        _meet_a_stranger(station, folder, single[KNOWN:])
        _say(f"Probabilities: {station.calibration().reason}.")
    _put_counts(single, together)
    _put_next(folder, data)


def _made_ready(folder: Path) -> Path:
    """The data folder, emptied: the demo begins anew, and its drawings stay where this version drew them."""
    mark = folder / MARK
    if folder != OWN and folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not mark.exists())):
        raise NotTheDemosFolder(f"{folder} holds something else than a demo; give --data-dir an empty folder, or a new one.")
    data, first = folder / CATALOGUE, path_of(folder / "photos", 0, 0)
    drawn = first.exists() and first.read_bytes() == photo(0, 0)  # else by another version: they are drawn anew
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
        for old in (data,) if drawn else (data, folder / "photos", folder / "later"):
            if old.exists():
                shutil.rmtree(old)
    except OSError as error:
        raise NotTheDemosFolder(f"{folder} cannot be used: {error.strerror}. Give another --data-dir.") from error
    return data


def _ask(station: Station, folder: Path, individual: int, photos: Sequence[int]) -> Asked:
    paths = [path_of(folder / "later", individual, photo) for photo in photos]
    began = time.perf_counter()
    answer = identify_and_keep(station, [query_photo(station, path) for path in paths], who=WHO)
    spent = time.perf_counter() - began
    name = name_of(individual)
    known = any(one.name == name for one in station.catalogue.individuals())
    more = f" + {len(paths) - 1}" if len(paths) > 1 else ""
    return Asked(paths[0].stem + more, name if known else None, answer, spent)


def _meet_a_stranger(station: Station, folder: Path, asked: Sequence[Asked]) -> None:
    """The first stranger that was called new is enrolled, and asked about again with another photo."""
    met = next((number for number, one in enumerate(asked) if one.answer.decision == "new"), None)
    if met is None:
        _say("None of the strangers was called new: to this encoder they look too much like animals that it knows.")
        return
    individual = KNOWN + met
    first = path_of(folder / "later", individual, LATER[0])
    enrol(station, name_of(individual), [Source(first.name, Given(), path=first)], who=WHO)
    again = _ask(station, folder, individual, LATER[1:2])
    _say(
        f"{name_of(individual)} is the first stranger that was called new. It is enrolled with that photo, and asked about "
        "with another one of the same encounter:"
    )
    _put_rows([asked[met], again])


def _say(text: str) -> None:
    print("\n" + textwrap.fill(text, COLUMNS))


def _put_rows(asked: Sequence[Asked]) -> None:
    print()
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for row in [HEADS, tuple("-" * width for width in WIDTHS), *(one.row() for one in asked)]:
        cells = [
            f"{cell:>{width}}" if at == 3 else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(row, WIDTHS, strict=True))
        ]
        if colour and row[-1] in COLOURS:
            cells[-1] = f"\x1b[{COLOURS[row[-1]]}m{cells[-1].rstrip()}\x1b[0m"
        print("  ".join(cells).rstrip())


def _put_counts(single: Sequence[Asked], together: Sequence[Asked]) -> None:
    _say("How many were right, of all that were asked about:")
    rows = []
    for who, part in ((f"{KNOWN} known animals", slice(KNOWN)), (f"{STRANGERS} strangers", slice(KNOWN, None))):
        for how, asked in (("one photo", single[part]), ("three photos", together[part])):
            verdicts = [one.verdict for one in asked]
            top = sum(one.on_top for one in asked) if part.stop else None
            rows.append((f"{who}, {how}", *(verdicts.count(verdict) for verdict in COLOURS), top))
    print()
    terminal.put_table(rows, ("", *COLOURS, "right on top"))


def asked_next(folder: Path) -> Path:
    """A photo to go on with: of a known animal, on the day that the catalogue has not seen."""
    return path_of(folder / "later", 1, LATER[1])


def _put_next(folder: Path, data: Path) -> None:
    other = asked_next(folder)
    bin_folder = shlex.quote(str(ROOT / ".venv" / "bin"))
    _say("Go on with it:")
    print()
    print(f"  export PATH={bin_folder}:$PATH FLUKEPRINT_DATA_DIR={shlex.quote(str(data))}")
    print(f"  flukeprint identify {shlex.quote(str(other))}")
    print(f"  flukeprint show {name_of(1)}")
    print("  flukeprint history")
