"""A run learns, repeats, and goes on after any end as if it had not ended."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")
pytest.importorskip("training.torchvision_shim")
pytest.importorskip("timm", reason="needs the extra train")

from drawn_photos import draw_photos  # noqa: E402
from small_run import SMALL, same, states  # noqa: E402

from encoder.preprocess import InputShape  # noqa: E402
from training.answers import Labelled  # noqa: E402
from training.checkpoint import NAME, load_checkpoint, save_checkpoint  # noqa: E402
from training.config import Augment, Config  # noqa: E402
from training.errors import CheckpointRefused, ConfigRefused, DataRefused  # noqa: E402
from training.manifest import make_manifest  # noqa: E402
from training.model import first_backbone  # noqa: E402
from training.photos import Photos, stage_shape  # noqa: E402
from training.rows import NEW, Row, Table  # noqa: E402
from training.run import Progress, Run, schedule  # noqa: E402
from training.splits import Split  # noqa: E402
from training.table import open_table  # noqa: E402
from training.train import Report, train, trained, without_some  # noqa: E402


def test_a_tiny_set_is_learnt_by_heart(images: Path, table: Table, tmp_path: Path) -> None:
    mild = Augment(zoom=0.9, occlude=0, blur=0, jpeg=0, noise=0, grey=0)
    config = replace(SMALL, photos=8 * 150, stages=(), lr=3e-3, head_lr=1e-2, augment=mild, ema=0.9)
    train(config, table, images, tmp_path, everything=True)
    _, module = trained(tmp_path)
    vectors = Photos(table.rows, images, config).embed(module, range(len(table.rows)))
    similarity = vectors @ vectors.T
    encounters = np.array([row.encounter for row in table.rows])
    similarity[encounters[:, None] == encounters[None]] = -1
    names = np.array([row.identity for row in table.rows])
    assert (names[similarity.argmax(axis=1)] == names).all()


def test_two_runs_with_one_seed_agree_bit_for_bit_and_another_seed_does_not(
    images: Path, table: Table, finished: Path, tmp_path: Path
) -> None:
    again = train(SMALL, table, images, tmp_path / "again")
    assert all(same(one, two) for one, two in zip(states(finished), states(tmp_path / "again"), strict=True))
    assert json.loads(json.dumps(again)) == json.loads((finished / "figures.json").read_text())
    train(replace(SMALL, seed=4), table, images, tmp_path / "other")
    assert not same(states(finished)[0], states(tmp_path / "other")[0])


def test_split_is_written_as_tables_of_the_rows_that_it_has(table: Table, finished: Path) -> None:
    parts = {name: open_table(finished / f"{name}.csv").rows for name in ("train", "closed", "occasion", "stranger")}
    assert sorted(row.path for rows in parts.values() for row in rows) == sorted(row.path for row in table.rows)
    assert {row.identity for row in parts["stranger"]}.isdisjoint(row.identity for row in parts["train"])
    assert all(row.encounter and row.date for rows in parts.values() for row in rows)


def test_interrupted_run_resumes_to_the_same_bits(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise Stopped

    config = replace(SMALL, save_every_s=1e-9)
    with pytest.raises(Stopped):
        train(config, table, images, tmp_path, report=Report(progress=stop))
    assert load_checkpoint(tmp_path)["step"] == 6
    train(config, table, images, tmp_path, resume=True)
    assert all(same(one, two) for one, two in zip(states(finished), states(tmp_path), strict=True))


def test_run_needs_its_first_weights_once(images: Path, table: Table, tmp_path: Path) -> None:
    weights, run = tmp_path / "first.pt", tmp_path / "run"
    torch.save(first_backbone(SMALL).state_dict(), weights)
    config = replace(SMALL, weights=str(weights), photos=16)
    train(config, table, images, run)
    weights.unlink()
    train(config, table, images, run, resume=True)
    assert trained(run)[0] == config
    with pytest.raises(ConfigRefused, match=r"no file of weights"):
        train(config, table, images, tmp_path / "another")


def test_species_head_learns_resumes_and_is_not_in_the_encoder(images: Path, table: Table, tmp_path: Path) -> None:
    two = Table(table.source, tuple(replace(row, species=f"kind {row.identity in ('w0', 'w1', 'w2')}") for row in table.rows))
    config = replace(SMALL, species=0.5)
    train(config, two, images, tmp_path / "one")
    assert load_checkpoint(tmp_path / "one")["species"].keys() >= {"tell.weight", "tell.bias"}
    _, module = trained(tmp_path / "one")
    assert not any("tell" in name for name, _ in module.named_parameters())
    with pytest.raises(ConfigRefused, match="expected two or more"):
        train(config, table, images, tmp_path / "two")


KILLED = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from drawn_photos import draw_photos
from training.config import Config
from training.train import train
images, out = Path(sys.argv[2]), Path(sys.argv[3])
config = Config.from_json(json.loads(sys.argv[4]))
print("started", flush=True)
train(config, draw_photos(images), images, out, resume=(out / "checkpoint.pt").exists())
"""


