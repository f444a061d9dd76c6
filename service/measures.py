"""What is counted, for /metrics: in Prometheus' text, on a registry of the service's own. docs/metrics.md says what each means.

Labels are bounded: routes by their template, methods and problems by the lists of them, never by what a client sent. With
`shared`, a folder that several service processes of one machine write to, /metrics of any of them tells the sum of all.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Literal

from matching.answer import Answer
from service.errors import StartRefused

SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60)  # 2 is what an alert asks for
STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.5, 5, 10)
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1)
COSINES = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 1)
How = Literal["livesum", "livemax", "mostrecent"]
METHODS = frozenset(("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"))
SENT_AWAY = ("busy", "too-often")  # 429, and 503 where a contract says so
OUTCOMES = ("served", "refused", "sent-away", "failed")
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # by which prometheus_client, when it is imported, keeps its counts in files


class Measures:
    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        if shared is not None:
            _make(shared)
            os.environ[SHARED] = str(shared)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # not before: see SHARED

        self._registry = registry = CollectorRegistry()

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"flukeprint_{name}", says, labels, registry=registry)

        def histogram(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"flukeprint_{name}", says, labels, buckets=buckets, registry=registry)

        def gauge(name: str, says: str, *labels: str, how: How = "mostrecent") -> Gauge:
            """Of what all processes share, so that whoever looked last tells it; `livesum`: each has its own."""
            return Gauge(f"flukeprint_{name}", says, labels, registry=registry, multiprocess_mode=how)

        self.requests = counter("requests", "Requests, by route, method and status.", "route", "method", "status")
        self.seconds = histogram("request_seconds", "How long requests took, by route.", SECONDS, "route")
        self.refusals = counter("refusals", "Requests that were refused or failed, by kind of problem.", "problem")
        self.outcomes = counter("outcomes", "Requests, by how they ended.", "outcome")
        for outcome in OUTCOMES:  # from 0 on: a series that is born at 50 has risen by nothing, and no rule would see it
            self.outcomes.labels(outcome)
        for problem in SENT_AWAY:
            self.refusals.labels(problem)
        self.stages = histogram("stage_seconds", "How long identifications took, by stage.", STAGE_SECONDS, "stage")
        self.decisions = counter("identifications", "Identifications, by decision.", "decision")
        self.probability = histogram("probability", "Stated probabilities, by decision.", PROBABILITIES, "decision")
        self.similarity = histogram("similarity", "Scores of the best candidates.", COSINES)
        self.photos = counter("photos", "Photos, by what became of them.", "outcome")
        self.rows = counter("job_rows", "Rows of jobs, by what became of them.", "state")
        self.inside = gauge("inside", "Work begun or waiting, by lane.", "lane", how="livesum")
        self.places = gauge("places", "Work that may be begun or wait, by lane.", "lane", how="livesum")
        self.at_once = gauge("at_once", "Work that may be begun at once, by lane.", "lane", how="livesum")
        self.catalogue = gauge("catalogue", "How much is known, by what it is.", "what")
        self.index_points = gauge("index_points", "Vectors in the index.")
        self.jobs = gauge("jobs", "Jobs, by state.", "state")
        self.bundle = gauge("bundle_in_use", "1 for the encoder bundle that answers.", "bundle", "runtime", how="livemax")
        self.psi = gauge("drift_psi", "Population stability index of recent photos against the catalogue.", "measure")
        self.drift_photos = gauge("drift_photos", "Recent photos that drift is told of.")
        self.judged = gauge("calibration_answers", "Recent answers on which somebody had the last word.")
        self.stated = gauge("calibration_stated", "Mean probability that those answers stated.")
        self.right = gauge("calibration_right", "Share of those answers that were right.")
        self.gap = gauge("calibration_gap", "Stated less right, where there are enough answers to tell.")
        self.watched = gauge("watched_timestamp_seconds", "When catalogue, drift and calibration were last looked at.")
        self.watched.set(0)
        if shared is None:  # 0 would be told for what nobody has looked at yet; a folder tells nothing of it
            for unknown in (self.index_points, self.drift_photos, self.judged, self.stated, self.right, self.gap):
                unknown.set(math.nan)

    def tell_request(self, route: str | None, method: str, status: int, seconds: float, problem: str | None) -> None:
        method = method if route is not None and method in METHODS else "any"
        self.requests.labels(route or "none", method, str(status)).inc()
        if problem not in SENT_AWAY:  # at once: many of them would make the others' waits look short
            self.seconds.labels(route or "none").observe(seconds)
        if problem is not None:
            self.refusals.labels(problem).inc()
        self.outcomes.labels(_outcome(status, problem)).inc()

    def tell_answer(self, answer: Answer) -> None:
        spent = answer.timings_ms
        for stage in ("decode", "encode", "search", "decide", "second"):
            if (ms := getattr(spent, stage)) is not None:
                self.stages.labels(stage).observe(ms / 1000)
        self.decisions.labels(answer.decision).inc()
        self.probability.labels(answer.decision).observe(answer.probability)
        if answer.candidates:
            self.similarity.observe(answer.candidates[0].score)
        for photo in answer.photos:
            self.photos.labels("refused" if photo.refused else "identified").inc()

    def text(self) -> bytes:
        from prometheus_client import CollectorRegistry, generate_latest, multiprocess

        if self._shared is None:
            return generate_latest(self._registry)
        self._bury()
        everybody = CollectorRegistry()
        multiprocess.MultiProcessCollector(everybody, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def leave(self) -> None:
        """This process ends: what it alone held is held no more, what it counted stays."""
        if self._shared is not None:
            from prometheus_client import multiprocess

            multiprocess.mark_process_dead(os.getpid(), str(self._shared))  # type: ignore[no-untyped-call]

    def _bury(self) -> None:
        """Processes that were killed could not leave."""
        from prometheus_client import multiprocess

        assert self._shared is not None
        for file in self._shared.glob("gauge_live*_*.db"):
            process = int(file.stem.rsplit("_", 1)[1])
            if not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
                multiprocess.mark_process_dead(process, str(self._shared))  # type: ignore[no-untyped-call]


def _outcome(status: int, problem: str | None) -> str:
    """By the problem first: `/match` says 503 to those sent away too, as its contract wants."""
    if problem in SENT_AWAY:
        return "sent-away"
    return "failed" if status >= 500 else "refused" if status >= 400 else "served"


def _make(shared: Path) -> None:
    """Not its parents: processes that count together must not each have a folder of its own by a typing error."""
    try:
        shared.mkdir(exist_ok=True)
    except OSError as error:
        raise StartRefused(
            f"FLUKEPRINT_METRICS_DIR names {shared}, which cannot be made: {error.strerror}. Make the folder that it lies in, "
            "or mend the path."
        ) from error


def number(value: float | None) -> float:
    """For a gauge: what is not known is no number, and no rule's comparison with it holds."""
    return math.nan if value is None else value
