"""The service as a process: it leaves in good order, refuses to start where it cannot work, and survives being killed."""

from __future__ import annotations

import ctypes
import io
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
from batching import ended, zipped
from PIL import Image
from serving import Photo, process

from catalog.desk import Desk
from catalog.open import open_catalogue
from settings import read_settings

OF_BATCHES = 1_000_000  # from here on numbers are of batches' photos; a quick machine enrols some 10,000 others
KILLS = int(os.environ.get("FLUKEPRINT_TEST_KILLS", "5"))


def test_on_sigterm_what_is_begun_ends_and_the_process_leaves(tmp_path: Path, photo: Photo) -> None:
    files = [("photos", (f"{n}.jpg", photo(1, n))) for n in range(20)]
    said: list[httpx.Response] = []
    with process(tmp_path / "data", STREAMS=1) as (child, url):
        asking = threading.Thread(target=lambda: said.append(httpx.post(f"{url}/v1/identify", files=files, timeout=60)))
        asking.start()
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert child.wait(30) == 0
        assert time.monotonic() - began < 30
        asking.join()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")
    assert [one.status_code for one in said] == [200]


def test_told_twice_to_leave_it_leaves_at_once_and_without_a_traceback(tmp_path: Path) -> None:
    with process(tmp_path / "data") as (child, _):
        for _ in range(2):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        assert child.wait(30) == 0
    said = (tmp_path / "log.txt").read_text("utf-8")
    assert "Shutting down" in said
    assert "Traceback" not in said


def test_an_enrolment_that_outlasts_the_time_to_leave_is_told_to_a_retry(tmp_path: Path, photo: Photo) -> None:
    with Image.open(io.BytesIO(photo(1, 0))) as drawn:
        large = io.BytesIO()
        drawn.resize((8000, 6000), Image.Resampling.NEAREST).save(large, "png", compress_level=1)
    files = [("photos", (f"{n}.png", large.getvalue() + bytes([n]))) for n in range(12)]
    sent: dict[str, Any] = {"data": {"name": "Muddy"}, "files": files, "headers": {"Idempotency-Key": "one"}, "timeout": 60}
    said: list[httpx.Response] = []
    with process(tmp_path / "data", STREAMS=1, LEAVE_WITHIN_S=1) as (child, url):
        asking = threading.Thread(target=lambda: said.append(httpx.post(f"{url}/v1/individuals", **sent)))
        asking.start()
        until = time.monotonic() + 20
        while not begun(tmp_path / "data") and time.monotonic() < until:
            time.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
        asking.join()
    assert [(one.status_code, one.json()["type"]) for one in said] == [(503, "urn:flukeprint:problem:leaving")]
    with process(tmp_path / "data") as (_, url):
        again = [httpx.post(f"{url}/v1/individuals", **sent) for _ in range(2)]
        assert [one.status_code for one in again] == [201, 201], again[0].text
        assert again[0].json() == again[1].json()
        assert [one["state"] for one in again[0].json()["photos"]] == ["enrolled"] * 12
        assert httpx.get(f"{url}/v1/stats").json()["events"] == 1


def begun(data: Path) -> bool:
    """Whether a request with an Idempotency-Key has come to its work."""
    with closing(sqlite3.connect(f"file:{data / 'catalogue.db'}?mode=ro", uri=True)) as books:
        return bool(books.execute("SELECT count(*) FROM requests").fetchone()[0])


@pytest.fixture(scope="module")
def large() -> list[bytes]:
    """Photos that take a quarter of a second each: 16 megapixels."""
    small = np.random.default_rng(7).integers(0, 256, (250, 250, 3), np.uint8)
    _, png = cv2.imencode(".png", cv2.resize(small, (4000, 4000), interpolation=cv2.INTER_NEAREST))
    return [png.tobytes() + number.to_bytes(8, "big") for number in range(16)]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kind", "counted"), [("identify", "identifications"), ("enrol", "sightings")])
def test_on_sigterm_a_row_breaks_off_and_is_done_once_after_the_restart(
    tmp_path: Path, large: list[bytes], kind: str, counted: str
) -> None:
    photos = large
    with process(tmp_path / "data", STREAMS=1) as (child, url), httpx.Client(base_url=url, timeout=60) as client:
        archive = zipped({f"A/{number}.png": photo for number, photo in enumerate(photos)})
        job = client.post("/v1/batches", files={"archive": archive}, data={"kind": kind}).json()["id"]
        while client.get(f"/v1/jobs/{job}").json()["state"] == "waiting":
            time.sleep(0.05)
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    with open_catalogue(read_settings({}, data_dir=tmp_path / "data").catalogue) as catalogue:
        assert Desk(catalogue).job_counts(job)["waiting"] == 1
    with process(tmp_path / "data") as (_, url), httpx.Client(base_url=url, timeout=60) as client:
        assert ended(client, job)["rows"]["done"] == 1
        assert client.get("/v1/stats").json()[counted] == (1 if kind == "identify" else len(photos))


