"""The quick ways through a backbone give what torch's own gives, and the same bits each time."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from timm.layers.conv2d_same import Conv2dSame  # noqa: E402
from torch import nn  # noqa: E402

from encoder.preprocess import InputShape  # noqa: E402
from settings import ROOT  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.config import Config  # noqa: E402
from training.convolutions import Depthwise, Pointwise, quicken  # noqa: E402
from training.engine import Engine  # noqa: E402
from training.model import make_embedder  # noqa: E402
from training.photos import Photos  # noqa: E402
from training.rows import Table  # noqa: E402
from training.run import Run  # noqa: E402
from training.step import Apart, Together  # noqa: E402
from training.train import Report, train  # noqa: E402

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning", "UserWarning")]

SMALL = Config(
    backbone="test_efficientnet",
    weights="none",
    frozen_stages=1,
    frozen_norms=True,
    dimension=32,
    shape=InputShape("square", 64, 64),
    stages=(),
    photos=8 * 6,
    batch=8,
    seed=3,
)


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 2),
    height=st.integers(7, 20),
    width=st.integers(7, 20),
    channels=st.integers(1, 19),
    same=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_depthwise_convolution_goes_there_and_back_as_torch_does(
    kernel: int, stride: int, height: int, width: int, channels: int, same: bool, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    if same:
        torchs = Conv2dSame(channels, channels, kernel, stride, groups=channels, bias=bias)
    else:
        torchs = nn.Conv2d(channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=bias)
    _agree(torchs, torch.randn(3, channels, height, width))


@settings(deadline=None, max_examples=20)
@given(inside=st.integers(1, 40), outside=st.integers(2, 40), bias=st.booleans(), seed=st.integers(0, 2**31))
def test_convolution_over_single_places_goes_there_and_back_as_torch_does(
    inside: int, outside: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    _agree(nn.Conv2d(inside, outside, 1, bias=bias), torch.randn(2, inside, 5, 7))


def _agree(torchs: nn.Conv2d, pixels: torch.Tensor) -> None:
    ours = quicken(copy.deepcopy(torchs))
    assert isinstance(ours, (Depthwise, Pointwise))
    results = []
    for module in (torchs, ours):
        given = pixels.clone().requires_grad_()
        made = module(given)
        slope = torch.linspace(-1, 1, made.numel()).reshape(made.shape)
        results.append((made, *torch.autograd.grad(made, (given, *module.parameters()), slope)))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-3)  # a bias's slope: a thousand terms that cancel


def test_other_convolutions_are_left_as_they_are() -> None:
    kept = [nn.Conv2d(4, 8, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, groups=4, dilation=2), nn.Conv2d(4, 8, 1, 2)]
    assert [type(module) for module in quicken(nn.Sequential(*kept))] == [nn.Conv2d] * 4


def test_engine_gives_what_torch_gives() -> None:
    torch.manual_seed(5)
    module = make_embedder(SMALL).eval()
    pixels = torch.rand(3, 3, 96, 64) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(Engine(module, 2)(pixels), module(pixels), rtol=1e-4, atol=1e-5)


AT_ONCE = """
import builtins, threading, time, torch
from training import torchvision_shim
from training.engine import Engine

engine, plain, together = Engine(torch.nn.Conv2d(3, 4, 3), 2), builtins.__import__, threading.Barrier(2)

def slow(name, *rest, **named):  # OpenVINO looks numpy up when it is first handed an array, and lets go of Python meanwhile
    if "numpy" in name:
        time.sleep(0.2)
    return plain(name, *rest, **named)

def ask():
    together.wait()
    engine(torch.zeros(1, 3, 64, 64))

builtins.__import__ = slow
threads = [threading.Thread(target=ask) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_two_threads_may_be_the_process_s_first_to_ask() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", AT_ONCE], cwd=ROOT, check=True, timeout=100)  # else they hang


def test_many_photos_get_the_vectors_that_few_get(images: Path, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    module = make_embedder(SMALL).eval()
    photos = Photos(table.rows, images, SMALL)
    few = photos.embed(module, range(len(table.rows)))
    monkeypatch.setattr("training.photos.MANY", 1)
    np.testing.assert_allclose(photos.embed(module, range(len(table.rows))), few, atol=1e-5)


def test_parts_side_by_side_learn_what_the_whole_learns(images: Path, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for make in (Apart, lambda model, _config: Together(model)):
        monkeypatch.setattr("training.run.make_step", make)
        run = Run(replace(SMALL, accumulate=2), table.rows, images)
        assert [progress.step for progress in run.steps()] == [1, 2, 3]
        runs.append(run.model.state_dict())
    for name, tensor in runs[0].items():
        torch.testing.assert_close(tensor, runs[1][name], rtol=1e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("bands", [1, 2])
def test_parts_side_by_side_repeat_and_resume_to_the_same_bits(images: Path, table: Table, tmp_path: Path, bands: int) -> None:
    config = replace(SMALL, bands=bands)

    class Stopped(Exception):
        pass

    def stop(progress: object) -> None:
        if progress.step == 4:  # type: ignore[attr-defined]
            raise Stopped

    train(config, table, images, tmp_path / "one")
    with pytest.raises(Stopped):
        train(replace(config, save_every_s=1e-9), table, images, tmp_path / "two", report=Report(progress=stop))
    train(replace(config, save_every_s=1e-9), table, images, tmp_path / "two", resume=True)
    one, two = (load_checkpoint(tmp_path / name)["average"] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_is_frozen_is_what_the_run_before_taught(images: Path, table: Table) -> None:
    torch.manual_seed(8)
    begun = make_embedder(replace(SMALL, frozen_stages=0)).state_dict()
    run, afresh = Run(SMALL, table.rows, images, begun), Run(SMALL, table.rows, images)
    pixels = torch.rand(1, 3, 64, 64)
    trunk = run.model.trunk()
    assert trunk is not None
    assert run._step.first is not None
    assert afresh._step.first is not None
    torch.testing.assert_close(run._step.first(pixels), trunk.eval()(pixels), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(run._step.first(pixels), afresh._step.first(pixels), atol=1e-2)


def test_frozen_norms_keep_their_statistics(images: Path, table: Table) -> None:
    run = Run(SMALL, table.rows, images)
    before = {name: value.clone() for name, value in run.model.backbone.named_buffers()}
    for _ in run.steps():
        pass
    after = dict(run.model.backbone.named_buffers())
    assert all(torch.equal(before[name], after[name]) for name in before)