def test_run_killed_at_any_moment_resumes_to_the_same_bits(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    config = replace(SMALL, save_every_s=1e-9)
    arguments = [str(Path(__file__).parent), str(images), str(tmp_path), json.dumps(config.as_json())]
    draw = np.random.default_rng(11)
    checkpoint, before = tmp_path / NAME, 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        while child.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(float(draw.uniform(0.0, 0.3)))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        before = checkpoint.stat().st_mtime_ns
    train(config, table, images, tmp_path, resume=True)
    assert all(same(one, two) for one, two in zip(states(finished), states(tmp_path), strict=True))


def test_full_disk_while_saving_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    save_checkpoint({"step": 1}, tmp_path)
    program = (
        "import resource, signal, sys, torch; from pathlib import Path; from training.checkpoint import save_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "save_checkpoint({'step': 2, 'weights': torch.zeros(1_000_000)}, Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "CheckpointRefused" in done.stderr
    assert "Free some space; the last checkpoint is whole." in done.stderr
    assert load_checkpoint(tmp_path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_damaged_absent_and_foreign_checkpoints_are_refused(images: Path, table: Table, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefused, match="without --resume"):
        train(SMALL, table, images, tmp_path, resume=True)
    whole = (finished / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointRefused, match="cannot be read"):
        load_checkpoint(tmp_path)
    (tmp_path / NAME).write_bytes(whole)
    (tmp_path / "manifest.json").write_bytes((finished / "manifest.json").read_bytes())
    other = replace(SMALL, lr=0.5, augment=replace(SMALL.augment, zoom=0.9))
    told = f"lr was {SMALL.lr} and is 0.5; augment.zoom was {SMALL.augment.zoom} and is 0.9. Use"
    with pytest.raises(CheckpointRefused, match=re.escape(told)):
        train(other, table, images, tmp_path, resume=True)
    with pytest.raises(CheckpointRefused, match=rf"other photos \({table.rows[-1].path}\)\. Use"):
        train(SMALL, Table(table.source, table.rows[:-1]), images, tmp_path, resume=True)
    renamed = Table(table.source, (replace(table.rows[0], identity="someone"), *table.rows[1:]))
    with pytest.raises(CheckpointRefused, match="says something else of the same photos"):
        train(SMALL, renamed, images, tmp_path, resume=True)
    with pytest.raises(CheckpointRefused, match="it holds photos back"):
        train(SMALL, table, images, tmp_path, resume=True, everything=True)
    with pytest.raises(CheckpointRefused, match="holds a run already"):
        train(SMALL, table, images, tmp_path)


def test_a_run_from_before_there_was_a_setting_goes_on_with_its_first_value(
    images: Path, table: Table, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    state = load_checkpoint(finished)
    config = {name: value for name, value in json.loads(state["config"]).items() if name != "day_rivals"}
    save_checkpoint(state | {"config": json.dumps(config)}, tmp_path / "run")
    assert train(SMALL, table, images, tmp_path / "run", resume=True) == json.loads((finished / "figures.json").read_text())


def test_split_that_leaves_one_individual_to_teach_is_refused(images: Path, table: Table, tmp_path: Path) -> None:
    parts = {row.path: "train" if row.identity == "w0" else "stranger" for row in table.rows}
    with pytest.raises(DataRefused, match="two individuals or more"):
        train(SMALL, table, images, tmp_path, split=Split(0, "", parts))


def test_frozen_stages_stay_as_they_were(images: Path, table: Table) -> None:
    run = Run(replace(SMALL, frozen_stages=1), table.rows, images)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    for _ in run.steps():
        pass
    after = run.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(("backbone.conv_stem", "backbone.bn1", "backbone.blocks.0.")) for name in moved)
    assert any(name.startswith("backbone.blocks.1.") for name in moved)


def test_rate_rises_then_falls_to_nearly_nothing() -> None:
    assert schedule(0.0, 0.5) < 0.01
    assert schedule(0.5, 0.5) == 0.5
    assert schedule(1.0, 0.0) == 0.005
    assert all(schedule(a / 100, 0.1) >= schedule((a + 1) / 100, 0.1) for a in range(10, 100))


def test_mirror_as_another_animal_doubles_the_classes(images: Path, table: Table) -> None:
    plain, doubled = (
        Run(replace(SMALL, augment=replace(SMALL.augment, mirror=mirror)), table.rows, images) for mirror in ("never", "other")
    )
    assert doubled.loss.W.shape[1] == 2 * plain.loss.W.shape[1]
    batch = doubled._make(0)[0]
    expected = [int(table.rows[i].identity[1:]) + 6 * m for i, m in zip(batch.indices, batch.mirrored, strict=True)]
    assert doubled._labels(batch).tolist() == expected
    assert any(batch.mirrored)
    assert not all(batch.mirrored)


def test_photos_of_different_shapes_meet_in_one_batch(tmp_path: Path) -> None:
    import cv2

    table = draw_photos(tmp_path)
    for row in table.rows[::2]:
        pixels = cv2.imread(str(tmp_path / row.path))
        cv2.imwrite(str(tmp_path / row.path), pixels[:, :30])
    config = replace(SMALL, shape=InputShape("budget", 64, 64), stages=())
    run = Run(config, table.rows, tmp_path)
    (batch,) = run._make(0)
    assert {tuple(group.shape[2:]) for group in batch.groups} == {(64, 64), (64, 32)}
    assert sorted(batch.indices) == sorted(run._sampling.indices(0))
    for _ in run.steps():
        pass
    vectors = Photos(table.rows, tmp_path, config).embed(run.average, range(len(table.rows)))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_rivals_are_the_animals_of_the_photos_own_day(images: Path, table: Table) -> None:
    rows = [
        row for row in table.rows if row.identity != "w5" or row.date == table.rows[0].date
    ]  # w5 was seen on the first day only
    run = Run(replace(SMALL, day_rivals=1.0, augment=replace(SMALL.augment, mirror="other")), rows, images)
    for row in rows:
        seen = run._seen_on[run._days[row.date]].tolist()
        assert seen == [True] * 5 + [row.date == rows[0].date] + [True] * 5 + [row.date == rows[0].date]
    undated = Run(replace(SMALL, day_rivals=1.0), [*rows, replace(rows[0], path="x", date=None)], images)
    assert undated._seen_on[undated._days[None]].all()
    for progress in run.steps():
        assert np.isfinite(progress.loss)


def test_order_of_the_table_and_photos_without_a_name_change_nothing_that_is_taught(
    images: Path, table: Table, finished: Path, tmp_path: Path
) -> None:
    figures = train(SMALL, Table(table.source, table.rows[::-1]), images, tmp_path / "other")
    assert all(same(one, two) for one, two in zip(states(finished), states(tmp_path / "other"), strict=True))
    assert figures["closed"]["top1"] == json.loads((finished / "figures.json").read_text())["closed"]["top1"]
    unnamed = Table(table.source, tuple(replace(row, identity=NEW) if row.identity == "w5" else row for row in table.rows))
    made = train(replace(SMALL, photos=16), unnamed, images, tmp_path / "unnamed")
    assert made["stranger"]["open_set"]["n_new"] >= sum(row.identity == NEW for row in unnamed.rows)


def test_resuming_writes_no_plan_again(images: Path, table: Table, tmp_path: Path) -> None:
    """A disk that is full, or a kill, while it is written would cost the run."""
    train(SMALL, table, images, tmp_path)
    for name in ("split.json", "config.json", "manifest.json", "train.csv"):
        (tmp_path / name).chmod(0o444)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    train(SMALL, table, images, tmp_path, resume=True)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {NAME, "figures.json"}


def test_resumed_run_keeps_the_split_that_it_was_given(images: Path, table: Table, tmp_path: Path) -> None:
    parts = {row.path: "closed" if row.path.endswith("-0.png") else "train" for row in table.rows}
    manifest = make_manifest(table, images)
    train(SMALL, table, images, tmp_path, split=Split(9, manifest.whole, parts))
    again = train(SMALL, table, images, tmp_path, resume=True)
    assert set(again) == {"closed"}
    assert again["closed"]["n_query"] == sum(part == "closed" for part in parts.values())


def test_accumulated_batches_make_one_step(images: Path, table: Table) -> None:
    config = replace(SMALL, accumulate=2)
    run = Run(config, table.rows, images)
    assert config.steps == SMALL.steps // 2
    batches = run._make(1)
    assert [sorted(batch.indices) for batch in batches] == [sorted(run._sampling.indices(part)) for part in (2, 3)]
    assert [progress.step for progress in run.steps()] == list(range(1, config.steps + 1))


def test_stages_grow_to_the_size_of_serving() -> None:
    config = Config(shape=InputShape("rectangle", 128, 256), stages=((0.35, 0.5), (0.8, 0.75)))
    sizes = [stage_shape(config, done) for done in (0.0, 0.4, 0.9)]
    assert [(s.width, s.height) for s in sizes] == [(64, 128), (96, 192), (128, 256)]


def test_catalogue_of_strangers_lacks_one_in_three_of_them_and_whoever_has_no_name() -> None:
    names = ["a", "b", "b", "c", "d", "e", "new_individual"]
    rows = [Row(f"{index}.jpg", name, line=index + 2) for index, name in enumerate(names)]
    kept = without_some(Labelled(rows, np.eye(7, dtype=np.float32)))
    assert kept is not None
    assert [row.identity for row in kept.rows] == ["b", "b", "c", "e"]
    assert kept.vectors.argmax(axis=1).tolist() == [1, 2, 3, 5]
    assert without_some(Labelled(rows[:1], np.eye(7, dtype=np.float32)[:1])) is None


def test_figures_of_a_run_name_every_part_that_asks(finished: Path) -> None:
    made = json.loads((finished / "figures.json").read_text())
    assert set(made) == {"closed", "occasion", "stranger"}
    for part in made.values():
        assert {"n_query", "top1", "top5", "map", "cross_encounter", "cross_date", "open_set", "calibration"} <= set(part)
