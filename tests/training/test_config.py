"""A configuration survives its file, and what is misspelt or does not fit is refused with what was meant."""

from __future__ import annotations

import json
from pathlib import Path

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
        ({"augment": {"zom": 1.0}}, "did you mean zoom"),
        ({"loss": "triplet"}, "expected one of arcface, subcenter, softmax"),
        ({"batch": 7}, "even number"),
        ({"batch": "32"}, "expected a value like 32"),
        ({"seed": True}, "expected a value like 0"),
        ({"lr": 0.0}, "expected more than 0"),
        ({"ema": 1.0}, "ema in"),
        ({"augment": {"mirror": "maybe"}}, "expected one of never, same, other"),
        ({"shape": {"rule": "square", "width": 100, "height": 100}}, "multiples of 32"),
        ({"stages": [[0.5, 2.0]]}, "share of the side"),
        ({"mean": [0.5]}, "does not fit"),
    ],
)
def test_setting_that_does_not_fit_is_refused(given: dict, said: str) -> None:
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
