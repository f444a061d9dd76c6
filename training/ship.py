"""A run to a bundle: the averaged encoder exported, with what it learned from, how it was judged, and how to repeat both.

The words of `MODEL_CARD.md` and `model_contract.yaml` are made from the run's own files, never by hand, so they cannot say
what was not measured.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from encoder.bundle import CONTRACT, Bundle

from .checkpoint import load_checkpoint
from .config import Config
from .errors import CheckpointRefused
from .export import as_text, export_bundle
from .train import trained

CARD, YAML = "MODEL_CARD.md", "model_contract.yaml"


@dataclass(frozen=True, slots=True)
class Source:
    """What a person must say of the data, since no file knows it."""

    data: str  # its name
    licence: str
    weights: str  # where the first weights came from, and their licence
    notes: str = ""  # what else whoever uses it should know of how it was made


def ship(run: Path, folder: Path, *, name: str, version: str, source: Source, judged: Path | None = None) -> Bundle:
    """The bundle of a run folder. `judged` is the run whose figures are stated: its sibling where this one taught everything.

    Nothing is written unless torch, ONNX Runtime and OpenVINO agree.
    """
    config, module = trained(run)
    judge = judged or run
    figures = _read(judge / "figures.json")
    manifest, split = _read(run / "manifest.json"), _read(run / "split.json")
    parts = list(split["parts"].values())
    taught = len(parts) if load_checkpoint(run)["everything"] else parts.count("train")
    training = {
        "data": source.data,
        "licence": source.licence,
        "first_weights": source.weights,
        "data_sha256": manifest["whole"],
        "photos": taught,
        "split_seed": split["seed"],
        "config": config.as_json(),
        "torch": torch.__version__,
    } | ({"notes": source.notes} if source.notes else {})
    measured = {
        "of": "this run" if judged is None else "a sibling trained on the split, with the same configuration",
        **{part: summary(made) for part, made in figures.items()},
    }
    bundle = export_bundle(
        module,
        folder,
        name=name,
        version=version,
        shape=config.shape,
        mean=config.mean,
        std=config.std,
        training=training,
        metrics=measured,
    )
    (folder / CARD).write_text(card(bundle, source, config), "utf-8")
    (folder / YAML).write_text(contract(bundle), "utf-8")
    return bundle


def with_calibration(bundle: Bundle, calibration: Mapping[str, Any]) -> Bundle:
    """The same bundle with the calibration that stands in until a catalogue has its own."""
    made = dataclasses.replace(bundle, calibration=dict(calibration))
    beside = bundle.folder / f".{CONTRACT}.new"
    beside.write_text(as_text(made), "utf-8")
    beside.replace(bundle.folder / CONTRACT)
    return made


def summary(made: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one part that a bundle states."""
    ranking = {name: made[name] for name in ("n", "top1", "top1_95", "top5", "map")}
    across = {
        name: {f: made[name][f] for f in ("n", "top1", "top1_95", "top5")}
        for name in ("cross_encounter", "cross_date", "cross_occasion")
    }
    return {
        **ranking,
        **across,
        "auroc": made["open_set"]["auroc"],
        "auroc_cross_occasion": made["open_set_cross_occasion"]["auroc"],
        "ece": made["calibration"]["ece"],
    }


MEANINGS = {
    "closed": "one photo in five of animals that it was taught, at random: flattering, most have a near-copy in the gallery",
    "occasion": "the last date of one taught animal in five that has several, which neither encoder nor gallery has seen",
    "stranger": "animals that it was never taught, against all others",
}


def card(bundle: Bundle, source: Source, config: Config) -> str:
    lines = [
        f"| {head} |"
        for head in (
            "asked | queries | top-1 | own encounter left out | own photos of the date left out | AUROC",
            "|".join("-" * 6),
        )
    ]
    for part, meaning in MEANINGS.items():
        made = bundle.metrics.get(part)
        if made:
            figures = [made["top1"], made["cross_encounter"]["top1"], made["cross_occasion"]["top1"], made["auroc"]]
            shown = " | ".join("–" if value is None else f"{value:.3f}" for value in figures)
            lines.append(f"| {part}: {meaning} | {made['n']} | {shown} |")
    table = "\n".join(lines)
    return f"""# {bundle.name} {bundle.version}

Turns a photo of one animal into {bundle.dimension} numbers; photos of the same animal lie close to one another.
Backbone {config.backbone}, first weights: {source.weights}. Taught with {config.loss} on {bundle.training["photos"]} photos.
{source.notes}

## Use
To rank the individuals of a catalogue for a person to confirm. The input is one animal, cropped; how it is scaled stands in
`{CONTRACT}` and is done by the encoder that reads it.

## Limits
It was taught {source.data} and nothing else: on other animals expect less, and calibrate on your own catalogue. A photo's
light, water and date help it more than they should: judge it by the columns that leave the own encounter and occasion out.
Not for decisions that nobody checks.

## Data
{source.data}, {source.licence}. SHA-256 of the whole: `{bundle.training["data_sha256"]}`.

## Figures
Of {bundle.metrics["of"]}; split seed {bundle.training["split_seed"]}. Ninety-five per cent intervals stand in `{CONTRACT}`.

{table}

## To repeat them
`flukeprint train --data TABLE --images DIR --out RUN --config config.json`, with the `config` that stands in `{CONTRACT}`;
the run writes `figures.json`.
"""


def contract(bundle: Bundle) -> str:
    """YAML for those who run the model without Flukeprint. Every value is JSON, which YAML contains."""
    given = {
        "name": bundle.name,
        "version": bundle.version,
        "model_sha256": bundle.model_sha256,
        "input": {
            "name": "pixels",
            "shape": ["n", 3, "height", "width"],
            "type": "float32",
            "rule": bundle.shape.as_json(),
            "normalisation": {"formula": "(rgb / 255 - mean) / std", "mean": list(bundle.mean), "std": list(bundle.std)},
        },
        "outputs": [
            {"name": "vector", "shape": ["n", bundle.dimension], "type": "float32", "meaning": "unit norm; compare by cosine"},
            {"name": "norm", "shape": ["n"], "type": "float32", "meaning": "before normalisation"},
        ],
        "examples": [
            {"input": f"golden_photo({g.photo})", "vector_begins": list(g.vector[:8]), "norm": g.norm} for g in bundle.golden
        ],
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in given.items())


def _read(source: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(source.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointRefused(
            f"{source} cannot be read ({error}): the run has not ended, or is not one. Resume it."
        ) from error
