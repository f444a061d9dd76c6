"""What is full says so at once, what nobody waits for is not done, and who asks too often waits."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from batching import zipped
from encoder_block import Blocked
from serving import Photo, Start, running

from encoder.mask import Masker
from encoder.values import DEFAULT_LIMITS, Pixels
from service.errors import TooOften
from service.rates import Rates


def test_a_full_queue_answers_at_once_and_the_probes_go_on(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=1)
    with Blocked(service.house.station.encoder) as blocked, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(httpx.post, f"{service.url}/v1/identify", content=photo(1, 0), timeout=60) for _ in range(2)]
        blocked.wait_for_one()
        until = time.monotonic() + 10
        while service.house.gate.encode.inside < 2 and time.monotonic() < until:
            time.sleep(0.01)
        spent = []
        for _ in range(20):
            began = time.perf_counter()
            said = service.client.post("/v1/identify", content=photo(1, 0))
            spent.append(time.perf_counter() - began)
            assert said.status_code == 429
            assert int(said.headers["retry-after"]) >= 1
            assert said.json()["type"] == "urn:flukeprint:problem:busy"
        assert sorted(spent)[len(spent) // 2] < 0.05
        assert service.client.get("/healthz").status_code == 200
        assert service.client.get("/readyz").json()["ready"]
        assert service.client.get("/v1/individuals").status_code == 200
        refused = raw_answer(service.url, b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 429 ")  # though not a byte of the body has come
        blocked.release()
        assert [one.result().status_code for one in waiting] == [200, 200]


def test_the_work_of_a_client_who_left_is_dropped(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=4)
    encoder = service.house.station.encoder
    with Blocked(encoder) as blocked:
        first = threading.Thread(target=lambda: httpx.post(f"{service.url}/v1/identify", content=photo(1, 0), timeout=60))
        first.start()
        blocked.wait_for_one()
        files = [("photos", (f"{n}.jpg", photo(1, n))) for n in range(4)]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{service.url}/v1/identify", files=files, timeout=0.5)
        until = time.monotonic() + 10
        while service.house.gate.encode.inside > 1 and time.monotonic() < until:
            time.sleep(0.02)
        assert service.house.gate.encode.inside == 1  # it has left the queue
        blocked.release()
        first.join()
        assert blocked.count == 1


def test_the_masks_of_a_client_who_left_are_dropped(start: Start, photo: Photo, tmp_path: Path) -> None:
    service, begun, free = start(), threading.Event(), threading.Event()
    made = []

    def cut(pixels: Pixels) -> Pixels:
        made.append(pixels.shape)
        begun.set()
        assert free.wait(30)
        return pixels[:, :, 0]

    service.house._masker = Masker(cut, tmp_path / "masks", DEFAULT_LIMITS)
    archive = zipped({f"{n}.jpg": photo(1, n) for n in range(4)})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/v1/predict-batch", files={"archive": archive}, data={"mask": "true"}, timeout=1)
    assert begun.wait(30)
    time.sleep(0.5)  # until the service has seen that the client is gone
    free.set()
    until = time.monotonic() + 10
    while service.house.gate.masks.inside and time.monotonic() < until:
        time.sleep(0.02)
    assert len(made) == 1
    assert service.house.gate.masks.inside == 0


def test_work_that_lasts_longer_than_the_time_to_leave_is_stopped(photo: Photo, tmp_path: Path) -> None:
    archive, begun = zipped({f"{n}.jpg": photo(1, n) for n in range(40)}), threading.Event()

    def cut(pixels: Pixels) -> Pixels:
        begun.set()
        time.sleep(0.5)
        return pixels[:, :, 0]

    def ask(url: str) -> None:
        with suppress(httpx.HTTPError):
            httpx.post(f"{url}/v1/predict-batch", files={"archive": archive}, data={"mask": "true"}, timeout=60)

    with running(tmp_path / "data", leave_within_s=1) as service:
        service.house._masker = Masker(cut, tmp_path / "masks", DEFAULT_LIMITS)
        asking = threading.Thread(target=ask, args=(service.url,))
        asking.start()
        assert begun.wait(30)
        began = time.monotonic()
    assert time.monotonic() - began < 8  # and not the twenty seconds that are left of it
    asking.join()


def test_a_request_while_leaving_is_refused(start: Start) -> None:
    service = start()
    service.house.leaving = True
    said = service.client.get("/v1/stats")
    assert (said.status_code, said.json()["type"]) == (503, "urn:flukeprint:problem:leaving")
    assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/readyz").status_code == 503


def test_who_asks_too_often_waits(start: Start) -> None:
    client = start(requests_per_minute=5).client
    said = [client.get("/v1/stats") for _ in range(8)]
    assert [one.status_code for one in said][:2] == [200, 200]
    assert said[-1].status_code == 429
    assert said[-1].json()["type"] == "urn:flukeprint:problem:too-often"
    assert client.get("/healthz").status_code == 200
    counts = client.get("/metrics")  # who watches is not sent away when others ask too much
    assert counts.status_code == 200
    assert 'flukeprint_request_seconds_count{route="/v1/stats"} 5.0' in counts.text, "who is sent away waits for nothing"


def test_a_bucket_fills_again_steadily() -> None:
    now = 0.0
    rates = Rates(60, lambda: now)
    for _ in range(60):
        rates.take("a")
    with pytest.raises(TooOften) as refused:
        rates.take("a")
    assert refused.value.more == {"retry_after_s": 2}
    rates.take("b")
    now = 1.5
    rates.take("a")
    with pytest.raises(TooOften):
        rates.take("a")


def raw_answer(url: str, data: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as client:
        client.sendall(data)
        return client.recv(1000)
