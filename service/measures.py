"""What is counted, for /metrics: in Prometheus' text, on a registry of the service's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Measures:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "flukeprint_requests",
            "Requests, by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "flukeprint_request_seconds", "How long requests took.", ("route",), buckets=SECONDS, registry=self._registry
        )
        self.decisions = Counter(
            "flukeprint_identifications", "Identifications, by decision.", ("decision",), registry=self._registry
        )
        self.photos = Counter("flukeprint_photos", "Photos, by what became of them.", ("outcome",), registry=self._registry)
        self.rows = Counter("flukeprint_job_rows", "Rows of jobs, by what became of them.", ("state",), registry=self._registry)
        self.inside = Gauge("flukeprint_inside", "Work begun or waiting, by lane.", ("lane",), registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)