def test_json_logs_have_the_request_and_no_secret(tmp_path: Path) -> None:
    with process(tmp_path / "data", LOG_FORMAT="json") as (_, url):
        httpx.get(f"{url}/v1/stats?search=hidden", headers={"X-Request-Id": "r-1", "X-API-Key": "hidden-key"})
        logged(tmp_path, '"r-1"')
    lines = [json.loads(line) for line in (tmp_path / "log.txt").read_text("utf-8").splitlines()]
    (asked,) = [line for line in lines if line.get("request_id") == "r-1"]
    assert (asked["path"], asked["status"], asked["method"]) == ("/v1/stats", 401, "GET")
    assert "hidden" not in (tmp_path / "log.txt").read_text("utf-8")


def test_what_comes_in_lies_in_the_data_folder_and_not_in_memory(tmp_path: Path) -> None:
    """A large upload, half of it sent: /tmp is memory on many machines, and in a container."""
    with process(tmp_path / "data") as (child, url):
        parts = urlsplit(url)
        head = b'--b\r\nContent-Disposition: form-data; name="archive"; filename="a"\r\n\r\n'
        fields = b"Host: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as client:
            client.sendall(b"POST /v1/batches HTTP/1.1\r\n" + fields + head + bytes(5_000_000))
            until, found = time.monotonic() + 20, False
            while not found and time.monotonic() < until:
                links = [str(link.readlink()) for link in Path(f"/proc/{child.pid}/fd").iterdir() if link.is_symlink()]
                found = any(link.startswith(str(tmp_path / "data" / "uploads")) for link in links)
            assert found


ARENAS = """
import ctypes, sys, threading
from service.serve import few_arenas
few_arenas()
held = threading.Barrier(9)
def hold():
    here = bytes(100_000)
    held.wait()  # all have theirs
    held.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
held.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file), libc.fclose(file)
held.wait()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another libc")
def test_eight_threads_share_two_of_the_allocators_arenas(root: Path, tmp_path: Path) -> None:
    said = tmp_path / "malloc.xml"
    subprocess.run([sys.executable, "-c", ARENAS, said], cwd=root, check=True)
    assert said.read_text().count("<heap nr=") == 2


def test_a_connection_that_is_used_is_kept_and_one_that_dawdles_is_not(tmp_path: Path) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with process(tmp_path / "data", HEADER_TIMEOUT_S=1) as (_, url):
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as client:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                client.sendall(whole)
                assert answered(client)
                time.sleep(0.002)
            client.sendall(whole[:-20])  # one more, that never comes to its end
            assert not answered(client)


def answered(client: socket.socket) -> bool:
    """Whether an answer of /healthz came, rather than the connection's end."""
    said = b""
    while not said.endswith(b'{"alive":true}'):
        more = client.recv(5000)
        if not more or more.startswith(b"HTTP/1.1 400 "):
            return False
        said += more
    return True


def logged(folder: Path, what: str) -> None:
    """Wait for it: a request's line is written after its answer."""
    until = time.monotonic() + 20
    while what not in (folder / "log.txt").read_text("utf-8") and time.monotonic() < until:
        time.sleep(0.05)


