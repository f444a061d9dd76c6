"""Labelled photos to a trained encoder. It reads downward:

    rows → split → photos → model, loss → steps → checkpoint → vectors → figures

One seed decides everything: what a step draws depends on the seed and the step's number alone, so a run that was killed and
resumed ends, on the CPU, with the same bits as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from .answers import Labelled
from .checkpoint import NAME, load_checkpoint, save_checkpoint
from .config import Config, differences
from .ended import BEFORE, FIGURES, Ended, ended, is_of_two
from .errors import CheckpointRefused, DataRefused
from .evaluate import figures, headline
from .manifest import Manifest, make_manifest
from .model import Embedder, embedder_of
from .photos import Photos
from .rows import NEW, Table
from .run import Progress, Run
from .splits import Part, Split, key, make_split
from .table import write_csv

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Report:
    """Whom a run tells what. Both may be silent."""

    progress: Callable[[Progress], None] = lambda _: None
    evaluated: Callable[[int, Mapping[str, Any]], None] = lambda _step, _figures: None


SILENT = Report()


def train(
    config: Config,
    table: Table,
    images: Path,
    out: Path,
    *,
    resume: bool = False,
    everything: bool = False,
    split: Split | None = None,
    begin: Path | None = None,
    second: bool = False,
    report: Report = SILENT,
) -> Mapping[str, Any]:
    """The figures of the finished run; `out` holds config, split (also as tables), manifest, checkpoint and figures.

    With `everything`, all named photos teach and nothing is measured: how a bundle is made once its sibling was judged.
    `begin` is the folder of a finished run, or a bundle of one, whose encoder this one goes on with, and on whose split it is
    judged; a bundle's may be taught other photos than it was. Of a bundle of two encoders it is the first, or the `second`.
    With `patience`, the best of the averages that were measured is the one that stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = make_manifest(table, images)
    made_of = {"config": json.dumps(config.as_json()), "data": manifest.whole, "everything": everything}
    state = load_checkpoint(out) if resume else None
    if state is not None:
        _refuse_other_run(state, config, manifest, everything, out)
        if begin is not None and not (out / BEFORE).exists():
            raise CheckpointRefused(f"{out} did not begin with another run's encoder, and goes on without. Leave --begin out.")
        split = Split.load(out / "split.json", table, manifest.whole)
    elif (out / NAME).exists():
        raise CheckpointRefused(f"{out} holds a run already. Resume it, or choose another folder.")
    before = None if begin is None or state is not None else _begun(begin, second, everything, manifest)
    if before is not None and before.knows(manifest):
        split = before.split(table, manifest)  # else it would be asked what it was taught
    split = split or make_split(table, manifest, config.seed)
    taught = [row for row in table.rows if row.identity != NEW] if everything else list(split.rows(table, "train"))
    taught.sort(key=key)  # what a step draws are places in this list: the table's order must not matter
    if len({row.identity for row in taught}) < 2:
        raise DataRefused(f"{len(taught)} photos of one individual are left to teach: expected two individuals or more.")
    weights = state["model"] if state else before.weights_for(config) if before else None
    run = Run(config, taught, images, weights)
    if before is not None:
        run.begin_with(before.loss)
    if state is not None:
        run.restore(state)
    else:  # a run that goes on has them: a kill while they are written again would lose them
        manifest.save(out / "manifest.json")
        _write_plan(config, table, split, out)
        (out / BEFORE).unlink(missing_ok=True)  # of a run that was killed here before it saved anything
        if before is not None:
            (out / BEFORE).write_text(json.dumps(before.history, indent=1), "utf-8")

    def save() -> None:
        save_checkpoint(run.state() | made_of, out)

    def look() -> dict[str, Any]:
        made = {} if everything else measure(run.average, config, table, images, split, manifest)
        report.evaluated(run.step, made)
        return made

    final = _taught(run, 0 if everything else config.evaluate_every, look, save, report.progress)
    (out / FIGURES).write_text(json.dumps(final, indent=1), "utf-8")
    return final


