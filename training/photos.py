"""Rows to tensors for training: decoded once by serving's own path, kept small, changed anew each time they are shown.

A photo is kept at the size that serving would give it, with the size of the crop that it was: that decides whether it is turned
and which of a budget's shapes it becomes. Earlier stages of a run show it smaller; no stage shows it larger.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from encoder.header import read_header
from encoder.photo import check_box, decode, read_photo, whole
from encoder.preprocess import STEP, Fit, InputShape, Tensor, resize, to_tensor
from encoder.values import Box, Pixels

from .augment import augment, worn
from .config import Config
from .engine import Engine
from .rows import Row

MANY = 500  # photos, from which on an engine is worth the ten seconds that it takes to make


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos in groups of one shape, and which rows they are, in the order of the groups."""

    groups: tuple[torch.Tensor, ...]  # each (n, 3, h, w) float32, normalised; or what `first` made of them
    indices: tuple[int, ...]
    mirrored: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A crop, decoded and scaled as serving would for a shape, and not turned yet."""

    pixels: Pixels
    width: int  # of the crop as it was
    height: int

    def fit(self, shape: InputShape) -> Fit:
        return shape.fit(self.width, self.height)

    def seen(self, fit: Fit) -> tuple[int, int]:
        """The crop's own width and height, or those that it becomes, whichever are less: no detail beyond them is left."""
        width, height = fit.target
        return min(width, self.width), min(height, self.height)


def keep(data: bytes, box: Box | None, shape: InputShape) -> Kept:
    """As `Encoder.encode` begins."""
    header = read_header(data)
    crop = whole(header) if box is None else box
    check_box(crop, header)
    target = shape.fit(crop.width, crop.height).target
    return Kept(resize(decode(data, header, crop, target), *target), crop.width, crop.height)


class Photos:
    """The rows' photos. Safe to read from several threads; the cache stops growing at its limit."""

    def __init__(
        self, rows: Sequence[Row], images: Path, config: Config, first: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> None:
        """`first` is run on each group of a batch, by the thread that makes it."""
        self._rows, self._images, self._config, self._first = rows, images, config, first
        self._kept: dict[int, Kept] = {}
        self._room = config.cache_mb * 1_000_000

    def kept(self, index: int) -> Kept:
        """At the size of the last stage."""
        kept = self._kept.get(index)
        if kept is None:
            row = self._rows[index]
            kept = keep(read_photo(self._images / row.path), row.box, self._config.shape)
            if self._room >= kept.pixels.nbytes:
                self._room -= kept.pixels.nbytes
                self._kept[index] = kept
        return kept

    def batch(self, indices: Sequence[int], draw: np.random.Generator, shape: InputShape) -> Batch:
        """Changed as `config.augment` allows. The draw alone decides how."""
        config = self._config
        made: dict[tuple[int, ...], list[tuple[int, bool, torch.Tensor]]] = defaultdict(list)
        for index in indices:
            mirrored = config.augment.mirror != "never" and bool(draw.random() < 0.5)
            kept = self.kept(index)
            fit = kept.fit(shape)
            small = worn(resize(kept.pixels, *fit.target), kept.seen(fit), config.augment, draw)
            small = augment(small, config.augment, draw, mirrored=mirrored)
            tensor = torch.from_numpy(to_tensor(small, fit, config.mean, config.std)[0])
            made[tuple(tensor.shape)].append((index, mirrored, tensor))
        groups = tuple(made.values())
        stacked = [torch.stack([t for *_, t in group]) for group in groups]
        return Batch(
            tuple(
                (group if self._first is None else self._first(group)).contiguous(memory_format=torch.channels_last)
                for group in stacked
            ),
            tuple(index for group in groups for index, *_ in group),
            tuple(mirrored for group in groups for _, mirrored, _ in group),
        )

    def tensors(self, indices: Iterable[int]) -> list[Tensor]:
        """As serving would make them."""
        config, crops = self._config, [self.kept(index) for index in indices]
        return [to_tensor(crop.pixels, crop.fit(config.shape), config.mean, config.std) for crop in crops]

    @torch.inference_mode()
    def embed(self, module: torch.nn.Module, indices: Sequence[int], device: str = "cpu", batch: int = 4) -> np.ndarray:
        """(len(indices), dim) float32, unit norm, of the photos as they are."""
        config, cores = self._config, os.cpu_count() or 1
        many = device == "cpu" and len(indices) >= MANY
        by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, index in enumerate(indices):
            by_shape[self.kept(index).fit(config.shape).outer].append(place)
        size = next(iter(by_shape)) if len(by_shape) == 1 else None
        run = Engine(module, cores, size) if many else module
        parts = [places[at : at + batch] for places in by_shape.values() for at in range(0, len(places), batch)]

        def vectors_of(places: Sequence[int]) -> np.ndarray:
            tensors = self.tensors(indices[place] for place in places)
            stacked = torch.from_numpy(np.concatenate(tensors)).contiguous(memory_format=torch.channels_last)
            made: np.ndarray = torch.nn.functional.normalize(run(stacked.to(device)).float()).cpu().numpy()
            return made

        with ThreadPoolExecutor(cores if many else 1) as pool:
            made = list(pool.map(torch.inference_mode()(vectors_of), parts))
        vectors = np.empty((len(indices), made[0].shape[1]), np.float32)
        for places, some in zip(parts, made, strict=True):
            vectors[places] = some
        return vectors


def stage_shape(config: Config, done: float) -> InputShape:
    """The input shape when this share of the run is done: a share of the last stage's sides, to the nearest 32."""
    share = next((side for until, side in config.stages if done < until), 1.0)
    width, height = (max(STEP, round(side * share / STEP) * STEP) for side in (config.shape.width, config.shape.height))
    return InputShape(config.shape.rule, width, height, config.shape.turn)
