from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from serving import Photo, Service, Start, running

from service import traces
from service.errors import StartRefused
from service.traces import exporter

sdk = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="needs the extra otel")
from opentelemetry.trace import SpanKind  # noqa: E402

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    kept = sdk.InMemorySpanExporter()
    monkeypatch.setattr(traces, "exporter", lambda _: kept)
    return kept


def flushed(service: Service, kept: Any) -> list[Any]:
    """The spans, once that of the request is among them: it ends a moment after its answer."""
    until = time.monotonic() + 10
    found: list[Any] = []
    while not any(one.kind is SpanKind.SERVER for one in found) and time.monotonic() < until:
        service.server.app.state.traces._provider.force_flush()
        found = list(kept.get_finished_spans())
        time.sleep(0.02)
    return found


def test_a_request_is_a_span_with_its_stages_below_in_the_callers_trace(start: Start, photo: Photo, told: Any) -> None:
    service = start(traces_url="http://nowhere.invalid")
    files = [("photos", (f"{n}.jpg", photo(1, n))) for n in range(2)]
    answer = service.client.post("/v1/identify", files=files, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}).json()
    spans = {}
    for one in flushed(service, told):
        spans.setdefault(one.name, []).append(one)
    assert {name: len(some) for name, some in spans.items()} == {
        "POST /v1/identify": 1,
        "identify": 1,
        "decode": 2,
        "encode": 2,
        "search": 1,
        "decide": 1,
    }
    (request,), (identify,) = spans["POST /v1/identify"], spans["identify"]
    assert {format(one.context.trace_id, "032x") for some in spans.values() for one in some} == {TRACE}
    assert format(request.parent.span_id, "016x") == PARENT
    assert identify.parent.span_id == request.context.span_id
    for stage in ("decode", "encode", "search", "decide"):
        assert {one.parent.span_id for one in spans[stage]} == {identify.context.span_id}
        spent = sum(one.end_time - one.start_time for one in spans[stage]) / 1e6
        assert spent == pytest.approx(answer["timings_ms"][stage], abs=0.01)
        assert all(identify.start_time <= one.start_time and one.end_time <= identify.end_time + 1e6 for one in spans[stage])
    assert dict(request.attributes)["http.route"] == "/v1/identify"
    assert dict(request.attributes)["http.response.status_code"] == 200


def test_a_head_request_is_a_span_of_its_own_method_and_route(start: Start, told: Any) -> None:
    service = start(traces_url="http://nowhere.invalid")
    assert service.client.head("/healthz").status_code == 200
    (span,) = flushed(service, told)
    assert span.name == "HEAD /healthz"
    assert dict(span.attributes)["http.response.status_code"] == 200


def test_a_refusal_is_a_span_too_and_an_unknown_method_names_none(start: Start, told: Any) -> None:
    service = start(traces_url="http://nowhere.invalid")
    service.client.request("PROPFIND", "/nowhere/at/all")  # one that HTTP does not know is refused before it is a request
    (span,) = flushed(service, told)
    assert span.name == "_OTHER"
    assert dict(span.attributes)["http.response.status_code"] in (404, 405)


class Collector(BaseHTTPRequestHandler):
    """Takes what an OpenTelemetry collector takes."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_traces_arrive_by_otlp_and_the_last_ones_when_the_service_leaves(photo: Photo, tmp_path: Path) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        with running(tmp_path / "other", traces_url=f"http://127.0.0.1:{collector.server_port}/v1/traces") as service:
            service.client.post("/v1/identify", content=photo(1, 0))
        collector.shutdown()
        thread.join()
    sent = [ExportTraceServiceRequest.FromString(body) for body in Collector.bodies]
    spans = [span.name for one in sent for some in one.resource_spans for scope in some.scope_spans for span in scope.spans]
    assert "POST /v1/identify" in spans
    assert "encode" in spans


def test_without_the_extra_an_address_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(StartRefused, match="make setup EXTRAS=otel, or unset FLUKEPRINT_TRACES_URL"):
        exporter("http://127.0.0.1:4318/v1/traces")


def test_nothing_of_it_is_imported_where_no_address_is_set(root: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys\nfrom service.serve import make_server\nfrom settings import read_settings\n"
        f"make_server(read_settings({{}}, data_dir={str(tmp_path)!r}))\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry.')]))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    assert [name for name in json.loads(said.stdout) if "sdk" in name or "exporter" in name] == []
