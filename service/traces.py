"""OpenTelemetry traces, where an address is set and the extra `otel` is installed; nothing of it is imported otherwise.

A span for each request, and in it one for the identification and one for each stage. Stages are laid by the times that the
answer itself tells, so tracing adds no clock to the core. A job's row has no request: its identification is a trace of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.errors import StartRefused
from service.measures import METHODS
from settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


class Traces:
    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(resource=Resource.create({"service.name": "flukeprint"}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("flukeprint")

    @contextmanager
    def request(self, scope: Any, method: str) -> Iterator[None]:
        """Around one request, in the trace that its `traceparent` names, if it names one."""
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span("request", caller, SpanKind.SERVER) as span:
            try:
                yield
            finally:
                route, status = getattr(scope.get("route"), "path", None), scope.get("flukeprint.status", 0)
                known = method if method in METHODS else "_OTHER"
                span.update_name(f"{known} {route}" if route else known)
                span.set_attribute("http.request.method", known)
                span.set_attribute("http.response.status_code", status)
                span.set_attribute("flukeprint.request_id", scope["flukeprint.request_id"])
                if route:
                    span.set_attribute("http.route", route)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        with self._tracer.start_as_current_span(name):
            yield

    def lay(self, began_ns: int, **stages_ms: float) -> None:
        """Spans one after the other, from a moment on, in the span that is open."""
        for name, spent_ms in stages_ms.items():
            span = self._tracer.start_span(name, start_time=began_ns)
            began_ns += int(spent_ms * 1e6)
            span.end(began_ns)

    def close(self) -> None:
        """What is not sent yet is sent, as far as somebody takes it."""
        self._provider.shutdown()


def open_traces(settings: Settings) -> Traces | None:
    if settings.traces_url is None:
        return None
    return Traces(exporter(settings.traces_url))


def exporter(url: str) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as missing:
        raise StartRefused(
            f"FLUKEPRINT_TRACES_URL is {url}, and {missing.name} is not installed. "
            "Install it with make setup EXTRAS=otel, or unset FLUKEPRINT_TRACES_URL."
        ) from missing
    return OTLPSpanExporter(endpoint=url, timeout=5)