def _taught(
    run: Run,
    every: int,
    look: Callable[[], dict[str, Any]],
    save: Callable[[], object],
    tell: Callable[[Progress], object],
) -> Mapping[str, Any]:
    """Through all steps, or until patience ends; a look each `every` photos that were shown. The figures of what stays."""
    config, saved = run.config, time.monotonic()
    each = config.batch * config.accumulate
    stopped = bool(config.patience) and run.worse >= config.patience  # before this process began
    for progress in run.steps() if not stopped else ():
        tell(progress)
        if every and run.step < config.steps and run.step * each // every > (run.step - 1) * each // every:
            run.judge(headline(look()))
            if config.patience and run.worse >= config.patience:
                break
        if time.monotonic() - saved > config.save_every_s:
            save()
            saved = time.monotonic()
    save()
    final = look()
    if config.patience and headline(final) < run.best:
        run.take_best()
        save()
        final = look()
    return final


def _begun(begin: Path, second: bool, everything: bool, manifest: Manifest) -> Ended:
    if second and not is_of_two(begin):
        raise CheckpointRefused(f"{begin} is no bundle of two encoders, so there is no second one to go on with.")
    before = ended(begin, beside=second)
    if before.everything and before.knows(manifest) and not everything:
        raise CheckpointRefused(f"{begin} was taught everything: nothing can be held back from it. Say --everything.")
    return before


def _refuse_other_run(state: Mapping[str, Any], config: Config, manifest: Manifest, everything: bool, out: Path) -> None:
    """Going on with other data or settings would be neither run: say what is other."""
    saved = Config.from_json(json.loads(state["config"]))  # with its first value for a setting that is newer than the run
    told = [f"{name} was {before} and is {now}" for name, before, now in differences(saved, config)]
    if state["data"] != manifest.whole:
        photos = Manifest.load(out / "manifest.json").changed(manifest)
        named = ", ".join(photos[:SHOWN]) + (f" and {len(photos) - SHOWN} more" if len(photos) > SHOWN else "")
        told.append(f"other photos ({named})" if photos else "the table says something else of the same photos")
    if state["everything"] != everything:
        told.append("it teaches everything" if state["everything"] else "it holds photos back, and --everything does not")
    if told:
        raise CheckpointRefused(
            f"{out} holds another run: {'; '.join(told)}. Use what it was begun with, or another --out folder."
        )


def _write_plan(config: Config, table: Table, split: Split, out: Path) -> None:
    (out / "config.json").write_text(json.dumps(config.as_json(), indent=1), "utf-8")
    split.save(out / "split.json")
    for part in get_args(Part):  # as tables, to measure any bundle with: `flukeprint evaluate`
        write_csv(split.rows(table, part), out / f"{part}.csv")


def measure(
    module: torch.nn.Module, config: Config, table: Table, images: Path, split: Split, manifest: Manifest
) -> dict[str, Any]:
    """The figures of each part that asks, by its name."""
    vectors = Photos(table.rows, images, config).embed(module.eval(), range(len(table.rows)), config.device)
    return judged(vectors, table, split, manifest)


def judged(vectors: npt.NDArray[np.float32], table: Table, split: Split, manifest: Manifest) -> dict[str, Any]:
    """The same, of the rows' vectors."""
    place = {id(row): index for index, row in enumerate(table.rows)}

    def part(*names: str, named: bool = False) -> Labelled:
        rows = [row for row in split.rows(table, *names) if not named or row.identity != NEW]  # type: ignore[arg-type]
        return Labelled(rows, vectors[[place[id(row)] for row in rows]], manifest.photos)

    made = {}
    for name in ("closed", "occasion"):
        if split.rows(table, name):  # type: ignore[arg-type]
            made[name] = figures(part("train"), part(name, "stranger"))
    if split.rows(table, "stranger"):
        made["stranger"] = figures(part("train", "stranger", named=True), part("stranger"))
        if elsewhere := without_some(part("stranger")):
            made["elsewhere"] = figures(elsewhere, part("stranger"))
    return made


def without_some(strangers: Labelled) -> Labelled | None:
    """A catalogue of animals that were never taught, as most users have one: two in three, so that the others are new to it."""
    new = {NEW, *sorted({row.identity for row in strangers.rows} - {NEW})[::3]}
    kept = [index for index, row in enumerate(strangers.rows) if row.identity not in new]
    rows = [strangers.rows[index] for index in kept]
    return Labelled(rows, strangers.vectors[kept], strangers.bytes_of) if kept else None


def trained(source: Path) -> tuple[Config, Embedder]:
    """The averaged encoder of a run, in eval mode, and the configuration that it was trained with."""
    state = load_checkpoint(source)
    config = Config.from_json(json.loads(state["config"]))
    return config, embedder_of(config, state["average"]).eval()
