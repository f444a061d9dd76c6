"""The demonstration: `python -m demo`, which `make demo` runs.

It draws a small catalogue, imports it, and asks about photos of another day, which it has not seen; among them animals
that are not in the catalogue. The first of these that is called new is enrolled, and found again from another photo. Nothing
is picked to flatter: every individual is asked about, the table shows every fifth, and the last lines count them all.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import terminal
from demo.animals import PHOTOS_AN_ENCOUNTER
from demo.folder import make_folder, name_of, path_of
from indexer.asking import identify_and_keep, query_photo
from indexer.bulk import import_rows
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station, open_station
from matching.answer import Answer
from settings import ROOT, read_settings

KNOWN = 30
STRANGERS = 8
SEEN = [encounter * PHOTOS_AN_ENCOUNTER + photo for encounter in range(2) for photo in range(3)]
LATER = [2 * PHOTOS_AN_ENCOUNTER + photo for photo in range(3)]  # of a third encounter
EVERY = 5
WHO = "the demo"


@dataclass(frozen=True)
class Asked:
    """One question, its answer, and what is true."""

    photos: str
    truth: str | None  # the individual's name; None where it is not in the catalogue
    answer: Answer
    seconds: float

    @property
    def verdict(self) -> str:
        if self.answer.decision == "unsure":
            return "not said"
        said = self.answer.candidates[0].name if self.answer.decision == "known" else None
        return "right" if said == self.truth else "wrong"

    def row(self) -> tuple[str, ...]:
        candidates = ", ".join(
            f"{one.name} {one.probability:.0%}" for one in self.answer.candidates[:2] if one.probability >= 0.01
        )
        decision = f"{self.answer.decision} {self.answer.probability:.0%}"
        return self.photos, decision, candidates, f"{self.seconds * 1000:.0f} ms", self.truth or "a stranger", self.verdict


HEADS = ("photo", "decision", "best candidates", "time", "in truth", "so it was")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Enrol drawn animals, and identify others.")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "demo" / "data", help="where the demo keeps its things")
    folder: Path = parser.parse_args().data_dir.absolute()
    photos, data = folder / "photos", folder / "catalogue"
    shutil.rmtree(data, ignore_errors=True)  # the demo begins anew; its drawings stay

    began = time.perf_counter()
    table = make_folder(photos, [(individual, photo) for individual in range(KNOWN) for photo in SEEN])
    everybody = range(KNOWN + STRANGERS)
    make_folder(folder / "later", [(individual, photo) for individual in everybody for photo in LATER])
    print(f"{KNOWN} animals drawn (they do not exist), {len(SEEN)} photos each of two days; others of a third day.")
    print(f"Drawing took {time.perf_counter() - began:.0f} s.\n")

    settings = read_settings(data_dir=data)
    with open_station(settings, streams=settings.streams) as station:
        with terminal.Bar("photos") as bar:
            done = import_rows(station, table, who=WHO, on_progress=lambda now: bar.at(now.done, now.total))
        print(f"Imported {done.enrolled} photos in {done.seconds:.1f} s ({done.enrolled / done.seconds:.0f} a second).")
        print(f"Probabilities: {station.calibration().reason}.\n")
        asked = [_ask(station, folder, individual, LATER[:1]) for individual in everybody]
        together = [_ask(station, folder, individual, LATER) for individual in range(KNOWN)]
        print(f"Photos that it has not seen, one of every {EVERY} animals:\n")
        terminal.put_table([one.row() for one in asked[::EVERY]], HEADS)
        print("\nThree photos of one encounter get one answer:\n")
        terminal.put_table([together[0].row()], HEADS)
        _meet_a_stranger(station, folder, asked[KNOWN:])
    print("\nAll that were asked about:\n")
    terminal.put_table(
        [
            _count(f"{KNOWN} known animals, one photo", asked[:KNOWN]),
            _count(f"{KNOWN} known animals, three photos", together),
            _count(f"{STRANGERS} strangers, one photo", asked[KNOWN:]),
        ],
        ("", "right", "wrong", "unsure", "right on top"),
    )
    later = path_of(folder / "later", 1, LATER[1])
    print("\nGo on with it:\n")
    print(f"  export PATH={_quoted(ROOT / '.venv' / 'bin')}:$PATH FLUKEPRINT_DATA_DIR={_quoted(data)}")
    print(f"  flukeprint identify {_quoted(later)}")
    print(f"  flukeprint show {name_of(1)}")
    print("  flukeprint history")
    return 0


def _ask(station: Station, folder: Path, individual: int, photos: list[int]) -> Asked:
    paths = [path_of(folder / "later", individual, photo) for photo in photos]
    began = time.perf_counter()
    answer = identify_and_keep(station, [query_photo(station, path) for path in paths], who=WHO)
    spent = time.perf_counter() - began
    known = {one.name for one in station.catalogue.individuals()}
    name = name_of(individual)
    more = f" + {len(paths) - 1}" if len(paths) > 1 else ""
    return Asked(paths[0].name + more, name if name in known else None, answer, spent)


def _meet_a_stranger(station: Station, folder: Path, asked: list[Asked]) -> None:
    """The first stranger that was called new is enrolled, and asked about again with another photo."""
    met = next((number for number, one in enumerate(asked) if one.answer.decision == "new"), None)
    if met is None:
        print("\nNone of the strangers was called new: with this encoder they looked too much like those that are known.")
        return
    individual = KNOWN + met
    first = path_of(folder / "later", individual, LATER[0])
    print(f"\n{first.name} was called new, so it is enrolled; then another photo of it:\n")
    enrol(station, name_of(individual), [Source(first.name, Given(), path=first)], who=WHO)
    again = _ask(station, folder, individual, LATER[1:2])
    terminal.put_table([asked[met].row(), again.row()], HEADS)


def _count(what: str, asked: list[Asked]) -> tuple[str, int, int, int, int]:
    verdicts = [one.verdict for one in asked]
    on_top = sum(bool(one.answer.candidates) and one.answer.candidates[0].name == one.truth for one in asked)
    return what, verdicts.count("right"), verdicts.count("wrong"), verdicts.count("not said"), on_top


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


if __name__ == "__main__":
    sys.exit(main())
