"""What is taught is what will be asked: one photo's tensor, by training's path and by serving's."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")
pytest.importorskip("onnxscript", reason="needs the extra train")

from encoder.bundle import Bundle  # noqa: E402
from encoder.encode import Encoder  # noqa: E402
from encoder.golden import golden_photo  # noqa: E402
from encoder.preprocess import InputShape, Rule, Tensor, Turn  # noqa: E402
from encoder.values import Box, Norms, Vector, Vectors  # noqa: E402
from training.config import Augment, Config  # noqa: E402
from training.photos import Photos, stage_shape  # noqa: E402
from training.rows import Row  # noqa: E402

HARDLY = Augment(zoom=1, shift=0, rotate_deg=0, light=0, colour=0, grey=0, blur=0, jpeg=0, noise=0, occlude=0)
SIDES: dict[Rule, tuple[int, int]] = {"square": (96, 96), "rectangle": (128, 96), "letterbox": (96, 96), "budget": (192, 192)}
SHAPES = [InputShape(rule, *sides, turn) for (rule, sides), turn in itertools.product(SIDES.items(), get_args(Turn))]


class Seen:
    """A session that keeps what the encoder hands to it."""

    def __init__(self) -> None:
        self.pixels: Tensor = np.empty(0, np.float32)

    def run(self, pixels: Tensor) -> tuple[Vector, float]:
        self.pixels = pixels
        return np.ones(1, np.float32), 1.0

    def run_all(self, pixels: Tensor) -> tuple[Vectors, Norms]:
        raise AssertionError(f"one photo at a time is encoded here, not {pixels.shape}")

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """Photos of drawn shapes, one in two nearly square, some with a box in them."""
    folder, draw = tmp_path_factory.mktemp("shapes"), np.random.default_rng(11)
    made = []
    for number in range(24):
        width = int(draw.integers(100, 700))
        height = width + int(draw.integers(-5, 6)) if number % 2 else int(draw.integers(100, 700))
        path = f"{number}.{'png' if number % 3 else 'jpg'}"
        assert cv2.imwrite(str(folder / path), cv2.GaussianBlur(golden_photo(number, width, height), (0, 0), 9))
        box = Box(3, 5, width - 20, height - 19) if number % 4 == 0 else None
        made.append(Row(path, f"w{number}", "drawn", box=box))
    return folder, made


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.rule}-{shape.turn}")
def test_photo_is_taught_as_the_tensor_that_serving_makes_of_it(shape: InputShape, rows: tuple[Path, list[Row]]) -> None:
    folder, photos = rows
    config = replace(Config(), shape=shape, augment=HARDLY)
    seen = Seen()
    bundle = Bundle(folder, "b", "1", "", shape, config.mean, config.std, 1, {}, {}, None, ())
    encoder, ours = Encoder(bundle, seen), Photos(photos, folder, config)
    for number, row in enumerate(photos):
        encoder.encode((folder / row.path).read_bytes(), row.box)
        [measured] = ours.tensors([number])
        [taught] = ours.batch([number], np.random.default_rng(0), shape).groups
        assert np.array_equal(measured, seen.pixels)
        assert taught.shape == measured.shape
        assert np.corrcoef(taught.numpy().ravel(), measured.ravel())[0, 1] > 0.5  # changed a little, and not turned another way


def test_smaller_stage_turns_the_photos_that_the_last_one_turns(rows: tuple[Path, list[Row]]) -> None:
    folder, photos = rows
    config = replace(Config(), shape=InputShape("budget", 192, 192, "portrait"), stages=((0.5, 0.5),), augment=HARDLY)
    smaller, ours = stage_shape(config, 0.1), Photos(photos, folder, config)
    for number in range(len(photos)):
        kept = ours.kept(number)
        assert kept.fit(smaller).turned == kept.fit(config.shape).turned == (kept.width > kept.height)
