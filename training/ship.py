"""A run to a bundle: the averaged encoder exported, with what it learned from, how it was judged, and how to repeat both.

What it states comes from the run's own files. All is done on the CPU, wherever the run was taught: that is where it serves.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from encoder.bundle import CONTRACT, Bundle, load_bundle
from matching.fit import calibrate

from .calibrated import ExactIndex
from .card import write_words
from .config import Config
from .discriminant import Kind, discriminant
from .ended import Ended, ended
from .errors import CheckpointRefused, ExportRefused
from .export import as_text, export_bundle, fold_batch_norms, publish
from .half import halve
from .manifest import make_manifest
from .mixture import Banded, Encoder, Look, Mixture, Placed, PlainFeatures, looks_of, round_weights, side_by_side, step_of
from .model import Embedder, first_backbone, has_one_size
from .photos import Photos
from .rows import NEW, Row, Table
from .sibling import refuse_other_making
from .splits import key
from .train import judged

RIDGE = 0.1  # of a mixture's discriminant: own encounter out .43, with .2 .42, with .03 .45; never taught .22, .23, .21
BANDS = 0.5  # of the cosine, where there are bands: own encounter out .61, with .2 .58, with .4 .60, without .56
HELD = 16  # photos on which the runtimes are held against torch


@dataclass(frozen=True, slots=True)
class Source:
    """What a person must say of the data, since no file knows it."""

    data: str  # its name
    licence: str
    weights: str  # where the first weights came from, and their licence
    notes: str = ""  # what else whoever uses it should know of how it was made


@dataclass(frozen=True, slots=True)
class Making:
    """How a run's encoder becomes a bundle's.

    With `taught` below 1 it is mixed with the first weights; the taught encoder may look at several `sides`, shares of the
    photo's, and the first weights look at `first_side`, or at the last of them; at the first, what it sees may be pooled in
    `bands` too. Of a mixture a discriminant makes `dimension` numbers, as many as the run's where it is not said. With `half`
    large weights are stored in 16 bits.
    """

    taught: float = 1.0
    sides: tuple[float, ...] = (1.0,)
    first_side: float | None = None
    bands: int = 1
    dimension: int | None = None
    half: bool = False

    @property
    def is_mixture(self) -> bool:
        return self.taught < 1 or self.sides != (1.0,) or self.bands > 1

    def as_json(self) -> dict[str, Any]:
        """Under the names that bundles state them by; what was not chosen is not there."""
        chosen: dict[str, Any] = {"taught_share": self.taught, "sides": list(self.sides), "half": self.half}
        chosen |= {"first_side": self.first_side} if self.first_side is not None else {}
        chosen |= {"bands": self.bands} if self.bands > 1 else {}
        chosen |= {"discriminant_dimension": self.dimension} if self.dimension is not None else {}
        return chosen | ({"discriminant_ridge": RIDGE} if self.is_mixture else {})


AS_TAUGHT = Making()


def ship(
    run: Path,
    folder: Path,
    *,
    table: Table,
    images: Path,
    name: str,
    version: str,
    source: Source,
    making: Making = AS_TAUGHT,
    beside: Path | None = None,
    sibling: Path | None = None,
) -> Bundle:
    """The bundle of a run, or of a bundle of one, measured as it ships on the parts of the run's split that were held back.

    The encoder of a run `beside` it, of the same split, looks at the whole photo too, at the first side.
    A run that was taught everything has nothing left to be measured on: `sibling` is the bundle of the
    same making, taught on the split, whose figures and calibration it is given, labelled so. Nothing is written unless torch,
    ONNX Runtime and OpenVINO agree, and nothing before all is made.
    """
    begun = ended(run)
    config, module, everything = begun.config, begun.encoder(), begun.everything
    if everything and sibling is None:
        raise CheckpointRefused(f"{run} was taught on everything, so nothing is left to measure: name its sibling's bundle.")
    if sibling is not None and not everything:
        raise CheckpointRefused(
            f"{run} has photos that were held back, on which its bundle is measured: leave the sibling out."
        )
    manifest = make_manifest(table, images)
    split = begun.split(table, manifest)
    other = ended(beside, beside=True) if beside is not None else None
    if other is not None:
        _refuse_apart(begun, other, None if everything else other.split(table, manifest).parts == split.parts)
    earlier = begun.history[:-1]
    lessons = tuple(row for row in table.rows if row.identity != NEW) if everything else split.rows(table, "train")
    training: dict[str, Any] = {
        "data": source.data,
        "licence": source.licence,
        "first_weights": source.weights,
        "data_sha256": manifest.whole,
        "photos": len(lessons),
        "split_seed": split.seed,
        "everything": everything,
        **making.as_json(),
        "config": config.as_json(),
        **({"before": earlier} if earlier else {}),
        **({"encoder_of": begun.bundle} if begun.bundle else {}),
        **({"beside": _taught_by(other), "discriminant_ridge": RIDGE} if other is not None else {}),
        "torch": torch.__version__,
        **({"notes": source.notes} if source.notes else {}),
    }
    before = load_bundle(sibling) if sibling is not None else None
    if before is not None:
        refuse_other_making(before, training)
    with_it = [other.encoder().whole()] if other is not None else []
    shipped = _as_shipped(module, with_it, config, lessons, images, making)
    if before is not None:
        metrics = dict(before.metrics) | {"of": f"{before.id}, a sibling that was taught on the split"}
        calibration = before.calibration
    else:
        vectors = Photos(table.rows, images, config).embed(shipped, range(len(table.rows)))
        made = judged(vectors, table, split, manifest)
        metrics = {"of": "this run"} | {part: summary(of) for part, of in made.items()}
        calibration = _calibration(vectors, table.rows, {row for row in split.rows(table, "stranger") if row.identity != NEW})
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        bundle = export_bundle(
            shipped,
            Path(temporary) / "bundle",
            name=name,
            version=version,
            shape=config.shape,
            mean=config.mean,
            std=config.std,
            training=training,
            metrics={name: of for name, of in metrics.items() if name != "runtimes"},  # of a sibling: these are its own
            photos=Photos(table.rows, images, config).tensors(range(0, len(table.rows), -(-len(table.rows) // HELD))),
        )
        if making.half:
            bundle = halve(bundle)
        if calibration is not None:
            bundle = with_calibration(bundle, calibration)
        write_words(bundle)
        publish(bundle.folder, folder)
    return load_bundle(folder)


def _taught_by(run: Ended) -> dict[str, Any]:
    earlier = run.history[:-1]
    return {
        "config": run.history[-1]["config"],  # a bundle of two holds less of the second's encoder than was taught
        "everything": run.everything,
        **({"before": earlier} if earlier else {}),
        **({"encoder_of": run.bundle} if run.bundle else {}),
    }


def _refuse_apart(one: Ended, other: Ended, same_split: bool | None) -> None:
    """Encoders that see a photo otherwise, or that were taught what the other is asked, make no bundle together."""
    apart = [name for name in ("shape", "mean", "std") if getattr(one.config, name) != getattr(other.config, name)]
    apart += ["everything"] if one.everything != other.everything else []
    apart += ["split"] if same_split is False else []
    if apart:
        raise CheckpointRefused(
            f"{other.source} has another {' and '.join(apart)} than {one.source}: expected --beside it a run of the same "
            "split, whose photos are shown alike."
        )


def _as_shipped(
    module: Embedder, beside: Sequence[Embedder], config: Config, lessons: Sequence[Row], images: Path, making: Making
) -> torch.nn.Module:
    """The module whose vectors will be served: mixed, folded and rounded before it is measured."""
    is_mixture = bool(beside) or making.is_mixture
    made: torch.nn.Module = _mixed(module, beside, config, lessons, images, making) if is_mixture else module
    if making.dimension is not None and not is_mixture:
        raise ExportRefused(
            f"--dimension {making.dimension} is of a mixture, and nothing is mixed: say --taught, --sides, --bands or --beside."
        )
    if making.first_side is not None and making.taught == 1:
        raise ExportRefused(
            f"--first-side {making.first_side:g} is where the first weights look, and they are not mixed in: say --taught."
        )
    return round_weights(fold_batch_norms(copy.deepcopy(made))) if making.half else made


def _mixed(
    module: Embedder, beside: Sequence[Embedder], config: Config, lessons: Sequence[Row], images: Path, making: Making
) -> Mixture:
    sides, first_side = making.sides, making.sides[-1] if making.first_side is None else making.first_side
    if (*sides, first_side) != (1.0, 1.0) and has_one_size(module.backbone):
        raise ExportRefused(f"--sides {sides} of {config.backbone}, which takes one size only: expected --sides 1.")
    if making.bands > 1 and config.shape.rule == "budget":
        raise ExportRefused(f"--bands {making.bands} takes photos of one size. Say --bands 1.")
    step = step_of(config.shape)
    each = making.taught / (len(sides) + len(beside))
    shares = [each] * (len(sides) + len(beside)) + ([1 - making.taught] if making.taught < 1 else [])
    shares, of_first = with_bands(shares) if making.bands > 1 else (shares, 0.0)
    encoders: list[Encoder] = [
        Banded(module, making.bands, of_first) if making.bands > 1 else module,
        *beside,
        *[module] * (len(sides) - 1),
    ]
    at = [*[sides[0]] * (1 + len(beside)), *sides[1:]]
    if making.taught < 1:
        encoders.append(PlainFeatures(first_backbone(config)).eval())
        at.append(first_side)
    placed = [Placed(*one) for one in zip(encoders, at, shares, strict=True)]
    apart = [Look(one.encoder, one.side, step).eval() for one in placed]
    with torch.inference_mode():  # what cannot be mixed says so before all photos are looked at
        for look in apart:
            look(torch.zeros(1, 3, config.shape.height, config.shape.width))
    photos = Photos(lessons, images, config)
    vectors = [photos.embed(look, range(len(lessons))) for look in apart]
    _, animal = np.unique([row.identity for row in lessons], return_inverse=True)
    _, encounter = np.unique([row.encounter or str(row.date) for row in lessons], return_inverse=True)
    kind = Kind("taught", side_by_side(vectors, shares), animal, encounter)
    found = discriminant([kind], making.dimension or config.dimension, RIDGE)
    return Mixture(*looks_of(placed, step), *found).eval()


def with_bands(shares: Sequence[float]) -> tuple[list[float], float]:
    """The looks' shares once the first's features are pooled in bands too, and what part of the first's is the bands'."""
    made = [share * (1 - BANDS) for share in shares]
    made[0] += BANDS
    return made, BANDS / made[0]


def _calibration(vectors: npt.NDArray[np.float32], every: Sequence[Row], strangers: Collection[Row]) -> dict[str, Any] | None:
    """On animals that it was not taught, as if they were a catalogue; None where they are too few."""
    if not strangers:
        return None
    rows = [row for row in every if row in strangers]
    vectors = vectors[[row in strangers for row in every]]
    number = {name: at for at, name in enumerate(sorted({row.identity for row in rows}))}
    places = [(row.identity, row.encounter or str(row.date or key(row))) for row in rows]
    encounter = {place: at for at, place in enumerate(sorted(set(places)))}
    index = ExactIndex(vectors, [number[row.identity] for row in rows], [encounter[place] for place in places])
    fitted = calibrate(index, index, data="animals that the encoder was not taught")
    if fitted.source != "catalogue":
        return None
    species = tuple(sorted({row.species for row in rows if row.species}))
    return dict(dataclasses.replace(fitted, basis=dataclasses.replace(fitted.basis, species=species)).to_json())


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
        "auroc_95": made["open_set"]["auroc_95"],
        "auroc_cross_occasion": made["open_set_cross_occasion"]["auroc"],
        "ece": made["calibration"]["ece"],
        "ece_by_encounter": made["calibration"]["ece_by_encounter"],
    }
