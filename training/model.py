"""The encoder as a module: any timm backbone, generalised-mean pooling, a projection, a batch norm as its neck.

Pixels of different shapes are pooled apart and meet at the neck, so a batch may mix shapes. The first stages may be frozen:
then they give what they gave before training, which keeps the encoder usable for animals that it was not trained on.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from . import torchvision_shim  # noqa: F401  # before timm
from .config import Config
from .errors import CheckpointRefused, ConfigRefused
from .saved import bare, read_weights, weights_file
from .weights import pretrained

import timm  # isort: skip
from timm.models.efficientnet import EfficientNet  # isort: skip


class GeM(nn.Module):
    """Generalised mean over places: 1 is the mean, larger leans to the strongest."""

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        raised = features.float().clamp_min(1e-6).pow(self.power)
        return raised.mean(dim=(2, 3)).pow(1 / self.power)


def in_bands(features: torch.Tensor, bands: int) -> tuple[torch.Tensor, ...]:
    """(n, width, h, w) cut from top to bottom into parts as high as each other, to a row."""
    height = features.shape[2]
    return features.tensor_split([round(number * height / bands) for number in range(1, bands)], dim=2)


def part_sizes(dimension: int, bands: int) -> list[int]:
    """Of an embedding's parts: the whole photo's, and each band's. All bands together have as much as the whole."""
    return [dimension] if bands == 1 else [dimension // 2, *[dimension // 2 // bands] * bands]


class Trunk(nn.Module):
    """The stem and first stages of one of timm's EfficientNets; the backbone stays whole, so that it is folded as a whole."""

    def __init__(self, backbone: nn.Module, stages: int) -> None:
        super().__init__()
        self.backbone, self.stages = backbone, stages

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        backbone: EfficientNet = self.backbone  # type: ignore[assignment]
        features = backbone.bn1(backbone.conv_stem(pixels))
        for index in range(self.stages):
            features = backbone.blocks[index](features)
        return features  # type: ignore[no-any-return]


def rest(backbone: nn.Module, stages: int, features: torch.Tensor) -> torch.Tensor:
    """What the backbone makes of its trunk's features."""
    whole: EfficientNet = backbone  # type: ignore[assignment]
    for index in range(stages, len(whole.blocks)):
        features = whole.blocks[index](features)
    return whole.bn2(whole.conv_head(features))  # type: ignore[no-any-return]


class Embedder(nn.Module):
    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        dimension: int,
        frozen: Sequence[nn.Module] = (),
        frozen_norms: bool = False,
        bands: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = GeM()
        whole, *rest = part_sizes(dimension, bands)
        self.project, self.norm = _neck(width, whole)
        self.bands = nn.ModuleList(nn.Sequential(*_neck(width, size)) for size in rest)
        self._frozen = tuple(frozen)
        self._norms = tuple(m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)) if frozen_norms else ()
        for module in self._frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Embedder:
        super().train(mode)
        for module in (*self._frozen, *self._norms):
            module.eval()
        return self

    def trunk(self) -> Trunk | None:
        """The frozen first stages, if `pooled_from` knows how to go on from them."""
        known = self._frozen and isinstance(self.backbone, EfficientNet)
        return Trunk(self.backbone, len(self._frozen) - 2) if known else None  # the stem and its norm stand before the stages

    def pooled_from(self, features: torch.Tensor) -> torch.Tensor:
        """As `pooled`, from what `trunk` makes of the pixels."""
        return self._parts(rest(self.backbone, len(self._frozen) - 2, features))

    def pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) normalised pixels to (n, width), with the bands side by side after it."""
        features = self.backbone.forward_features(pixels)  # type: ignore[operator]
        if self.bands and (features.ndim != 4 or features.shape[1] != self.project.in_features):
            raise ConfigRefused(
                f"bands is {len(self.bands)}, but {type(self.backbone).__name__} gives features of shape "
                f"{tuple(features.shape)}: expected a convolutional network, or bands = 1."
            )
        if features.ndim == 3:  # (n, tokens, width) of a plain transformer, negative as often as not: the plain mean
            return features.float().mean(dim=1)  # type: ignore[no-any-return]
        if features.shape[1] != self.project.in_features:  # (n, h, w, width) of a windowed one, likewise
            return features.float().mean(dim=(1, 2))  # type: ignore[no-any-return]
        return self._parts(features)

    def _parts(self, features: torch.Tensor) -> torch.Tensor:
        if len(self.bands) > features.shape[2]:
            raise ConfigRefused(
                f"bands is {len(self.bands)}, of features {features.shape[2]} high: expected 1 to {features.shape[2]}, "
                "or larger photos; those of the first of the stages are small."
            )
        bands = in_bands(features, len(self.bands)) if self.bands else ()
        return torch.cat([self.pool(features), *map(self.pool, bands)], dim=1)

    def neck(self, pooled: torch.Tensor) -> torch.Tensor:
        whole, *bands = pooled.split(self.project.in_features, dim=1)
        parts = [neck(band) for neck, band in zip(self.bands, bands, strict=True)]
        return torch.cat([self.norm(self.project(whole)), *parts], dim=1)

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """From the backbone's last features, (n, width, h, w)."""
        return self.neck(self._parts(features))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to embeddings (n, dimension), not yet normalised."""
        return self.neck(self.pooled(pixels))

    def whole(self) -> Embedder:
        """The same, of the whole photo alone."""
        made = copy.copy(self)
        made._modules = {**self._modules, "bands": nn.ModuleList()}
        return made


def _neck(width: int, dimension: int) -> tuple[nn.Linear, nn.BatchNorm1d]:
    project, norm = nn.Linear(width, dimension, bias=False), nn.BatchNorm1d(dimension)
    norm.bias.requires_grad_(False)
    nn.init.orthogonal_(project.weight)  # keeps the geometry of the first weights
    return project, norm


def make_embedder(config: Config) -> Embedder:
    backbone = first_backbone(config)
    width = int(backbone.num_features)  # type: ignore[arg-type]
    return Embedder(
        backbone, width, config.dimension, list(_first(backbone, config.frozen_stages)), config.frozen_norms, config.bands
    )


def embedder_of(config: Config, weights: Mapping[str, torch.Tensor]) -> Embedder:
    """With the weights of a run that was begun before: those it began from itself need not be at hand any more."""
    made = make_embedder(replace(config, weights="none"))
    try:
        made.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointRefused(f"The run has another encoder than this configuration makes: {_begin(error)}") from error
    return made


def first_backbone(config: Config) -> nn.Module:
    """With the weights that a run begins from."""
    kind, _, rest = config.weights.partition(":")
    try:
        if kind == "registry":
            if config.backbone != f"tf_efficientnet_{rest}":
                raise ConfigRefused(f"The package's weights {rest} are of tf_efficientnet_{rest}, not of {config.backbone}.")
            made: nn.Module = pretrained(rest)
            made.reset_classifier(0, "")  # type: ignore[operator]
        else:
            made = timm.create_model(config.backbone, pretrained=kind == "hub", num_classes=0)
        if kind not in ("registry", "hub", "none"):
            load_backbone(made, Path(config.weights))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ConfigRefused(
            f"The backbone {config.backbone} with weights {config.weights} cannot be made: {error}. "
            'Weights are "registry:lite0", "hub", "none", or a file of them.'
        ) from error
    if has_one_size(made) and (config.shape.rule == "budget" or config.stages):
        raise ConfigRefused(
            f"shape.rule is {config.shape.rule!r} and stages is {config.stages}, but {config.backbone} takes one size only: "
            "expected the rule square, rectangle or letterbox, and no stages."
        )
    size_for(made, config.shape.width, config.shape.height)
    return made


def has_one_size(backbone: nn.Module) -> bool:
    """Whether it takes pixels of one size only, as attention over windows or with learned places does."""
    # A hub's configuration may lack the field; timm gives the method to such networks alone.
    return bool(backbone.pretrained_cfg.get("fixed_input_size")) or hasattr(backbone, "set_input_size")  # type: ignore[operator, union-attr]


def size_for(backbone: nn.Module, width: int, height: int) -> None:
    """A network of one size is made to take this one: its places are interpolated. Others take any size anyway."""
    if not has_one_size(backbone) or tuple(backbone.pretrained_cfg["input_size"][1:]) == (height, width):  # type: ignore[index]
        return
    if not hasattr(backbone, "set_input_size"):
        _, tall, wide = backbone.pretrained_cfg["input_size"]  # type: ignore[index]
        raise ConfigRefused(
            f"{type(backbone).__name__} takes {wide} x {tall} pixels only, and timm cannot change that: "
            f"{width} x {height} was asked for."
        )
    try:
        backbone.set_input_size(img_size=(height, width))  # type: ignore[operator]
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigRefused(
            f"{type(backbone).__name__} cannot be made to take {width} x {height} pixels: {error}. Choose other sides."
        ) from error


def load_backbone(backbone: nn.Module, source: Path) -> None:
    """A state dict of the backbone, with or without a classifier, as `training.saved` reads it."""
    file = weights_file(source)
    own = backbone.state_dict()
    try:
        state = bare(read_weights(file), own)
    except FileNotFoundError as error:
        raise ConfigRefused(f"There is no file of weights at {file}. Look at the path.") from error
    except Exception as error:  # of safetensors, of pickle, of zip: with no base in common
        raise ConfigRefused(
            f"{file} cannot be read as weights ({type(error).__name__}: {str(error)[:200]}): expected tensors by name "
            "in safetensors or torch's format. Copy it again."
        ) from error
    missing = sorted(own.keys() - state.keys())
    if missing:
        raise ConfigRefused(f"{file} lacks {len(missing)} of {len(own)} tensors of the backbone, first {missing[0]}.")
    try:
        backbone.load_state_dict({name: state[name] for name in own})
    except RuntimeError as error:
        raise ConfigRefused(f"{file} is of another backbone than {type(backbone).__name__}: {_begin(error)}") from error


def _begin(error: RuntimeError) -> str:
    """Of what may be a line for each of some hundred tensors."""
    said = " ".join(str(error).split())
    return said if len(said) <= 300 else f"{said[:300]} …"


def _first(backbone: nn.Module, stages: int) -> Iterator[nn.Module]:
    """The stem and so many stages; none where 0 are asked for."""
    if not stages:
        return
    blocks = getattr(backbone, "blocks", None) or getattr(backbone, "stages", None)
    if blocks is None or not hasattr(backbone, "conv_stem"):
        raise ConfigRefused(f"frozen_stages is {stages}, but {type(backbone).__name__} has no stem and stages: expected 0.")
    if stages > len(blocks):
        raise ConfigRefused(
            f"frozen_stages is {stages}, but {type(backbone).__name__} has {len(blocks)} stages: expected 0 to {len(blocks)}."
        )
    yield backbone.conv_stem  # type: ignore[misc]
    yield backbone.bn1  # type: ignore[misc]
    yield from blocks[:stages]
