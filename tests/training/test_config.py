"""A configuration survives its file, and what is misspelt or does not fit is refused with what was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.config import PRESETS, Config, changed, preset, read_config
from training.errors import ConfigRefused


@pytest.mark.parametrize("name", PRESETS)
def test_preset_comes_back_from_json_the_same(name: str) -> None:
    assert Config.from_json(json.loads(json.dumps(PRESETS[name].as_json()))) == preset(name)


def test_file_changes_only_what_it_names(tmp_path: Path) -> None:
    source = tmp_path / "run.toml"
    source.write_text(
        'lr = 1\nloss = "subcenter"\nstages = [[0.5, 0.5]]\n[augment]\nmirror = "other"\n'
        '[shape]\nrule = "rectangle"\nwidth = 96\nheight = 256\n'
    )
    given = read_config(source, preset("lite2"))
    assert (given.lr, given.loss, given.stages, given.augment.mirror) == (1.0, "subcenter", ((0.5, 0.5),), "other")
    assert (given.shape.width, given.shape.height, given.augment.zoom) == (96, 256, 0.75)
    assert given.backbone == "tf_efficientnet_lite2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rte": 1}, "no setting 'learning_rte'"),
        ({"los": "arcface"}, "did you mean loss"),
        ({"augment": {"zom": 1.0}}, "did you mean augment.zoom"),
        ({"loss": "triplet"}, "expected one of arcface, subcenter, softmax"),
        ({"batch": 7}, "even number"),
        ({"batch": "32"}, "expected a value like 32"),
        ({"seed": True}, "expected a value like 0"),
        ({"lr": 0.0}, "expected more than 0"),
        ({"ema": 1.0}, "ema is 1.0: expected a share"),
        ({"augment": {"mirror": "maybe"}}, "expected one of never, same, other"),
        ({"shape": {"rule": "square", "width": 100, "height": 100}}, "multiples of 32"),
        ({"shape": {"rule": "square", "side": 96}}, r"unknown fields \['side'\]: expected rule, width, height"),
        ({"stages": [[0.5, 2.0]]}, "share of the side"),
        ({"mean": [0.5]}, r"mean is \[0.5\]: expected three numbers"),
        ({"stages": [[0.8, 0.9], [0.3, 0.5]]}, "stages is .*: expected each to end later"),
        ({"stages": [[0.5, 0.5], [0.5, 0.9]]}, "stages is .*: expected each to end later"),
        ({"margin": [0.3, 0.3, -0.1]}, "margin is .*: expected three numbers of 0 or more"),
        ({"margin": [0.5, 0.5, float("inf")]}, "margin is .*: expected three finite"),
        ([], r"is '\[\]': expected settings by name"),
        ({"augment": []}, r"augment is '\[\]': expected settings by name"),
        ({"shape": []}, r"shape is '\[\]': expected settings by name"),
        ({"stages": 3}, "stages is '3': expected a list"),
        ({"stages": [[0.5]]}, "stages is .*: expected pairs"),
        ({"frozen_norms": 1}, "frozen_norms is 1: expected a value like False"),
        ({"seed": -1}, "seed is -1: expected from 0"),
        ({"threads": -1}, "threads is -1: expected from 0 to 1024"),
        ({"threads": 100_000}, "threads is 100000: expected from 0 to 1024"),
        ({"std": [0.5, 0.5, 0]}, "std is .*: expected three numbers above 0"),
        ({"lr": float("nan")}, "lr is nan: expected more than 0"),
        ({"clip": 0}, "clip is 0.0: expected more than 0"),
        ({"warmup": -1}, "warmup is -1.0: expected a share"),
        ({"frozen_stages": -1}, "frozen_stages is -1: expected 0 or more"),
        ({"augment": {"light": 1.0}}, "augment.light is 1.0: expected a share from 0 up to 1, but not 1"),
        ({"augment": {"jpeg": 2}}, "augment.jpeg is 2.0: expected a share"),
        ({"bands": 0}, "bands is 0: expected more than 0"),
        ({"bands": 3, "dimension": 512}, "dimension is 512, .* 3 bands the other half: expected a multiple of 6"),
        ({"bands": 2, "day_rivals": 0.5}, r"day_rivals is 0\.5 with 2 bands: expected 0, or bands = 1"),
        ({"patience": 3}, "patience is 3 .* evaluate_every is 0"),
        ({"device": "gpu"}, "device is 'gpu': expected one of cpu, cuda, mps"),
    ],
)
def test_setting_that_does_not_fit_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ConfigRefused, match=said):
        changed(Config(), given)


def test_unknown_preset_and_unreadable_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="expected one of lite0"):
        preset("lite9")
    (tmp_path / "a.toml").write_text("lr = ")
    with pytest.raises(ConfigRefused, match="cannot be read"):
        read_config(tmp_path / "a.toml", Config())
    with pytest.raises(ConfigRefused, match="cannot be read"):
        read_config(tmp_path / "absent.toml", Config())


def test_device_that_is_not_there_is_refused_for_a_run_and_not_for_what_was_taught_on_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    (tmp_path / "a.json").write_text('{"device": "cuda"}')
    with pytest.raises(ConfigRefused, match=r"device is 'cuda'.* does not find here: expected cpu"):
        read_config(tmp_path / "a.json", Config())
    assert Config.from_json({"device": "cuda"}).device == "cuda"
