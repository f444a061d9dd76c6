"""A run is written down in a database of its own, and goes on there when it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mlflow", reason="needs the extra mlflow")

from training.tracking import EVERY, EXPERIMENT, Tracked


def test_settings_losses_and_figures_are_written_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    def stopped(run: Tracked) -> None:
        run.progress(EVERY, 3.5, 40.0)
        run.progress(EVERY + 1, 9.0, 40.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Tracked(tmp_path / "one", {"lr": 0.1, "augment": {"zoom": 0.75}}) as run:
        stopped(run)
    with Tracked(tmp_path / "one", {"lr": 0.1}) as run:
        run.evaluated(40, {"closed": {"top1": 0.5, "top1_95": [0.4, 0.6]}})
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    [found] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert found.data.params == {"lr": "0.1", "augment.zoom": "0.75"}
    assert found.data.metrics == {"loss": 3.5, "photos_per_s": 40.0, "closed.top1": 0.5}
    assert found.info.status == "FINISHED"
