"""Which photos teach and which ones ask: seeded, saved, and called what they are.

`closed`     one photo in five of each individual, at random, with its copies and all its boxes of that individual. It
             flatters: most have a photo of the same minute left in the gallery. Published splits are of this kind, so it is
             kept to compare.
`occasion`   all photos of the last occasion (a date with the encounters that reach into it; without dates, an encounter) of one
             individual in five that has several, and no photo of which nobody knows when it was taken. Neither the encoder nor
             the gallery has seen that day of that animal.
`stranger`   all photos of one individual in five, which the encoder never sees: they ask as unknown animals, and as known
             ones of a catalogue that was never trained on.
`train`      the rest: what teaches, and the gallery of the first two.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from .errors import SplitRefused
from .manifest import Manifest
from .occasions import occasions
from .rows import NEW, Row, Table

Part = Literal["train", "closed", "occasion", "stranger"]
ONE_IN = 5


@dataclass(frozen=True, slots=True)
class Split:
    seed: int
    data: str  # the manifest's hash of the whole
    parts: Mapping[str, Part]  # by the row's key

    def rows(self, table: Table, *parts: Part) -> tuple[Row, ...]:
        return tuple(row for row in table.rows if self.parts[key(row)] in parts)

    def save(self, target: Path) -> None:
        given = {"seed": self.seed, "data": self.data, "parts": dict(self.parts)}
        target.write_text(json.dumps(given, indent=0, sort_keys=True), "utf-8")

    @staticmethod
    def load(source: Path, table: Table, data: str) -> Split:
        try:
            given = json.loads(source.read_text("utf-8"))
            split = Split(int(given["seed"]), str(given["data"]), given["parts"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SplitRefused(
                f"{source} is not a split ({error!r}). Copy the run's own back, or teach it again: another has other figures."
            ) from error
        if split.data != data or set(split.parts) != {key(row) for row in table.rows}:
            raise SplitRefused(
                f"{source} is a split of other photos: its data hash is {split.data[:12]}, these have {data[:12]}."
            )
        if not set(split.parts.values()) <= set(get_args(Part)):
            raise SplitRefused(f"{source} names a part that does not exist; expected {', '.join(get_args(Part))}.")
        return split


def key(row: Row) -> str:
    return f"{row.path} {row.box.x},{row.box.y},{row.box.width},{row.box.height}" if row.box else row.path


def make_split(table: Table, manifest: Manifest, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    of: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(table.rows, key=key):
        of[row.identity].append(row)
    parts: dict[str, Part] = {key(row): "stranger" for row in of.pop(NEW, [])}
    if len(of) < 2:
        raise SplitRefused(f"{table.source} names {len(of)} individual: a split needs at least two.")
    when = {name: occasions(rows) for name, rows in of.items()}
    days = {name: sorted({one for one in some if one}, key=lambda one: one.order) for name, some in when.items()}
    # Neighbours in this order are alike in occasions and photos, so that one in five of them is a fair sample.
    order = sorted(of, key=lambda name: (len(days[name]), len(of[name]), name))
    strangers = _one_in_five(order, draw)
    for name in strangers:
        parts |= {key(row): "stranger" for row in of[name]}
    several = [name for name in order if name not in strangers and len(days[name]) > 1 and _is_told(of[name])]
    for name in sorted(_one_in_five(several, draw)):
        last = days[name][-1]
        parts |= {key(row): "occasion" for row, occasion in zip(of[name], when[name], strict=True) if occasion == last}
    for name in sorted(set(order) - strangers):
        left = list(dict.fromkeys(manifest.photos[row.path] for row in of[name] if key(row) not in parts))
        whole, rest = divmod(len(left), ONE_IN)
        asked = whole + int(len(left) > 1 and draw.random() < rest / ONE_IN)
        chosen = {left[i] for i in draw.permutation(len(left))[:asked]}
        parts |= {key(row): "closed" for row in of[name] if manifest.photos[row.path] in chosen and key(row) not in parts}
    return Split(seed, manifest.whole, {key(row): parts.get(key(row), "train") for row in table.rows})


def _is_told(rows: Sequence[Row]) -> bool:
    """Of each photo the same is known: a date, or else an encounter. Others may be of the day that is to be held back."""
    return all(row.date for row in rows) or all(row.encounter and not row.date for row in rows)


def _one_in_five(names: Sequence[str], draw: np.random.Generator) -> set[str]:
    """One of each full run of five, so that the share holds among the common and the rare alike."""
    runs = (names[start : start + ONE_IN] for start in range(0, len(names) - ONE_IN + 1, ONE_IN))
    return {run[int(draw.integers(len(run)))] for run in runs}
