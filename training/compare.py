"""What each choice of making vectors is worth, of one finished run, on its own split: a table, a row a choice.

    python -m training.compare --run RUN --data metadata.csv --images beluga/

Nothing is taught: a row changes how photos are looked at, or what is done with the vectors. Columns as in docs/encoder.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .answers import Labelled
from .config import Config
from .discriminant import Kind, discriminant
from .ended import ended
from .evaluate import figures
from .manifest import make_manifest
from .mixture import Banded, Look, PlainFeatures, side_by_side, step_of
from .model import first_backbone
from .photos import Photos
from .rows import Row, Table
from .ship import RIDGE, with_bands
from .splits import Part, Split, key
from .table import open_table

Vectors = npt.NDArray[np.float32]
Figures = Mapping[str, Any]
COLUMNS = "closed | own encounter out | own photos of the occasion out | last occasion | AUROC | strangers"
DIMENSIONS = (64, 128, 256, 512)
SEVERAL = 4  # photos a query
BANDS_SHOWN = 3


class Flipped(nn.Module):
    """The mean of a photo and its mirror image."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        both = (self.encoder(pixels), self.encoder(pixels.flip(3)))
        return sum(nn.functional.normalize(one) for one in both)  # type: ignore[return-value]


class Cropped(nn.Module):
    """The mean of a photo and its middle."""

    def __init__(self, encoder: nn.Module, kept: float = 0.85) -> None:
        super().__init__()
        self.encoder, self.kept = encoder, kept

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        height, width = pixels.shape[2:]
        top, left = (round(side * (1 - self.kept) / 2) for side in (height, width))
        middle = pixels[:, :, top : height - top, left : width - left]
        again = nn.functional.interpolate(middle, size=(height, width), mode="bilinear", align_corners=False)
        return sum(nn.functional.normalize(self.encoder(one)) for one in (pixels, again))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Bench:
    """The photos and their parts: what a row is measured on."""

    table: Table
    images: Path
    config: Config
    split: Split

    def vectors(self, look: nn.Module) -> Vectors:
        photos = Photos(self.table.rows, self.images, self.config)
        return photos.embed(look.eval(), range(len(self.table.rows)))

    def part(self, vectors: Vectors, *names: Part) -> Labelled:
        chosen = [index for index, row in enumerate(self.table.rows) if self.split.parts[key(row)] in names]
        return Labelled([self.table.rows[index] for index in chosen], vectors[chosen])

    def discriminated(self, parts: Sequence[Vectors], shares: Sequence[float], dimension: int) -> Vectors:
        """Brought to `dimension` by a discriminant of the photos that were taught."""
        wide = side_by_side(parts, shares)
        taught = np.array([self.split.parts[key(row)] == "train" for row in self.table.rows])
        rows = [row for row, one in zip(self.table.rows, taught, strict=True) if one]
        _, animal = np.unique([row.identity for row in rows], return_inverse=True)
        _, encounter = np.unique([row.encounter or str(row.date) for row in rows], return_inverse=True)
        centre, matrix = discriminant([Kind("taught", wide[taught], animal, encounter)], dimension, RIDGE)
        made = (wide - centre) @ matrix
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)

    def row(self, name: str, vectors: Vectors, change: Callable[[Labelled], Labelled] = lambda asked: asked) -> str:
        gallery = self.part(vectors, "train")
        closed = figures(gallery, change(self.part(vectors, "closed", "stranger")), rounds=1)
        last = figures(gallery, change(self.part(vectors, "occasion", "stranger")), rounds=1)
        among = figures(self.part(vectors, "stranger"), self.part(vectors, "stranger"), rounds=1)
        return line(name, closed, last, among)


def line(name: str, closed: Figures, last: Figures, strangers: Figures) -> str:
    shown = [closed["top1"], closed["cross_encounter"]["top1"], closed["cross_occasion"]["top1"], last["top1"]]
    words = [_short(number) for number in (*shown, closed["open_set"]["auroc"])]
    return f"| {name} | {' | '.join(words)} | {_short(strangers['top1'])} / {_short(strangers['cross_encounter']['top1'])} |"


def _short(number: float | None) -> str:
    return "–" if number is None else f"{number:.3f}"


def several(asked: Labelled) -> Labelled:
    """Queries of up to so many photos of one encounter, as the mean of their vectors."""
    of: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(asked.rows):
        of[row.identity, row.encounter or str(row.date or key(row))].append(index)
    rows: list[Row] = []
    means = []
    for places in of.values():
        for start in range(0, len(places), SEVERAL):
            some = places[start : start + SEVERAL]
            mean = asked.vectors[some].mean(axis=0)
            rows.append(asked.rows[some[0]])
            means.append(mean / np.linalg.norm(mean))
    return Labelled(rows, np.array(means, np.float32))


def beside(one: Vectors, two: Vectors) -> Vectors:
    return side_by_side([one, two], [0.5, 0.5]).astype(np.float32)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m training.compare", description=(__doc__ or "").split("\n")[0])
    asked.add_argument("--run", type=Path, required=True, help="a finished run's folder, or a bundle of one")
    asked.add_argument("--data", type=Path, required=True, help="the table that it was taught from")
    asked.add_argument("--images", type=Path, help="default: the table's folder")
    asked.add_argument("--side", type=float, default=0.5, help="of the smaller look, as a share of the taught one's (0.5)")
    args = asked.parse_args()
    table, images = open_table(args.data), args.images or args.data.parent
    run = ended(args.run)
    config, taught = run.config, run.encoder()
    bench = Bench(table, images, config, run.split(table, make_manifest(table, images)))
    plain = PlainFeatures(first_backbone(config))

    def show(name: str, vectors: Vectors, change: Callable[[Labelled], Labelled] = lambda asked: asked) -> None:
        print(bench.row(name, vectors, change), flush=True)

    print(f"| made of {args.run.name} | {COLUMNS} |\n|{'---|' * 7}")
    step = step_of(config.shape)
    whole, small, first = (
        bench.vectors(look) for look in (Look(taught), Look(taught, args.side, step), Look(plain, args.side, step))
    )
    show(f"first weights, {args.side:g} of the side", first)
    show("taught", whole)
    show(f"taught, {args.side:g} of the side", small)
    show("taught, with the mirrored photo", bench.vectors(Flipped(taught)))
    show("taught, with its middle 85 %", bench.vectors(Cropped(taught)))
    show("taught, both sides", beside(whole, small))
    show("half taught, half first weights", beside(whole, first))
    show("that, discriminant to 512", bench.discriminated([whole, first], [0.5, 0.5], 512))
    looks, shares = [whole, small, first], [0.25, 0.25, 0.5]
    for dimension in DIMENSIONS:
        made = bench.discriminated(looks, shares, dimension)
        show(f"taught at both sides, first weights, discriminant to {dimension}", made)
    show(f"the last, up to {SEVERAL} photos of an encounter a query", made, several)
    if config.shape.rule == "budget":  # whose photos have no one height
        return
    shares, of_first = with_bands(shares)
    looks[0] = bench.vectors(Banded(taught, BANDS_SHOWN, of_first))
    for dimension in DIMENSIONS:
        made = bench.discriminated(looks, shares, dimension)
        show(f"that in {BANDS_SHOWN} bands too, discriminant to {dimension}", made)


if __name__ == "__main__":
    main()
