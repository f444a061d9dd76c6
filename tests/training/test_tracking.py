"""A run is written down in a database of its own, and goes on there when it is resumed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.answers import Labelled
from training.evaluate import figures
from training.rows import Row
from training.tracking import EVERY, EXPERIMENT, RUN, Tracked, leaves, named

DEPRECATED = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what MLflow asks SQLAlchemy for


def test_every_figure_has_a_name_that_mlflow_takes() -> None:
    """Letters, numbers, and _ - . space in them; two figures keep two names."""
    drawn = np.eye(4, dtype=np.float32)
    rows = [Row(f"{n}.jpg", f"w{n // 2}", "orca (Bigg's)", f"e{n}", "left", date(2020, 1, 1 + n)) for n in range(4)]
    made = figures(Labelled(rows[:2], drawn[:2]), Labelled(rows, drawn), rounds=5)
    names = [name for name, _ in leaves({"closed": made})]
    assert any("%" in name for name in names)
    assert any("(" in name for name in names)
    taken = [name for name, _ in named(leaves({"closed": made}))]
    assert all(re.fullmatch(r"[\w\-. ]+", name) for name in taken)
    assert len(set(taken)) == len(set(names))


SPECIES = ("北極鯨", "白鯨", "orca (Bigg's)", "orca [Bigg's]", "a//b", "../c", "x" * 300, "x" * 301, "кит")


@DEPRECATED
def test_species_of_any_script_have_figures_of_their_own(tmp_path: Path) -> None:
    client, measured = client_of(tmp_path), {name: float(number) for number, name in enumerate(SPECIES)}
    with tracked(tmp_path / "one", {}) as run:
        run.evaluated(1, {"closed": measured})
    [found] = runs_of(client)
    assert sorted(found.data.metrics.values()) == sorted(measured.values())
    assert found.data.metrics["closed.北極鯨"] == 0


def tracked(out: Path, settings: dict[str, Any], *, resume: bool = False) -> Tracked:
    return Tracked(out, settings, resume=resume, tell=pytest.fail)


def client_of(folder: Path) -> Any:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")


def runs_of(client: Any) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id]))


@DEPRECATED
def test_new_run_in_a_folder_that_had_one_is_another_run(tmp_path: Path) -> None:
    client, folder = client_of(tmp_path), tmp_path / "Mum's whales"
    for rate in (0.1, 0.2):
        with tracked(folder, {"lr": rate}):
            pass
    with tracked(folder, {"lr": 0.2}, resume=True) as run:
        run.progress(EVERY, 3.5, 40.0)
    first, second = sorted(runs_of(client), key=lambda one: one.data.params["lr"])
    assert (first.data.metrics, second.data.metrics["loss"]) == ({}, 3.5)
    (folder / RUN).write_text("of another database")
    with tracked(folder, {"lr": 0.3}, resume=True):
        pass
    assert sorted(one.data.params["lr"] for one in runs_of(client)) == ["0.1", "0.2", "0.3"]


def test_runs_that_begin_at_once_are_all_written_down(tmp_path: Path, root: Path) -> None:
    client = client_of(tmp_path)
    code = "import sys\nfrom pathlib import Path\nfrom training.tracking import Tracked\n"
    code += "with Tracked(Path(sys.argv[1]), {'lr': 1}, tell=sys.exit) as run:\n    run.evaluated(1, {'top1': 0.5})\n"
    begun = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / str(n))], cwd=root, stderr=subprocess.PIPE)
        for n in range(3)
    ]
    told = [process.communicate()[1] for process in begun]
    assert [process.returncode for process in begun] == [0, 0, 0], told
    assert [one.data.metrics for one in runs_of(client)] == [{"top1": 0.5}] * 3


@DEPRECATED
def test_settings_losses_and_figures_are_written_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    client = client_of(tmp_path)

    def stopped(run: Tracked) -> None:
        run.progress(EVERY, 3.5, 40.0)
        run.progress(EVERY + 1, 9.0, 40.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tracked(tmp_path / "one", {"lr": 0.1, "augment": {"zoom": 0.75}}) as run:
        stopped(run)
    with tracked(tmp_path / "one", {"lr": 0.1}, resume=True) as run:
        run.evaluated(40, {"closed": {"top1": 0.5, "top1_95": [0.4, 0.6], "at_1%": {"recall": 0.25}}})
    [found] = runs_of(client)
    assert found.data.params == {"lr": "0.1", "augment.zoom": "0.75"}
    assert found.data.metrics == {"loss": 3.5, "photos_per_s": 40.0, "closed.top1": 0.5, "closed.at_1_.recall": 0.25}
    assert found.info.status == "FINISHED"


@DEPRECATED
def test_database_that_cannot_be_written_is_told_once_and_costs_its_lines_alone(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    told: list[str] = []
    with Tracked(tmp_path / "one", {}, tell=told.append) as run:
        run.progress(EVERY, 3.5, 40.0)
        with sqlite3.connect(tmp_path / "mlflow.db") as books:
            books.execute("DROP TABLE metrics")
        for step in range(2, 5):
            run.progress(EVERY * step, 3.5, 40.0)
    [said] = told
    assert "mlflow.db cannot be written" in said
    assert "the run goes on" in said
    with Tracked(tmp_path / "two", {}, tell=told.append) as run:  # begun with a database that is broken
        run.evaluated(1, {"top1": 0.5})
    assert len(told) == 2
