"""Everything that decides what a training run does, as one frozen value that is saved with the run.

A preset is a `Config` by name; a file (TOML or JSON) changes fields of it. A name that does not exist is refused with the
nearest that does: a misspelt setting that is silently ignored costs a night.
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

from encoder.preprocess import InputShape

from .errors import ConfigRefused

Loss = Literal["arcface", "subcenter", "softmax"]
Mirror = Literal["never", "same", "other"]
Sampler = Literal["cross-encounter", "shuffle"]
Device = Literal["cpu", "cuda", "mps"]
SQUARE = InputShape("square", 192, 192)
HALF, IMAGENET = (0.5, 0.5, 0.5), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# What a number may be, in words and as a rule that no NaN keeps; and of which settings.
LAWS: tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...] = (
    (
        "more than 0",
        lambda value: 0 < value < math.inf,
        (
            "bands",
            "dimension",
            "photos",
            "batch",
            "accumulate",
            "lr",
            "head_lr",
            "scale",
            "sub_centers",
            "save_every_s",
            "clip",
        ),
    ),
    (
        "0 or more",
        lambda value: 0 <= value < math.inf,
        (
            *("frozen_stages", "day_rivals", "species", "weight_decay", "evaluate_every", "patience", "cache_mb"),
            *("augment.rotate_deg", "augment.colour"),
        ),
    ),
    (
        "a share from 0 to 1",
        lambda value: 0 <= value <= 1,
        ("warmup", *(f"augment.{name}" for name in ("shift", "grey", "blur", "jpeg", "noise", "occlude"))),
    ),
    ("a share from 0 up to 1, but not 1 itself", lambda value: 0 <= value < 1, ("ema", "augment.light")),
    ("a share above 0, up to 1", lambda value: 0 < value <= 1, ("augment.zoom",)),
    ("from 0 to 1024", lambda value: 0 <= value <= 1024, ("threads",)),  # thousands end the process without a word
    ("from 0 to 4294967295", lambda value: 0 <= value < 2**32, ("seed",)),  # torch wants a million times it in 64 bits
)


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
    weights: str = "registry:lite0"  # "registry:VARIANT", "hub" (timm's, downloads), "none", a file, or a folder
    frozen_stages: int = 2  # stem and first stages stay as they were: a third of the time for edges and blobs that are good
    frozen_norms: bool = False  # batch norms keep the statistics of the first weights: photos of a batch are then apart
    bands: int = 1  # from top to bottom, each taught to tell individuals by itself; the whole photo keeps half of the dimension
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
        for name, kind in (("loss", Loss), ("sampler", Sampler), ("device", Device), ("augment.mirror", Mirror)):
            value = attrgetter(name)(self)
            if value not in get_args(kind):
                raise ConfigRefused(f"{name} is {value!r}: expected one of {', '.join(get_args(kind))}.")
        for expected, holds, names in LAWS:
            for name in names:
                value = attrgetter(name)(self)
                if not holds(value):
                    raise ConfigRefused(f"{name} is {value}: expected {expected}.")
        for name in ("mean", "std", "margin"):
            if not all(map(math.isfinite, getattr(self, name))):
                raise ConfigRefused(f"{name} is {getattr(self, name)}: expected three finite numbers.")
        if min(self.std) <= 0:
            raise ConfigRefused(f"std is {self.std}, by which pixels are divided: expected three numbers above 0.")
        if self.day_rivals and self.loss == "softmax":
            raise ConfigRefused(f"day_rivals is {self.day_rivals} with the loss softmax: expected 0, or another loss.")
        if self.batch < 4 or self.batch % 2:
            raise ConfigRefused(f"batch is {self.batch}: expected an even number from 4 up, since photos are drawn in pairs.")
        if self.patience and not self.evaluate_every:
            raise ConfigRefused(
                f"patience is {self.patience} evaluations, but evaluate_every is 0, so there are none: "
                "expected a number of photos as evaluate_every, or a patience of 0."
            )
        if min(self.margin) < 0:
            raise ConfigRefused(f"margin is {self.margin}, a n^-b + c radians: expected three numbers of 0 or more.")
        self._refuse_odd_bands()
        self._refuse_odd_stages()

    def _refuse_odd_bands(self) -> None:
        if self.bands == 1:
            return
        if self.dimension % (2 * self.bands):
            raise ConfigRefused(
                f"dimension is {self.dimension}, of which the whole photo has half and {self.bands} bands the other half: "
                f"expected a multiple of {2 * self.bands}."
            )
        if self.day_rivals:
            raise ConfigRefused(f"day_rivals is {self.day_rivals} with {self.bands} bands: expected 0, or bands = 1.")

    def _refuse_odd_stages(self) -> None:
        if any(not 0 < until <= 1 or not 0 < side <= 1 for until, side in self.stages):
            raise ConfigRefused(
                f"stages is {self.stages}: expected pairs (share of the run, share of the side), each in (0, 1]."
            )
        if any(one >= two for (one, _), (two, _) in itertools.pairwise(self.stages)):
            raise ConfigRefused(f"stages is {self.stages}: expected each to end later in the run than the one before it.")

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
    # A residual network's first stages have no names that `frozen_stages` knows.
    "resnet50": Config(backbone="resnet50", weights="hub", mean=IMAGENET[0], std=IMAGENET[1], frozen_stages=0),
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
    """`base` with the fields that a TOML or JSON file names, for a run on this machine."""
    try:
        text = source.read_text("utf-8")
        given = json.loads(text) if source.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigRefused(f"{source} cannot be read as TOML or JSON: {error}.") from error
    config = changed(base, given)
    refuse_absent_device(config.device)
    return config


def refuse_absent_device(device: str) -> None:
    """Not when a configuration is made: one that was taught on a GPU is read, and made into a bundle, on any machine."""
    if device == "cpu":
        return
    try:
        import torch
    except ModuleNotFoundError:  # whoever trains is told of that first
        return
    if not (torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()):
        raise ConfigRefused(f"device is {device!r}, which torch {torch.__version__} does not find here: expected cpu.")


def changed(base: Config, given: Mapping[str, Any]) -> Config:
    made = dict(_known(base, given, "The configuration"))
    if "augment" in made:
        made["augment"] = replace(base.augment, **dict(_known(base.augment, made["augment"], "augment", "augment.")))
    if "shape" in made:
        try:
            made["shape"] = InputShape.from_json(_object(made["shape"], "shape"))
        except (TypeError, ValueError) as error:
            raise ConfigRefused(f"shape does not fit: {error}.") from error
    if "stages" in made:
        made["stages"] = tuple(_numbers(made, "stages", pair, 2) for pair in _list(made, "stages"))
    for name in ("mean", "std", "margin"):
        if name in made:
            made[name] = _numbers(made, name, made[name], 3)
    return replace(base, **made)


def differences(one: Config, other: Config) -> list[tuple[str, Any, Any]]:
    """The settings that are not the same in both, by name, those of `augment` with a dot."""

    def flat(config: Config) -> dict[str, Any]:
        own = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "augment"}
        return own | {f"augment.{name}": value for name, value in asdict(config.augment).items()}

    ours, theirs = flat(one), flat(other)
    return [(name, ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]]


def _object(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigRefused(f"{what} is {str(given)[:80]!r}: expected settings by name.")
    return given


def _list(made: Mapping[str, Any], name: str) -> list[Any] | tuple[Any, ...]:
    value = made[name]
    if not isinstance(value, list | tuple):
        raise ConfigRefused(f"{name} is {str(value)[:80]!r}: expected a list.")
    return value


def _numbers(made: Mapping[str, Any], name: str, values: Any, count: int) -> tuple[float, ...]:
    fits = isinstance(values, list | tuple) and len(values) == count
    if not fits or any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        wanted = "three numbers" if count == 3 else "pairs of numbers"
        raise ConfigRefused(f"{name} is {str(made[name])[:80]}: expected {wanted}.")
    return tuple(map(float, values))


def _known(base: Config | Augment, given: Any, what: str, path: str = "") -> Mapping[str, Any]:
    names = {f.name: type(getattr(base, f.name)) for f in fields(base)}
    made = dict(_object(given, what))
    for name, value in list(made.items()):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ConfigRefused(f"There is no setting {path + name!r}{f'; did you mean {path}{near[0]}?' if near else '.'}")
        wanted = names[name]
        if wanted in (int, float, str, bool) and (
            isinstance(value, bool) != (wanted is bool) or not isinstance(value, (int, float) if wanted is float else wanted)
        ):
            raise ConfigRefused(f"{path}{name} is {value!r}: expected a value like {getattr(base, name)!r}.")
        if wanted is float:
            made[name] = float(value)
    return made
