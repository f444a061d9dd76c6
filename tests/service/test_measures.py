"""What /metrics tells of a real service, and that nothing a client sends can swell it."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from batching import ended, sent, zipped
from prometheus_client.parser import text_string_to_metric_families
from serving import Photo, Service, Start, process

import cli
from catalog.errors import CatalogueUnavailable
from encoder.errors import EncoderError
from encoder.values import Encoded
from service import jobs
from service.logs import JsonLines
from service.measures import Measures
from service.watching import Watcher
from settings import ROOT

ROUTE = frozenset({("route", "/v1/identify")})
Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def told(url: str) -> Told:
    """Every sample by its name and labels, as Prometheus' own parser reads them."""
    said = httpx.get(f"{url}/metrics", timeout=30)
    assert said.status_code == 200
    families = text_string_to_metric_families(said.text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for one in families for sample in one.samples}


def value(found: Told, name: str, **labels: str) -> float:
    return found[f"flukeprint_{name}", frozenset(labels.items())]


def until(url: str, holds: Callable[[Told], bool]) -> Told:
    end = time.monotonic() + 30
    while not holds(found := told(url)):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.1)
    return found


def enrol(service: Service, photo: Photo, name: str, individual: int) -> None:
    files = [("photos", (f"{n}.jpg", photo(individual, n))) for n in range(2)]
    assert service.client.post("/v1/individuals", data={"name": name, "force": "true"}, files=files).status_code == 201


def test_an_identification_is_counted_by_route_stage_and_decision(start: Start, photo: Photo) -> None:
    service = start(metrics_every_s=0.2)
    enrol(service, photo, "W1", 1)
    answer = service.client.post("/v1/identify", content=photo(1, 3)).json()
    found = told(service.url)
    assert value(found, "requests_total", route="/v1/identify", method="POST", status="200") == 1
    assert value(found, "request_seconds_count", route="/v1/identify") == 1
    for stage in ("decode", "encode", "search", "decide"):
        spent = answer["timings_ms"][stage] / 1000
        assert value(found, "stage_seconds_sum", stage=stage) == pytest.approx(spent)
        assert value(found, "stage_seconds_count", stage=stage) == 1
    assert value(found, "identifications_total", decision=answer["decision"]) == 1
    assert value(found, "probability_sum", decision=answer["decision"]) == pytest.approx(answer["probability"])
    assert value(found, "similarity_sum") == pytest.approx(answer["candidates"][0]["score"])
    assert value(found, "photos_total", outcome="identified") == 1


def test_how_slowly_a_client_sends_is_no_time_that_the_service_takes(
    start: Start, photo: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "flukeprint.requests")
    service, body = start(), photo(1, 0)
    parts = urlsplit(service.url)
    head = f"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port or 80), 30) as client:
        client.sendall(head.encode() + body[:100])
        time.sleep(3)
        client.sendall(body[100:])
        assert client.recv(12) == b"HTTP/1.1 200"
    found = until(service.url, lambda now: ("flukeprint_request_seconds_count", ROUTE) in now)
    assert 0 < value(found, "request_seconds_sum", route="/v1/identify") < 2.5
    told = next(json.loads(JsonLines().format(one)) for one in caplog.records if getattr(one, "path", "") == "/v1/identify")
    assert told["ms"] >= told["body_ms"] >= 2900


def test_sizes_jobs_and_the_bundle_are_told_soon_after_a_change(start: Start, photo: Photo) -> None:
    service = start(metrics_every_s=0.2, queue=32)
    found = until(service.url, lambda now: value(now, "watched_timestamp_seconds") > 0)
    assert value(found, "catalogue", what="sightings") == 0
    enrol(service, photo, "W1", 1)
    batch = service.client.post("/v1/batches", files=[("photos", ("a.jpg", photo(1, 3)))])
    assert batch.status_code == 202
    found = until(
        service.url,
        lambda now: value(now, "catalogue", what="identifications") == 1 and value(now, "jobs", state="done") == 1,
    )
    assert value(found, "catalogue", what="sightings") == value(found, "index_points") == 2
    assert value(found, "catalogue", what="individuals") == 1
    assert value(found, "job_rows_total", state="done") == 1
    assert value(found, "bundle_in_use", bundle=service.house.station.bundle_id, runtime="onnxruntime") == 1
    assert value(found, "places", lane="encode") == 2 + 32
    assert value(found, "inside", lane="encode") == 0
    assert value(found, "drift_photos") == 1
    assert math.isnan(value(found, "drift_psi", measure="brightness"))  # of one photo nothing can be told


