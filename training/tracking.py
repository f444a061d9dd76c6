"""A run's settings and figures in MLflow, for those who compare many: a local database beside the runs, nothing over a network.

make setup EXTRAS=train,mlflow;  mlflow ui --backend-store-uri sqlite:///runs/mlflow.db
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EVERY = 20  # steps between two losses that are written down
EXPERIMENT = "flukeprint"
RUN = "mlflow_run.txt"  # in the run's folder: which run of the database it is
LONGEST = 250  # letters of a name


def is_installed() -> bool:
    return importlib.util.find_spec("mlflow") is not None


class Tracked:
    """One run, written down as it goes; resumed, it goes on in the run that its folder names.

    A database that cannot be written costs its lines and not the run: that is told once, and nothing is written any more.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool = False, tell: Callable[[str], object]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which is sent home otherwise
        from mlflow.tracking import MlflowClient

        self._out, self._tell, self._lost = out.absolute(), tell, False
        self._out.mkdir(parents=True, exist_ok=True)
        self._database = self._out.parent / "mlflow.db"
        with self._or_told():
            self._client = MlflowClient(tracking_uri=f"sqlite:///{self._database}")
            self._begin(settings, resume=resume)

    def progress(self, step: int, loss: float, photos_per_s: float) -> None:
        if step % EVERY == 0:
            self._write({"loss": loss, "photos_per_s": photos_per_s}, step)

    def evaluated(self, step: int, figures: Mapping[str, Any]) -> None:
        self._write(dict(named(leaves(figures))), step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._lost:
            with self._or_told():
                self._client.set_terminated(self._id, "FINISHED" if kind is None else "KILLED")

    def _begin(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        from mlflow.exceptions import MlflowException

        with _alone(self._out.parent / "mlflow.lock"):
            known = self._client.get_experiment_by_name(EXPERIMENT)
            experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT, self._out.parent.as_uri())
            if resume and (self._out / RUN).exists():
                try:
                    self._id = self._client.get_run((self._out / RUN).read_text("utf-8").strip()).info.run_id
                    return
                except MlflowException:  # the folder was moved away from its database
                    pass
            made = self._client.create_run(experiment, run_name=self._out.name, tags={"folder": str(self._out)})
            self._id = made.info.run_id
        (self._out / RUN).write_text(self._id, "utf-8")
        for name, value in named(leaves(settings)):
            self._client.log_param(self._id, name, value)

    def _write(self, measured: Mapping[str, Any], step: int) -> None:
        if self._lost:
            return
        with self._or_told():
            for name, value in measured.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._client.log_metric(self._id, name, value, step=step)

    @contextmanager
    def _or_told(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            self._lost = True
            reason = str(error).split("\n")[0]
            self._tell(
                f"{self._database} cannot be written, so MLflow is not told of this run any more; the run goes on: {reason}"
            )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time: two that make the tables, or the experiment, both fail."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def fit(name: str) -> str:
    """As MLflow takes it, which are letters of any script: other signs, and what would make a path of it, are replaced.

    >>> fit("closed.open_set.at_1%_false_positives.recall")
    'closed.open_set.at_1__false_positives.recall'
    """
    return re.sub(r"[^\w. -]", "_", name)


def named(values: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Under names that MLflow takes, and still two where they were two: those that would be one, or are long, end in a sum.

    >>> named([("a%", 1), ("b?", 2), ("b!", 3)])
    [('a_', 1), ('b_-a07436e7', 2), ('b_-5a7b0b84', 3)]
    """
    values = list(values)
    shared = Counter(fit(name) for name, _ in values)

    def apart(name: str) -> str:
        fitted = fit(name)
        if shared[fitted] == 1 and len(fitted) <= LONGEST:
            return fitted
        return f"{fitted[: LONGEST - 9]}-{zlib.crc32(name.encode()):08x}"

    return [(apart(name), value) for name, value in values]


def leaves(given: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Every value that is no mapping, under its path.

    >>> leaves({"a": {"b": 1}, "c": 2})
    [('a.b', 1), ('c', 2)]
    """
    found: list[tuple[str, Any]] = []
    for name, value in given.items():
        found += leaves(value, f"{path}{name}.") if isinstance(value, Mapping) else [(path + str(name), value)]
    return found
