"""Everything that decides what a training run does, as one frozen value that is saved with the run.

A preset is a `Config` by name; a file (TOML or JSON) changes fields of it. A name that does not exist is refused with the
nearest that does: a misspelt setting that is silently ignored costs a night.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from encoder.preprocess import InputShape

from .errors import ConfigRefused

Loss = Literal["arcface", "subcenter", "softmax"]
Mirror = Literal["never", "same", "other"]
Sampler = Literal["cross-encounter", "shuffle"]
SQUARE = InputShape("square", 192, 192)
HALF, IMAGENET = (0.5, 0.5, 0.5), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Augment:
    """How far a photo may change and still be of the same animal, as a reviewer of photos would agree."""

    zoom: float = 0.75  # the least share of each side that is kept
    shift: float = 0.08  # of each side
    rotate_deg: float = 6.0  # standard deviation
    light: float = 0.25  # contrast and brightness
    colour: float = 0.06  # of each channel, standard deviation of its log: water and white balance change from day to day
    grey: float = 0.2  # chance of no colour at all
    blur: float = 0.15  # chance
    jpeg: float = 0.1  # chance
    noise: float = 0.1  # chance
    occlude: float = 0.35  # chance of a patch that covers 3-20 %
    mirror: Mirror = "never"  # "other": a mirrored photo is taught as another animal, since patterns have sides


@dataclass(frozen=True, slots=True)
class Config:
    backbone: str = "tf_efficientnet_lite0"  # any timm name
    weights: str = "registry:lite0"  # "registry:VARIANT", "hub" (timm's, downloads), "none", or a file
    frozen_stages: int = 2  # stem and first stages stay as they were: a third of the time for edges and blobs that are good
    frozen_norms: bool = False  # batch norms keep the statistics of the first weights: photos of a batch are then apart
    dimension: int = 512
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF
    shape: InputShape = SQUARE  # of the last stage, and of serving
    stages: tuple[tuple[float, float], ...] = (
        (0.35, 0.667),
        (0.8, 0.833),
    )  # until this share of the run, this share of the side

    loss: Loss = "arcface"
    scale: float = 24.0
    margin: tuple[float, float, float] = (0.271, 0.364, 0.05)  # a n^-b + c radians for an individual of n photos
    sub_centers: int = 2
    day_rivals: float = (
        0.0  # weight of telling a photo from the animals of its own day alone, which light and water cannot help
    )
    species: float = 0.0  # weight of also telling the species, by a head that training drops at its end
    sampler: Sampler = "cross-encounter"

    photos: int = 60_000  # shown in all
    batch: int = 32
    accumulate: int = 1
    lr: float = 1e-3
    head_lr: float = 5e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the run
    clip: float = 5.0
    ema: float = 0.998
    evaluate_every: int = 0  # photos; 0: at the end only
    patience: int = 0  # evaluations without a better figure before it stops; 0: never
    save_every_s: float = 60.0

    seed: int = 0
    threads: int = 0  # 0: torch's own choice
    device: str = "cpu"
    cache_mb: int = 4_000
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name, allowed in (("loss", Loss), ("sampler", Sampler)):
            if getattr(self, name) not in get_args(allowed):
                raise ConfigRefused(f"{name} is {getattr(self, name)!r}: expected one of {', '.join(get_args(allowed))}.")
        if self.augment.mirror not in get_args(Mirror):
            raise ConfigRefused(f"augment.mirror is {self.augment.mirror!r}: expected one of {', '.join(get_args(Mirror))}.")
        for name in ("dimension", "photos", "batch", "accumulate", "lr", "head_lr", "scale", "sub_centers", "save_every_s"):
            if getattr(self, name) <= 0:
                raise ConfigRefused(f"{name} is {getattr(self, name)}: expected more than 0.")
        if self.day_rivals < 0 or (self.day_rivals and self.loss == "softmax"):
            raise ConfigRefused(
                f"day_rivals is {self.day_rivals} with the loss {self.loss}: expected 0 or more, and not softmax."
            )
        if self.species < 0:
            raise ConfigRefused(f"species is {self.species}, the weight of a loss: expected 0 or more.")
        if self.batch < 4 or self.batch % 2:
            raise ConfigRefused(f"batch is {self.batch}: expected an even number from 4 up, since photos are drawn in pairs.")
        if not 0 < self.augment.zoom <= 1 or not 0 <= self.ema < 1:
            raise ConfigRefused("augment.zoom and ema are shares: expected zoom in (0, 1] and ema in [0, 1).")
        if any(not 0 < until <= 1 or not 0 < side <= 1 for until, side in self.stages):
            raise ConfigRefused(
                f"stages is {self.stages}: expected pairs (share of the run, share of the side), each in (0, 1]."
            )

    @property
    def steps(self) -> int:
        return max(1, self.photos // (self.batch * self.accumulate))

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"shape": self.shape.as_json()}

    @staticmethod
    def from_json(given: Mapping[str, Any]) -> Config:
        return changed(Config(), given)


PRESETS: Mapping[str, Config] = {
    "lite0": Config(),
    "lite2": Config(backbone="tf_efficientnet_lite2", weights="registry:lite2"),
    "b0": Config(backbone="efficientnet_b0", weights="hub", mean=IMAGENET[0], std=IMAGENET[1]),
    "mobilenetv4": Config(backbone="mobilenetv4_conv_medium", weights="hub", mean=IMAGENET[0], std=IMAGENET[1]),
    "resnet50": Config(backbone="resnet50", weights="hub", mean=IMAGENET[0], std=IMAGENET[1]),
    # Attention over windows takes one size only, so these know no smaller stages.
    "swin-t": Config(
        backbone="swin_tiny_patch4_window7_224",
        weights="hub",
        mean=IMAGENET[0],
        std=IMAGENET[1],
        shape=InputShape("square", 224, 224),
        stages=(),
        frozen_stages=0,
        lr=2e-4,
    ),
    "vit-s": Config(
        backbone="vit_small_patch16_224",
        weights="hub",
        shape=InputShape("square", 224, 224),
        stages=(),
        frozen_stages=0,
        lr=1e-4,
    ),
    "vit-b": Config(
        backbone="vit_base_patch16_224",
        weights="hub",
        shape=InputShape("square", 224, 224),
        stages=(),
        frozen_stages=0,
        lr=5e-5,
    ),
}


def preset(name: str) -> Config:
    if name not in PRESETS:
        raise ConfigRefused(f"There is no preset {name!r}: expected one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def read_config(source: Path, base: Config) -> Config:
    """`base` with the fields that a TOML or JSON file names."""
    try:
        text = source.read_text("utf-8")
        given = json.loads(text) if source.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"{source} cannot be read as TOML or JSON: {error}.") from error
    return changed(base, given)


def changed(base: Config, given: Mapping[str, Any]) -> Config:
    try:
        made = dict(_known(base, given))
        if "augment" in made:
            made["augment"] = replace(base.augment, **dict(_known(base.augment, made["augment"])))
        if "shape" in made:
            made["shape"] = InputShape.from_json(made["shape"])
        if "stages" in made:
            made["stages"] = tuple((float(until), float(side)) for until, side in made["stages"])
        for name in ("mean", "std", "margin"):
            if name in made:
                a, b, c = (float(v) for v in made[name])
                made[name] = (a, b, c)
        return replace(base, **made)
    except (TypeError, ValueError) as error:
        raise ConfigRefused(f"A setting does not fit: {error}.") from error


def _known(base: Config | Augment, given: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {f.name: type(getattr(base, f.name)) for f in fields(base)}
    made = dict(given)
    for name, value in given.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ConfigRefused(f"There is no setting {name!r}{f'; did you mean {near[0]}?' if near else '.'}")
        wanted = names[name]
        if wanted in (int, float, str) and (
            isinstance(value, bool) or not isinstance(value, (int, float) if wanted is float else wanted)
        ):
            raise ConfigRefused(f"{name} is {value!r}: expected a value like {getattr(base, name)!r}.")
        if wanted is float:
            made[name] = float(value)
    return made
