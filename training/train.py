"""Labelled photos to a trained encoder. It reads downward:

    rows → split → photos → model, loss → steps → checkpoint → vectors → figures

One seed decides everything: what a step draws depends on the seed and the step's number alone, so a run that was killed and
resumed ends, on the CPU, with the same bits as one that was not.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoint import NAME, load_checkpoint, refuse_other_run, save_checkpoint
from .config import Config
from .errors import CheckpointRefused, DataRefused
from .evaluate import Labelled, figures, headline
from .losses import among, make_loss
from .manifest import make_manifest
from .model import Embedder, make_embedder
from .photos import Batch, Photos, stage_shape
from .rows import NEW, Row, Table
from .sampler import Sampling
from .splits import Split, make_split

AHEAD = 4  # batches made before they are needed


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    steps: int
    loss: float
    photos_per_s: float
    left_s: float


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
    report: Report = SILENT,
) -> Mapping[str, Any]:
    """The figures of the finished run; `out` holds config, split, manifest, checkpoint and figures.

    With `everything`, all named photos teach and nothing is measured: how a bundle is made once its sibling was judged.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = make_manifest(table, images)
    split = split or make_split(table, manifest.whole, config.seed)
    taught = [row for row in table.rows if row.identity != NEW] if everything else list(split.rows(table, "train"))
    if len({row.identity for row in taught}) < 2:
        raise DataRefused(f"{len(taught)} photos of one individual are left to teach: expected two individuals or more.")
    run = Run(config, taught, images)
    expected = {
        "config": json.dumps(config.as_json()),
        "data": manifest.whole,
        "split": _digest(split),
        "everything": everything,
    }
    if resume:
        state = load_checkpoint(out)
        refuse_other_run(state, **expected)
        run.restore(state)
    elif (out / NAME).exists():
        raise CheckpointRefused(f"{out} holds a run already. Resume it, or choose another folder.")
    (out / "config.json").write_text(json.dumps(config.as_json(), indent=1), "utf-8")
    split.save(out / "split.json")
    manifest.save(out / "manifest.json")

    best, worse, saved = run.best, 0, time.monotonic()
    for progress in run.steps():
        report.progress(progress)
        shown = run.step * config.batch * config.accumulate
        if not everything and config.evaluate_every and run.step < config.steps and _crossed(shown, config):
            measured = measure(run.average, config, table, images, split)
            report.evaluated(run.step, measured)
            worse = 0 if headline(measured) > best else worse + 1
            best = run.best = max(best, headline(measured))
            if config.patience and worse >= config.patience:
                break
        if time.monotonic() - saved > config.save_every_s:
            save_checkpoint(run.state() | expected, out)
            saved = time.monotonic()
    save_checkpoint(run.state() | expected, out)
    final = {} if everything else measure(run.average, config, table, images, split)
    report.evaluated(run.step, final)
    (out / "figures.json").write_text(json.dumps(final, indent=1), "utf-8")
    return final


def measure(module: Embedder, config: Config, table: Table, images: Path, split: Split) -> dict[str, Any]:
    """The figures of each part that asks, by its name."""
    module.eval()
    photos = Photos(table.rows, images, config)
    vectors = photos.embed(module, range(len(table.rows)), config.device)
    place = {id(row): index for index, row in enumerate(table.rows)}

    def part(*names: str) -> Labelled:
        rows = split.rows(table, *names)  # type: ignore[arg-type]
        return Labelled(rows, vectors[[place[id(row)] for row in rows]])

    made = {}
    for name in ("closed", "occasion"):
        if split.rows(table, name):  # type: ignore[arg-type]
            made[name] = figures(part("train"), part(name, "stranger"))
    if split.rows(table, "stranger"):
        made["stranger"] = figures(part("train", "stranger"), part("stranger"))
    return made


