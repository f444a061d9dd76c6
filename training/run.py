"""A run in memory: model, loss, optimiser and average, and the step they have reached.

What a step draws depends on the seed and the step's number alone; batches are made a little ahead, by threads, in order.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .config import Config, refuse_absent_device
from .errors import RunDiverged
from .losses import SpeciesHead, among, make_loss
from .model import Embedder, embedder_of, make_embedder, part_sizes
from .photos import Batch, Photos, stage_shape
from .rows import Row
from .sampler import Sampling
from .step import make_step, takes_apart

AHEAD = 4  # batches made before they are needed


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    steps: int
    loss: float
    photos_per_s: float
    left_s: float
    taught: int  # photos, of which an epoch shows as many


class Run:
    """`steps` advances it; `average` is what is judged and shipped; `state` and `restore` are its whole memory."""

    def __init__(
        self, config: Config, rows: Sequence[Row], images: Path, begun: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """`begun` are the encoder's weights where it goes on from some. What is frozen of them is given to an engine here."""
        refuse_absent_device(config.device)
        if threads := 1 if takes_apart(config) else config.threads:  # before anything is drawn, or its bits would differ
            torch.set_num_threads(threads)
        torch.manual_seed(config.seed)
        self.config, self.step = config, 0
        self.best, self.worse = -math.inf, 0  # the best figure so far, and how many evaluations since were no better
        self._kept: Mapping[str, torch.Tensor] = {}  # the average of then
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
        model = make_embedder(config) if begun is None else embedder_of(config, begun)
        self.model = model.to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = make_loss(config, [counts[name] for name in names] * sides).to(config.device)
        self.species = (
            SpeciesHead([row.species for row in rows], config.dimension).to(config.device) if config.species else None
        )
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self._step = make_step(self.model, config)
        self._groups = _groups(self.model, [self.loss, *([self.species] if self.species else [])], config)
        self._optimiser = torch.optim.AdamW(self._groups)
        self._photos = Photos(rows, images, config, self._step.first)
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
            left_s = (config.steps - self.step) / rate
            yield Progress(self.step, config.steps, sum(recent) / len(recent), rate * shown, left_s, len(self._rows))

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
                pooled = self._step.forward([group.to(config.device, non_blocking=True) for group in batch.groups])
                embeddings = self.model.neck(torch.cat(pooled))
            loss = self._loss_of(embeddings.float(), batch) / len(batches)
            loss.backward()
            self._step.backward()
            total += float(loss.detach())
        if not math.isfinite(total):  # before it reaches the weights, and the checkpoint
            raise RunDiverged(
                f"The loss is {total} at step {self.step + 1} of {config.steps}: nothing is learned from there. What was saved "
                f"before is whole. Begin again with lower rates: lr is {config.lr:g}, head_lr {config.head_lr:g}."
            )
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
        if self.species is not None:
            loss = loss + self.config.species * self.species(embeddings, batch.indices)
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

    def judge(self, figure: float) -> None:
        """How good the average is now; the best one is kept."""
        if figure > self.best:
            self.best, self.worse, self._kept = figure, 0, copy.deepcopy(self.average.state_dict())
        else:
            self.worse += 1

    def take_best(self) -> None:
        self.average.load_state_dict(self._kept)

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "best": self.best,
            "worse": self.worse,
            "kept": self._kept,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "loss": self.loss.state_dict(),
            "species": self.species.state_dict() if self.species else {},
            "optimiser": self._optimiser.state_dict(),
        }

    def begin_with(self, loss: Mapping[str, torch.Tensor]) -> None:
        """The weights of another run's `loss`, where it was taught the same individuals.

        Where it was taught others, each individual begins at the mean of its photos' vectors: learning the loss's weights
        from nothing would take half of a short run, and pull the encoder about meanwhile.
        """
        shapes = {name: tensor.shape for name, tensor in self.loss.state_dict().items()}
        if shapes == {name: tensor.shape for name, tensor in loss.items()}:
            self.loss.load_state_dict(loss)
        else:
            self._imprint()

    @torch.no_grad()
    def _imprint(self) -> None:
        looks = [self.average.eval(), nn.Sequential(Mirrored(), self.average).eval()]
        sides = 2 if self.config.augment.mirror == "other" else 1
        labels = torch.tensor([self._label[row.identity] for row in self._rows])
        means = torch.zeros(sides, len(self._label), self.config.dimension)
        for side, look in enumerate(looks[:sides]):
            vectors = self._photos.embed(look, range(len(self._rows)), self.config.device)
            means[side].index_add_(0, labels, torch.from_numpy(vectors))
        parts = means.flatten(0, 1).split(part_sizes(self.config.dimension, self.config.bands), dim=1)
        # (size, individuals × sides × centers) each: an individual's centers are neighbours
        for weight, part in zip(self.loss.parameters(), parts, strict=True):
            centers = nn.functional.normalize(part).T.to(weight.device)
            apart = nn.functional.normalize(weight, dim=0)  # some of where they were, or an individual's centers stay one
            weight.copy_(centers.repeat_interleave(weight.shape[1] // centers.shape[1], dim=1) + 0.3 * apart)

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.best, self.worse, self._kept = state["step"], state["best"], state["worse"], state.get("kept", {})
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.loss.load_state_dict(state["loss"])
        if self.species is not None:
            self.species.load_state_dict(state["species"])
        self._optimiser.load_state_dict(state["optimiser"])


class Mirrored(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flip(3)


def schedule(done: float, warmup: float) -> float:
    """The share of the full rate: a straight rise, then half a cosine to nothing.

    >>> schedule(0.5, 0.0)
    0.5
    """
    rise = min(1.0, (done + 1e-3) / warmup) if warmup else 1.0
    return rise * max(0.005, round(0.5 * (1 + math.cos(math.pi * done)), 12))


def _groups(model: Embedder, losses: Sequence[nn.Module], config: Config) -> list[dict[str, Any]]:
    """The new parts learn faster; gains and biases do not decay."""
    learning = [p for p in model.parameters() if p.requires_grad]
    projections = [p for neck in (model.project, *model.bands) for p in neck.parameters() if p.ndim > 1]
    new = [*projections, *(p for loss in losses for p in loss.parameters())]
    kinds = [
        (new, config.head_lr, config.weight_decay),
        ([p for p in learning if p.ndim > 1 and all(p is not one for one in projections)], config.lr, config.weight_decay),
        ([p for p in learning if p.ndim <= 1], config.lr, 0.0),
    ]
    return [{"params": p, "lr": rate, "full_lr": rate, "weight_decay": decay} for p, rate, decay in kinds]
