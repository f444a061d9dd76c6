"""How the command line looks: tables, JSON, and a progress bar where a terminal looks.

Photos and folders may be called anything, so what came from outside is shown by `say` or in a table: never raw.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from catalog.names import one_line

if TYPE_CHECKING:
    from indexer.drifting import Drift
    from matching.answer import Answer

BAR_EVERY_S = 0.2
_LONE = re.compile("[\ud800-\udfff]")  # a byte of a file name that is no text: no JSON reader takes it


def put_json(value: Any) -> None:
    """Text that every reader takes: undecodable bytes are spelled out as the catalogue spells them."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    text = _LONE.sub(lambda byte: f"\\\\u{ord(byte[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # it was set to an encoding that has no such letters, and JSON has an escape for each
        text = json.dumps(json.loads(text), indent=2)
    print(text)


def say(text: str, *, stream: TextIO | None = None) -> None:
    """One line for a person."""
    print(one_line(text), file=stream or sys.stdout)


def put_table(rows: Sequence[Sequence[object]], heads: Sequence[str]) -> None:
    """Columns as wide as their widest cell, numbers to the right; None is empty."""
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(_width(row[at]) for row in [list(heads), *cells]) for at in range(len(heads))]
    right = [bool(rows) and all(isinstance(row[at], int | float | None) for row in rows) for at in range(len(heads))]
    for line in [list(heads), ["-" * width for width in widths], *cells]:
        parts = (
            " " * (w - _width(c)) + c if r else c + " " * (w - _width(c)) for c, w, r in zip(line, widths, right, strict=True)
        )
        print("  ".join(parts).rstrip())


def put_answer(answer: Answer) -> None:
    """An identification, for a person: the decision first, then what speaks for each candidate."""
    from matching.calibration import BASES

    print(_decided(answer))
    if answer.candidates:
        rows = []
        for one in answer.candidates:
            proof = one.evidence[0]
            shown = f"{proof.photo} (sighting {proof.sighting_id})"
            rows.append((one.rank, one.name, one.species, f"{one.probability:.0%}", f"{one.score:.3f}", shown))
        print()
        scored = "score" if answer.second_opinion is not None and answer.second_opinion.followed else "cosine"
        put_table(rows, ("rank", "individual", "species", "probability", scored, "nearest photo"))
    for photo in answer.photos:
        if photo.refused:
            say(f"flukeprint: {photo.name} was left out: {photo.refused}", stream=sys.stderr)
        if photo.copy_of is not None:
            say(
                f"flukeprint: {photo.name} is the same picture as {answer.photos[photo.copy_of].name}: counted once.",
                stream=sys.stderr,
            )
    grounds = answer.calibration
    if answer.candidates:
        print(f"\nProbabilities are {BASES[grounds.source]}: {grounds.reason}.")
    if (looked := answer.second_opinion) is not None:
        followed = "followed" if looked.followed else "not followed"
        print(f"Second opinion on {looked.compared} pairs of photos, {followed}: {looked.reason}.")
    spent = answer.timings_ms
    parts = f"decode {spent.decode:.0f}, encode {spent.encode:.0f}, search {spent.search:.0f}, decide {spent.decide:.0f}"
    if spent.second is not None:
        parts += f", second opinion {spent.second:.0f}"
    print(f"Identification {answer.identification_id}; milliseconds: {parts}.")


def _decided(answer: Answer) -> str:
    sure, best, beyond = f"{answer.probability:.0%}", answer.candidates[0] if answer.candidates else None, answer.beyond
    if answer.decision == "known" and best is not None:
        return f"Known: {best.name} (individual {best.individual_id}), right with {sure}."
    if answer.decision == "new":
        if best is None:
            return "New: the catalogue is empty, so every animal is new to it."
        return f"New: this animal is not in the catalogue, right with {sure}."
    if beyond is not None:
        who = f"{beyond.name} (individual {beyond.individual_id})"
        return f"Unsure: it is none of those that you asked for, but looks like {who}. Ask without the filter."
    if best is None:
        return (
            "Unsure: no sighting is as you asked for, so nothing could be compared. Ask without a filter, or with a wider one."
        )
    return f"Unsure: the best candidate is right with {sure}. Compare the photos, or add another of the same occasion."


def put_drift(found: Drift) -> None:
    """How far what is asked about has moved, for a person."""
    from matching.drift import DRIFTED, FEWEST

    rows = [
        (one.measure, figure(one.known), figure(one.recent), figure(one.psi), "drifted" if one.drifted else "")
        for one in found.shifts
    ]
    put_table(rows, ("measure", "known, median", "asked, median", "index", ""))
    print(f"\n{found.photos} photos asked about, against the catalogue's. Above {DRIFTED} they are of another kind.")
    if any(one.psi is None for one in found.shifts):
        print(f"Where no index stands there is too little to tell: it takes {FEWEST} photos of both, and better 300.")
    used = found.in_use
    if not used.answers:
        print("No answer has been confirmed or rejected yet, so nothing is known of how well probabilities hold.")
        return
    print(f"\n{used.answers} answers were confirmed or rejected: stated {used.stated:.0%}, right {used.right:.0%}.\n")
    steps = [(f"{one.low:.0%} to {one.high:.0%}", one.answers, f"{one.stated:.0%}", f"{one.right:.0%}") for one in used.steps]
    put_table(steps, ("stated", "answers", "mean", "right"))


def figure(value: float | None) -> str | None:
    """Three figures that count."""
    return None if value is None else f"{value:.3g}"


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


class Bar:
    """A line on stderr that tells rate, time left and refusals; silent where no terminal looks.

    >>> with Bar("photos") as bar: bar.at(1, 3)
    """

    def __init__(self, what: str, *, stream: TextIO | None = None) -> None:
        self._what, self._stream = what, stream or sys.stderr
        self._shown = self._stream.isatty()
        self._began = time.monotonic()
        self._last = 0.0
        self._first: int | None = None  # rows that an earlier run had done do not count towards the rate

    def at(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if not self._shown or (now - self._last < BAR_EVERY_S and done < total):
            return
        self._last = now
        rate = (done - self._first) / max(now - self._began, 1e-6)
        left = f"{_span((total - done) / rate)} left" if rate > 0 else ""
        share = done / total if total else 1.0
        text = "  ".join(part for part in (f"{done}/{total} {self._what}", f"{rate:.1f}/s", left, note) if part)
        room = max(shutil.get_terminal_size().columns - len(text) - 5, 0)
        full = int(min(room, 40) * share)
        self._stream.write(f"\r\x1b[K{'█' * full}{'░' * (min(room, 40) - full)} {text}")
        self._stream.flush()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