class Run:
    """Model, loss, optimiser and average, and the step they have reached."""

    def __init__(self, config: Config, rows: Sequence[Row], images: Path) -> None:
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.step, self.best = config, 0, -math.inf
        names = sorted({row.identity for row in rows})
        counts = Counter(row.identity for row in rows)
        sides = 2 if config.augment.mirror == "other" else 1
        self._label = {name: index for index, name in enumerate(names)}
        self._rows = rows
        self._days = {day: index for index, day in enumerate({row.date: None for row in rows})}
        self._seen_on = torch.zeros(len(self._days), len(names) * sides, dtype=torch.bool)  # which individuals, each day
        for row in rows:
            self._seen_on[self._days[row.date], self._label[row.identity] :: len(names)] = True
        if None in self._days:
            self._seen_on[self._days[None]] = True  # of an unknown day all are rivals
        self.model = make_embedder(config).to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = make_loss(config, [counts[name] for name in names] * sides).to(config.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self._groups = _groups(self.model, self.loss, config)
        self._optimiser = torch.optim.AdamW(self._groups)
        self._photos = Photos(rows, images, config)
        self._sampling = Sampling(rows, config.sampler, config.batch, config.seed)

    def steps(self) -> Iterator[Progress]:
        config = self.config
        recent: deque[float] = deque(maxlen=50)
        began, first = time.monotonic(), self.step
        for batches in self._ahead():
            recent.append(self._advance(batches))
            self.step += 1
            rate = (self.step - first) / max(time.monotonic() - began, 1e-9)
            shown = config.batch * config.accumulate
            yield Progress(self.step, config.steps, sum(recent) / len(recent), rate * shown, (config.steps - self.step) / rate)

    def _advance(self, batches: Sequence[Batch]) -> float:
        """One step of the optimiser and of the average; the mean loss."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + self.step)  # dropout draws by the step too
        self.model.train()
        for group in self._optimiser.param_groups:
            group["lr"] = group["full_lr"] * schedule(self.step / config.steps, config.warmup)
        self._optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for batch in batches:
            # bfloat16 pays on an accelerator; on a CPU with AVX512-bf16 it was slower (24 photos a CPU second against 27).
            with torch.autocast(config.device, dtype=torch.bfloat16, enabled=config.device != "cpu"):
                embeddings = self.model.mixed([group.to(config.device, non_blocking=True) for group in batch.groups])
            loss = self._loss_of(embeddings.float(), batch) / len(batches)
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_([p for group in self._groups for p in group["params"]], config.clip)
        self._optimiser.step()
        self._follow(min(config.ema, (1 + self.step) / (10 + self.step)))
        return total

    @torch.no_grad()
    def _follow(self, keep: float) -> None:
        """The average of the weights over the last steps, which is what is judged and shipped."""
        for mine, theirs in zip(self.average.parameters(), self.model.parameters(), strict=True):
            if theirs.requires_grad:
                mine.lerp_(theirs, 1 - keep)
        for mine, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)

    def _loss_of(self, embeddings: torch.Tensor, batch: Batch) -> torch.Tensor:
        labels = self._labels(batch)
        loss: torch.Tensor = self.loss(embeddings, labels)
        if self.config.day_rivals:
            rivals = self._seen_on[[self._days[self._rows[i].date] for i in batch.indices]].to(self.config.device)
            loss = loss + self.config.day_rivals * among(self.loss, embeddings, labels, rivals)
        return loss

    def _labels(self, batch: Batch) -> torch.Tensor:
        apart = len(self._label) if self.config.augment.mirror == "other" else 0
        pairs = zip(batch.indices, batch.mirrored, strict=True)
        return torch.tensor([self._label[self._rows[i].identity] + apart * m for i, m in pairs], device=self.config.device)

    def _ahead(self) -> Iterator[list[Batch]]:
        """The batches of each step to come, made a little before they are needed, in order."""
        with ThreadPoolExecutor(2) as pool:
            waiting: deque[Future[list[Batch]]] = deque()
            for step in range(self.step, self.config.steps):
                waiting.append(pool.submit(self._make, step))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _make(self, step: int) -> list[Batch]:
        shape = stage_shape(self.config, step / self.config.steps)
        parts = range(step * self.config.accumulate, (step + 1) * self.config.accumulate)
        return [self._photos.batch(self._sampling.indices(part), self._sampling.draw(part), shape) for part in parts]

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "best": self.best,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "loss": self.loss.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.best = state["step"], state["best"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.loss.load_state_dict(state["loss"])
        self._optimiser.load_state_dict(state["optimiser"])


def schedule(done: float, warmup: float) -> float:
    """The share of the full rate: a straight rise, then half a cosine to nothing.

    >>> schedule(0.5, 0.0)
    0.5
    """
    rise = min(1.0, (done + 1e-3) / warmup) if warmup else 1.0
    return rise * max(0.005, round(0.5 * (1 + math.cos(math.pi * done)), 12))


def trained(source: Path) -> tuple[Config, Embedder]:
    """The averaged encoder of a run, in eval mode, and the configuration that it was trained with."""
    state = load_checkpoint(source)
    config = Config.from_json(json.loads(state["config"]))
    module = make_embedder(config)
    module.load_state_dict(state["average"])
    return config, module.eval()


def _groups(model: Embedder, loss: nn.Module, config: Config) -> list[dict[str, Any]]:
    """The new parts learn faster; gains and biases do not decay."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    new = [model.project.weight, *loss.parameters()]
    kinds = [
        (new, config.head_lr, config.weight_decay),
        ([p for _, p in named if p.ndim > 1 and p is not model.project.weight], config.lr, config.weight_decay),
        ([p for _, p in named if p.ndim <= 1], config.lr, 0.0),
    ]
    return [{"params": p, "lr": rate, "full_lr": rate, "weight_decay": decay} for p, rate, decay in kinds]


def _crossed(shown: int, config: Config) -> bool:
    each = config.batch * config.accumulate
    return shown // config.evaluate_every > (shown - each) // config.evaluate_every


def _digest(split: Split) -> str:
    return hashlib.sha256(json.dumps(dict(split.parts), sort_keys=True).encode()).hexdigest()
