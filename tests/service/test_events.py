"""The events of a job: who may listen, how many, and until when."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from batching import sent, until, zipped
from encoder_block import Blocked
from serving import Photo, Service, Start

from service import batches, gate


def test_the_events_of_a_job_end(filled: Service, photo: Photo) -> None:
    job = sent(filled.client, zipped({f"{n}.jpg": photo(n, 0) for n in range(4)})).json()["id"]
    with filled.client.stream("GET", f"/v1/jobs/{job}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in events.iter_lines() if line.startswith("event:")]
    assert lines[-1] == "event: end"


def test_no_more_listen_than_there_are_places_though_they_come_at_once(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = batches.LISTENERS + 12
    monkeypatch.setattr(gate, "BOOKS_THREADS", many)
    service = start(streams=1)
    look, together, came, asked = service.house.desk.job, threading.Barrier(many), threading.Event(), threading.Barrier(many)

    def at_once(number: int) -> Any:
        if not came.is_set():
            together.wait(30)
            came.set()
        return look(number)

    def listen(job: int) -> int:
        with httpx.stream("GET", f"{service.url}/v1/jobs/{job}/events", timeout=60) as events:
            told = events.iter_bytes()  # held: without it the connection is closed
            if events.status_code == 200:
                next(told)
            asked.wait(60)
            return events.status_code

    with Blocked(service.house.station.encoder) as blocked, ThreadPoolExecutor(many) as pool:
        job = sent(service.client, zipped({"a.jpg": photo(0, 0)})).json()["id"]
        blocked.wait_for_one()
        monkeypatch.setattr(service.house.desk, "job", at_once)
        said = sorted(pool.map(listen, [job] * many))
    assert said == [200] * batches.LISTENERS + [429] * 12
    assert until(lambda: service.server.app.state.listeners == 0)


def test_a_stream_of_events_ends_soon_after_its_key_is_revoked(start: Start, photo: Photo) -> None:
    service = start(streams=1)
    keys = [service.house.desk.add_key(f"key {number}", "editor") for number in range(2)]
    time.sleep(1.1)
    headers = {"X-API-Key": "key 0"}
    with Blocked(service.house.station.encoder) as blocked, httpx.Client(base_url=service.url, timeout=20) as client:
        job = sent(client, zipped({"a.jpg": photo(0, 0)}), headers=headers).json()["id"]
        blocked.wait_for_one()
        with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: progress"
            service.house.desk.revoke_key(keys[0].id)
            began = time.monotonic()
            assert "event: end" not in list(lines)
            assert time.monotonic() - began < 2.5
        assert client.get(f"/v1/jobs/{job}/events", headers=headers).status_code == 401