def test_what_nobody_has_looked_at_yet_is_no_number() -> None:
    first = Measures().text().decode()
    for name in ("calibration_gap", "calibration_right", "calibration_stated", "calibration_answers", "drift_photos"):
        assert f"flukeprint_{name} NaN\n" in first
    assert "flukeprint_index_points NaN\n" in first
    assert "flukeprint_watched_timestamp_seconds 0.0\n" in first  # by which the alert goes off


def test_with_a_shared_folder_too_a_service_that_never_looked_says_so(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from service.measures import Measures; print(Measures(pathlib.Path(sys.argv[1])).text().decode())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "counts")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "flukeprint_watched_timestamp_seconds 0.0\n" in said.stdout


def test_photos_of_a_question_that_is_refused_are_counted(start: Start, photo: Photo) -> None:
    client = (service := start()).client
    assert client.post("/v1/identify", content=b"no photo").status_code == 415
    assert client.post("/match", files=[("images", ("a.jpg", b"no")), ("images", ("b.jpg", b"no"))]).status_code == 422
    assert client.post("/v1/identify", files=[("photos", ("a.jpg", b"no")), ("photos", ("b.jpg", photo(1, 0)))]).is_success
    archive = {"archive": ("a.zip", zipped({"a.jpg": b"no", "b.jpg": photo(1, 0), "c.jpg": b""}))}
    assert client.post("/v1/predict-batch", files=archive).is_success
    found = told(service.url)
    assert value(found, "photos_total", outcome="refused") == 1 + 2 + 1 + 2
    assert value(found, "photos_total", outcome="identified") == 2