@pytest.mark.parametrize(("trusted", "address"), [(None, "127.0.0.1"), ("127.0.0.1", "192.0.2.7")])
def test_only_a_trusted_proxy_says_who_asks(tmp_path: Path, trusted: str | None, address: str) -> None:
    keys = {"TRUSTED_PROXIES": trusted} if trusted else {}
    with process(tmp_path / "data", LOG_FORMAT="json", **keys) as (_, url):
        httpx.get(f"{url}/healthz", headers={"X-Forwarded-For": "192.0.2.7"})
        logged(tmp_path, '"/healthz"')
    lines = [json.loads(line) for line in (tmp_path / "log.txt").read_text("utf-8").splitlines()]
    assert [line["address"] for line in lines if line.get("path") == "/healthz"] == [address]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"FLUKEPRINT_HOST": "0.0.0.0"}, "there is no key yet"),
        ({"FLUKEPRINT_BUNDLE": "nowhere"}, "is not a bundle"),
        ({"FLUKEPRINT_ADMIN_KEY_FILE": "nowhere"}, "cannot be read"),
        ({"FLUKEPRINT_PORT": "70000"}, "FLUKEPRINT_PORT"),
        ({"FLUKEPRINT_HOST": "203.0.113.9", "FLUKEPRINT_ADMIN_KEY_FILE": "key"}, "could not listen"),
    ],
)
def test_what_cannot_work_is_refused_at_start_with_its_reason(
    root: Path, tmp_path: Path, keys: dict[str, str], expected: str
) -> None:
    (tmp_path / "key").write_text("k" * 40)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLUKEPRINT_")} | keys
    command = [sys.executable, str(root / "cli.py"), "serve", "--data-dir", str(tmp_path / "data")]
    said = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 1
    assert expected in said.stderr
    assert "Traceback" not in said.stderr


def test_a_second_service_on_the_same_folder_is_refused(root: Path, tmp_path: Path) -> None:
    with process(tmp_path / "data"):
        command = [sys.executable, str(root / "cli.py"), "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 1
    assert "flukeprint: " in said.stderr


@pytest.mark.faults
@pytest.mark.timeout(60 * KILLS + 120)
def test_killed_among_enrolments_and_batches_nothing_is_lost_or_doubled(tmp_path: Path, photo: Photo) -> None:
    """Each round: one more batch, enrolments with their keys until the kill, and after the restart the unanswered one again."""
    data, chance = tmp_path / "data", random.Random(7)
    acknowledged: dict[str, dict[str, Any]] = {}
    jobs: list[int] = []
    number, unanswered = itertools.count(), None
    drawn = [photo(i, 0) for i in range(12)]
    for _ in range(KILLS):
        with process(data) as (child, url):
            killer = threading.Timer(chance.uniform(0.2, 2.5), child.kill)
            killer.start()
            try:
                with httpx.Client(base_url=url, timeout=30) as client:
                    if unanswered is not None:
                        enrol(client, unanswered, drawn, acknowledged)
                    archive = zipped({f"B{len(jobs)}-{n}/a.jpg": own(drawn, OF_BATCHES + 20 * len(jobs) + n) for n in range(8)})
                    key = {"Idempotency-Key": f"job-{len(jobs)}"}
                    said = client.post("/v1/batches", files={"archive": archive}, data={"kind": "enrol"}, headers=key)
                    assert said.status_code == 202, said.text
                    jobs.append(said.json()["id"])
                    while True:
                        unanswered = next(number)
                        enrol(client, unanswered, drawn, acknowledged)
            except httpx.TransportError:
                pass
            killer.join()
            child.wait()
    with process(data) as (_, url), httpx.Client(base_url=url, timeout=60) as client:
        if unanswered is not None:
            enrol(client, unanswered, drawn, acknowledged)
        for job in jobs:
            told = ended(client, job)
            assert (told["state"], told["rows"]["done"]) == ("done", 8), told
        known = {one["name"]: one for one in everybody(client)}
        for name, answer in acknowledged.items():
            assert known[name]["id"] == answer["individual_id"]
        assert {one["sightings"] for one in known.values()} == {1}
        batch = [name for name in known if name.startswith("B")]
        assert len(batch) >= 8 * len(jobs)
        assert len(known) == client.get("/v1/stats").json()["sightings"]
        assert len({answer["event_id"] for answer in acknowledged.values()}) == len(acknowledged)


def everybody(client: httpx.Client) -> Iterator[dict[str, Any]]:
    for offset in itertools.count(0, 500):
        page = client.get("/v1/individuals", params={"limit": 500, "offset": offset, "sort": "id"}).json()["individuals"]
        yield from page
        if not page:
            return


def own(drawn: list[bytes], number: int) -> bytes:
    """A photo of its own bytes."""
    return drawn[number % len(drawn)] + number.to_bytes(8, "big")


def enrol(client: httpx.Client, number: int, drawn: list[bytes], acknowledged: dict[str, dict[str, Any]]) -> None:
    said = client.post(
        "/v1/individuals",
        data={"name": f"E{number}", "force": "true"},
        files={"photos": (f"{number}.jpg", own(drawn, number))},
        headers={"Idempotency-Key": f"enrol-{number}"},
    )
    assert said.status_code == 201, said.text
    assert [one["state"] for one in said.json()["photos"]] == ["enrolled"]
    acknowledged[f"E{number}"] = said.json()
