"""A run is written down in a database of its own, and goes on there when it is resumed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from training.answers import Labelled
from training.evaluate import figures
from training.rows import Row
from training.tracking import EVERY, EXPERIMENT, Tracked, fit, leaves


def test_every_figure_has_a_name_that_mlflow_takes() -> None:
    """Letters, numbers, and _ - . space / in them, as it says itself; two figures keep two names."""
    drawn = np.eye(4, dtype=np.float32)
    rows = [Row(f"{n}.jpg", f"w{n // 2}", "orca (Bigg's)", f"e{n}", "left", date(2020, 1, 1 + n)) for n in range(4)]
    made = figures(Labelled(rows[:2], drawn[:2]), Labelled(rows, drawn), rounds=5)
    names = [name for name, _ in leaves({"closed": made})]
    assert any("%" in name for name in names)
    assert any("(" in name for name in names)
    assert all(re.fullmatch(r"[A-Za-z0-9_\-. /]+", fit(name)) for name in names)
    assert len(set(map(fit, names))) == len(set(names))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what MLflow asks SQLAlchemy for
def test_settings_losses_and_figures_are_written_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    def stopped(run: Tracked) -> None:
        run.progress(EVERY, 3.5, 40.0)
        run.progress(EVERY + 1, 9.0, 40.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Tracked(tmp_path / "one", {"lr": 0.1, "augment": {"zoom": 0.75}}) as run:
        stopped(run)
    with Tracked(tmp_path / "one", {"lr": 0.1}) as run:
        run.evaluated(40, {"closed": {"top1": 0.5, "top1_95": [0.4, 0.6], "at_1%": {"recall": 0.25}}})
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    [found] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert found.data.params == {"lr": "0.1", "augment.zoom": "0.75"}
    assert found.data.metrics == {"loss": 3.5, "photos_per_s": 40.0, "closed.top1": 0.5, "closed.at_1_.recall": 0.25}
    assert found.info.status == "FINISHED"