def test_photos_of_a_row_that_is_done_again_are_counted_once(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    mark, failures = service.house.desk.mark_job_row, [CatalogueUnavailable("not there")]

    def flickering(*said: Any, **more: Any) -> None:
        if failures:
            raise failures.pop()
        mark(*said, **more)

    monkeypatch.setattr(jobs, "PAUSES_S", (0.1, 0.1))
    monkeypatch.setattr(service.house.desk, "mark_job_row", flickering)
    job = sent(service.client, zipped({"A/a.jpg": photo(1, 0), "A/b.jpg": photo(1, 1)}), kind="enrol").json()["id"]
    assert ended(service.client, job)["rows"]["done"] == 1
    found = told(service.url)
    assert failures == []
    assert sum(count for (name, _), count in found.items() if name == "flukeprint_photos_total") == 2


def test_a_look_is_taken_at_what_others_wrote_and_no_question_has_followed_yet(start: Start, photo: Photo) -> None:
    service = start(metrics_every_s=300)
    enrol(service, photo, "W1", 1)
    station = service.house.station
    assert cli.main(["rename", "1", "Kelp", "--data-dir", str(station.settings.data_dir)]) == 0
    assert station.follower.seen < station.catalogue.last_event_id()
    Watcher(service.house).look()
    assert station.follower.seen == station.catalogue.last_event_id()  # and with it the baseline of top scores


def test_refusals_are_counted_by_their_problem(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=0)
    service.client.post("/v1/identify", content=b"no photo")
    service.client.get("/v1/identify")
    httpx.post(f"{service.url}/v1/identify", content=photo(1, 0), headers={"Host": "elsewhere.example"})
    found = told(service.url)
    for problem in ("not-a-photo", "method-not-allowed", "host-refused"):
        assert value(found, "refusals_total", problem=problem) == 1


def test_what_fails_is_counted_from_0_on_and_who_is_sent_away_is_no_failure(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(streams=2, queue=0)
    first = told(service.url)
    for outcome in ("served", "refused", "sent-away", "failed"):
        assert value(first, "outcomes_total", outcome=outcome) == 0

    def match() -> int:
        return service.client.post("/match", files={"images": ("a.jpg", photo(1, 0))}).status_code

    with monkeypatch.context() as patch:
        patch.setattr(service.house.gate.encode, "places", 0)
        assert match() == 503
    with monkeypatch.context() as patch:
        patch.setattr(type(service.house.station.encoder), "encode", failing)
        assert match() == 503
        assert service.client.post("/v1/identify", content=photo(1, 0)).status_code == 503
    assert service.client.post("/v1/identify", content=b"no photo").status_code == 415
    found = told(service.url)
    assert value(found, "outcomes_total", outcome="served") == 1  # the first look
    assert value(found, "outcomes_total", outcome="refused") == 1
    assert value(found, "outcomes_total", outcome="sent-away") == 1
    assert value(found, "outcomes_total", outcome="failed") == 2
    asked = until(service.url, lambda now: ("flukeprint_at_once", frozenset({("lane", "encode")})) in now)
    assert value(asked, "at_once", lane="encode") == value(asked, "places", lane="encode") == 2


def failing(*_: object) -> Encoded:
    raise EncoderError("the runtime is gone")


def test_the_description_is_counted_under_its_own_address(start: Start) -> None:
    service = start()
    assert service.client.get("/openapi.json").status_code == 200
    assert service.client.post("/openapi.json").status_code == 405
    found = told(service.url)
    assert value(found, "requests_total", route="/openapi.json", method="GET", status="200") == 1
    assert value(found, "requests_total", route="/openapi.json", method="POST", status="405") == 1
    assert value(found, "request_seconds_count", route="/openapi.json") == 2


def test_what_a_client_sends_makes_no_new_series(start: Start) -> None:
    service = start()
    client = service.client
    client.get("/v1/individuals/1")
    client.request("X0", "/v1/identify")
    client.get("/nowhere/0")
    client.post("/v1/identify", content=b"0")
    before = set(told(service.url))
    for number in range(1, 30):
        client.get(f"/v1/individuals/{number}")
        client.request(f"X{number}", "/v1/identify")
        client.get(f"/nowhere/{number}")
        client.post("/v1/identify", content=b"%d" % number, headers={"X-Request-Id": f"r{number}"})
    after = set(told(service.url))
    assert {name for name, _ in after - before} <= {f"flukeprint_{n}" for n in ("requests_total", "requests_created")} | {
        "flukeprint_request_seconds_bucket",
        "flukeprint_request_seconds_count",
        "flukeprint_request_seconds_sum",
        "flukeprint_request_seconds_created",
    }  # of /metrics itself
    assert all(dict(labels).get("route") == "/metrics" for _, labels in after - before)


def test_several_processes_count_together_and_one_that_is_killed_takes_nothing_with_it(tmp_path: Path, photo: Photo) -> None:
    shared = tmp_path / "counts"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    said = {"METRICS_DIR": shared, "METRICS_EVERY_S": 0.2, "STREAMS": 2, "QUEUE": 32}
    with process(tmp_path / "one" / "data", **said) as (first, one), process(tmp_path / "two" / "data", **said) as (_, two):
        for url in (one, one, two):
            assert httpx.post(f"{url}/v1/identify", content=photo(1, 0), timeout=60).status_code == 200
        for url in (one, two):
            found = told(url)
            assert value(found, "requests_total", route="/v1/identify", method="POST", status="200") == 3
            assert value(found, "stage_seconds_count", stage="encode") == 3
            assert value(found, "places", lane="encode") == 2 * (2 + 32)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        found = told(two)
        assert value(found, "requests_total", route="/v1/identify", method="POST", status="200") == 3
        assert value(found, "places", lane="encode") == 2 + 32


def test_who_is_sent_away_makes_nobodys_wait_look_short() -> None:
    measures = Measures()
    measures.tell_request("/match", "POST", 503, 0.001, "busy")
    measures.tell_request("/v1/identify", "POST", 429, 0.001, "too-often")
    measures.tell_request("/match", "POST", 503, 0.5, "index-unavailable")
    told = measures.text().decode()
    assert 'flukeprint_request_seconds_count{route="/match"} 1.0' in told
    assert 'flukeprint_request_seconds_count{route="/v1/identify"}' not in told
