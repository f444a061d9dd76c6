"""What a run that has ended leaves to whoever goes on with it: in its folder, or in a bundle that was made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from encoder.bundle import CONTRACT, load_bundle

from .checkpoint import NAME, load_checkpoint
from .config import Config
from .errors import CheckpointRefused
from .manifest import Manifest
from .model import Embedder, embedder_of
from .reopened import reopened
from .rows import Table
from .splits import Split, make_split

FIGURES = "figures.json"  # what only a run that has ended has
BEFORE = "before.json"  # the runs that a run goes on from


@dataclass(frozen=True, slots=True)
class Ended:
    source: Path
    config: Config
    average: Mapping[str, torch.Tensor]
    loss: Mapping[str, torch.Tensor]  # none in a bundle
    everything: bool
    history: list[dict[str, Any]]  # what it was taught and what the runs before it were, the first one first
    bundle: str | None = None  # its id, if it is one
    seed: int = 0  # of a bundle's split
    data: str | None = None  # of a bundle, the photos' hash

    def weights_for(self, config: Config) -> Mapping[str, torch.Tensor]:
        """Of the encoder that a run with this configuration begins with: without bands, that of the whole photo alone."""
        kept = config.bands > 1 or self.config.bands == 1
        return self.average if kept else {n: t for n, t in self.average.items() if not n.startswith("bands.")}

    def encoder(self) -> Embedder:
        """The averaged one, in eval mode."""
        return embedder_of(self.config, self.average).eval()

    def knows(self, manifest: Manifest) -> bool:
        """Whether it was taught of these photos; a run's folder goes with no others."""
        return self.data in (None, manifest.whole)

    def split(self, table: Table, manifest: Manifest) -> Split:
        """The one that it was judged on."""
        if self.bundle is None:
            return Split.load(self.source / "split.json", table, manifest.whole)
        if not self.knows(manifest):
            raise CheckpointRefused(
                f"{self.bundle} was taught other photos: their hash is {str(self.data)[:12]}, of these {manifest.whole[:12]}. "
                "Give the table and the images that it was made of."
            )
        return make_split(table, manifest, self.seed)


def ended(source: Path, *, beside: bool = False) -> Ended:
    """`beside` takes the second run of a bundle that was made of two."""
    if _is_bundle(source):
        return _of_bundle(source, beside=beside)
    state = load_checkpoint(source)
    if not (source / FIGURES).exists():
        raise CheckpointRefused(f"{source} has not ended: it has no {FIGURES}. Resume it first.")
    config = json.loads(state["config"])
    path = source / BEFORE
    earlier = json.loads(path.read_text("utf-8")) if path.exists() else []
    last = {"config": config, "everything": state["everything"], "steps": state["step"]}
    return Ended(source, Config.from_json(config), state["average"], state["loss"], state["everything"], [*earlier, last])


def is_of_two(source: Path) -> bool:
    """Whether it is a bundle with a second encoder in it."""
    return _is_bundle(source) and "beside" in load_bundle(source).training


def _is_bundle(source: Path) -> bool:
    return (source / CONTRACT).is_file() and not (source / NAME).is_file()


def _of_bundle(source: Path, *, beside: bool) -> Ended:
    bundle = load_bundle(source)
    second = beside and "beside" in bundle.training
    config, encoder = reopened(bundle, beside=second)
    made = bundle.training["beside"] if second else bundle.training
    last = {"config": made["config"], "everything": made["everything"], "bundle": bundle.id}
    return Ended(
        source,
        config,
        encoder.state_dict(),
        {},
        made["everything"],
        [*made.get("before", []), last],
        bundle.id,
        bundle.training["split_seed"],
        bundle.training["data_sha256"],
    )
