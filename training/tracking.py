"""A run's settings and figures in MLflow, for those who compare many: a local database beside the runs, nothing over a network.

make setup EXTRAS=train,mlflow;  mlflow ui --backend-store-uri sqlite:///runs/mlflow.db
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EVERY = 20  # steps between two losses that are written down
EXPERIMENT = "flukeprint"


def is_installed() -> bool:
    return importlib.util.find_spec("mlflow") is not None


class Tracked:
    """One run, written down as it goes; entered again under the same folder it goes on."""

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which is sent home otherwise
        from mlflow.tracking import MlflowClient

        out = out.absolute()
        out.parent.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=f"sqlite:///{out.parent / 'mlflow.db'}")
        known = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT, out.parent.as_uri())
        earlier = self._client.search_runs([experiment], f"tags.folder = '{out}'", max_results=1)
        if earlier:
            self._id = earlier[0].info.run_id
        else:
            self._id = self._client.create_run(experiment, run_name=out.name, tags={"folder": str(out)}).info.run_id
            for name, value in leaves(settings):
                self._client.log_param(self._id, fit(name), value)

    def progress(self, step: int, loss: float, photos_per_s: float) -> None:
        if step % EVERY == 0:
            self._client.log_metric(self._id, "loss", loss, step=step)
            self._client.log_metric(self._id, "photos_per_s", photos_per_s, step=step)

    def evaluated(self, step: int, figures: Mapping[str, Any]) -> None:
        for name, value in leaves(figures):
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._client.log_metric(self._id, fit(name), value, step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.set_terminated(self._id, "FINISHED" if kind is None else "KILLED")


def fit(name: str) -> str:
    """As MLflow takes it.

    >>> fit("closed.open_set.at_1%_false_positives.recall")
    'closed.open_set.at_1__false_positives.recall'
    """
    return re.sub(r"[^\w./ -]", "_", name, flags=re.ASCII)


def leaves(given: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Every value that is no mapping, under its path.

    >>> leaves({"a": {"b": 1}, "c": 2})
    [('a.b', 1), ('c', 2)]
    """
    found: list[tuple[str, Any]] = []
    for name, value in given.items():
        found += leaves(value, f"{path}{name}.") if isinstance(value, Mapping) else [(path + str(name), value)]
    return found
