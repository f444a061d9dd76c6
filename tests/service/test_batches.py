"""Batches: what an archive becomes, row by row, and that one bad photo is a row with its reason."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from batching import ended, sent, until, zipped
from encoder_block import Blocked
from serving import Photo, Service, Start, running

from catalog.errors import CatalogueUnavailable
from encoder.errors import EncoderError
from encoder.values import Box, Encoded
from service import batches, jobs
from vector_db.errors import VectorIndexError


def test_a_folder_is_an_individual_and_then_an_encounter(start: Start, photo: Photo) -> None:
    service = start()
    client = service.client
    archive = zipped({f"W{i}/{n}.jpg": photo(i, n) for i in range(3) for n in range(2)} | {"W2/bad.jpg": b"<html>", ".x": b""})
    job = sent(client, archive, kind="enrol", species="humpback")
    assert job.status_code == 202, job.text
    told = ended(client, job.json()["id"])
    assert (told["state"], told["rows"]) == ("done", {"total": 3, "waiting": 0, "done": 3, "refused": 0, "cancelled": 0})
    lines = list(csv.DictReader(io.StringIO(client.get("/v1/jobs/1/result", params={"format": "csv"}).text)))
    assert [line["state"] for line in lines].count("enrolled") == 6
    assert [line["photo"] for line in lines if line["reason"]] == ["bad.jpg"]
    assert client.get("/v1/stats").json()["sightings"] == 6
    files = {
        "e1/a.jpg": photo(1, 0),
        "e1/b.jpg": photo(1, 1),
        "alone.jpg": photo(0, 1),
        "no.jpg": b"GIF89a",
        "=cmd.jpg": photo(2, 0),
    }
    job = sent(client, zipped(files), top=2)
    told = ended(client, job.json()["id"])
    assert told["rows"] == {"total": 4, "waiting": 0, "done": 3, "refused": 1, "cancelled": 0}
    rows = client.get("/v1/jobs/2/result").json()["rows"]
    assert [row["name"] for row in rows] == ["e1", "alone.jpg", "no.jpg", "=cmd.jpg"]
    assert [row["answer"]["candidates"][0]["name"] for row in rows if row["answer"]] == ["W1", "W0", "W2"]
    assert "expected JPEG" in rows[2]["reason"]
    lines = list(csv.DictReader(io.StringIO(client.get("/v1/jobs/2/result", params={"format": "csv"}).text)))
    assert [line["encounter"] for line in lines] == ["e1", "e1", "alone.jpg", "no.jpg", "'=cmd.jpg"]
    assert list((service.house.settings.data_dir / "uploads").iterdir()) == []


def test_a_table_in_the_archive_says_who_is_who(start: Start, photo: Photo) -> None:
    client = start().client
    table = "image,individual_id,species,date\nx/0.jpg,Ash,minke,2020-01-02\nx/1.jpg,Birch,minke,2020-13-99\nx/9.jpg,Cedar,,\n"
    archive = zipped({"set/t.csv": table.encode(), "set/x/0.jpg": photo(0, 0), "set/x/1.jpg": photo(1, 0)})
    told = ended(client, sent(client, archive, kind="enrol").json()["id"])
    assert told["rows"]["refused"] == 2
    rows = client.get("/v1/jobs/1/result").json()["rows"]
    assert rows[0]["answer"]["photos"][0]["state"] == "enrolled"
    assert rows[1]["answer"]["photos"][0]["state"] == "refused"
    assert "There is no file" in rows[2]["reason"]
    assert [one["name"] for one in client.get("/v1/individuals").json()["individuals"]] == ["Ash"]


def test_a_row_is_refused_where_none_of_its_photos_could_be_enrolled(start: Start, photo: Photo) -> None:
    client = start().client
    archive = zipped({"A/x.jpg": b"bad", "A/y.jpg": b"", "B/x.jpg": b"bad", "B/y.jpg": photo(0, 0)})
    for times in (1, 2):  # what is enrolled already is no refusal
        told = ended(client, sent(client, archive, kind="enrol").json()["id"])
        assert (told["rows"]["done"], told["rows"]["refused"]) == (1, 1)
        refused, done = client.get(f"/v1/jobs/{times}/result").json()["rows"]
        assert (refused["state"], done["state"], done["reason"]) == ("refused", "done", None)
        assert refused["reason"] == refused["answer"]["photos"][0]["reason"]
        assert "expected JPEG" in refused["reason"]
        assert [one["state"] for one in refused["answer"]["photos"]] == ["refused", "refused"]


@pytest.mark.parametrize("as_form", [True, False])
def test_an_archive_of_megabytes_comes_whole(filled: Service, photo: Photo, as_form: bool) -> None:
    noise = [random.Random(seed).randbytes(700_000) for seed in range(3)]
    archive = zipped({"A/a.jpg": photo(0, 1)} | {f"A/{seed}.jpg": data for seed, data in enumerate(noise)})
    if as_form:
        job = sent(filled.client, archive)
    else:
        job = filled.client.post("/v1/batches", content=archive, headers={"Content-Type": "application/zip"})
    assert job.status_code == 202, job.text
    told = ended(filled.client, job.json()["id"])
    assert told["rows"]["done"] == 1
    answer = filled.client.get(f"/v1/jobs/{told['id']}/result").json()["rows"][0]["answer"]
    assert answer["candidates"][0]["name"] == "W0"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"box": "garbage"}, "box"),
        ({"explain": "true"}, "explain"),
        ({"kind": "enrol", "viewpoint": "left", "after": "2020-01-01"}, "after, viewpoint came with kind=enrol"),
        ({"kind": "enrol", "top": "3"}, "top came with kind=enrol"),
    ],
)
def test_a_field_of_which_nothing_would_come_is_refused(
    filled: Service, photo: Photo, said: dict[str, str], named: str
) -> None:
    refused = sent(filled.client, zipped({"A/a.jpg": photo(0, 0)}), **said)
    assert refused.status_code == 422
    assert named in refused.json()["detail"]
    assert list((filled.house.settings.data_dir / "uploads").iterdir()) == []


def test_a_table_is_called_as_the_client_calls_it_where_it_is_refused(filled: Service) -> None:
    refused = sent(filled.client, zipped({"set/tab.csv": b"path\n"}), kind="enrol")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("set/tab.csv has the columns path, but none for identity")


def form(client: httpx.Client, files: list[tuple[str, bytes]], **said: Any) -> httpx.Response:
    headers = said.pop("headers", {})
    return client.post("/v1/batches", files=[("photos", file) for file in files], data=said, headers=headers)


def test_a_table_among_many_files_names_them_as_the_client_does(start: Start, photo: Photo) -> None:
    client = start().client
    table = b"path,identity\na.jpg,Ash\nx/b.jpg,Birch\n"
    files = [("a.jpg", photo(0, 0)), ("x/b.jpg", photo(1, 0)), ("t.csv", table)]
    job = form(client, files, kind="enrol")
    assert ended(client, job.json()["id"])["rows"]["done"] == 2
    rows = client.get("/v1/jobs/1/result").json()["rows"]
    assert [(row["name"], row["photos"]) for row in rows] == [("Ash", ["a.jpg"]), ("Birch", ["b.jpg"])]
    assert [client.get(f"/v1/sightings/{number}").json()["photo"] for number in (1, 2)] == ["a.jpg", "b.jpg"]
    refused = form(client, [*files, ("a.jpg", photo(2, 0))], kind="enrol")
    assert refused.status_code == 422
    assert 'Two photos are called "a.jpg"' in refused.json()["detail"]


def test_many_files_keep_their_names_and_two_of_one_name_are_two(filled: Service, photo: Photo) -> None:
    client = filled.client
    names = ["a.jpg", "a.jpg", "./day 1/a.jpg", "../../day 1/.b.jpg", "c:d.jpg", "..", "\u00e9.jpg", "a.jpg"]
    files = [(name, photo(number % 5, 0)) for number, name in enumerate(names)]
    job = form(client, files, headers={"Idempotency-Key": "names"})
    assert job.status_code == 202, job.text
    assert ended(client, job.json()["id"])["rows"]["done"] == 7
    rows = client.get(f"/v1/jobs/{job.json()['id']}/result").json()["rows"]
    assert [row["name"] for row in rows] == [
        "a.jpg", "a (2).jpg", "day 1", "c_d.jpg", "photo", "\u00e9.jpg", "a (3).jpg",
    ]  # fmt: skip
    assert rows[2]["photos"] == ["a.jpg", "b.jpg"]
    time.sleep(2)  # a ZIP's clock
    assert form(client, files, headers={"Idempotency-Key": "names"}).json()["id"] == job.json()["id"]


def test_many_files_are_a_batch_too_and_a_retry_is_one_job(start: Start, photo: Photo) -> None:
    client = start().client
    files = [("photos", ("a.jpg", photo(i, 0))) for i in range(3)]
    first = client.post("/v1/batches", files=files, headers={"Idempotency-Key": "k"})
    assert first.status_code == 202, first.text
    ended(client, first.json()["id"])
    raw = client.post("/v1/batches", content=zipped({"a.jpg": photo(0, 0)}), headers={"Content-Type": "application/zip"})
    assert raw.json()["id"] == 2
    key = {"Idempotency-Key": "z"}
    assert sent(client, zipped({"a.jpg": photo(0, 0)}), headers=key).json()["id"] == 3
    assert client.get("/v1/jobs/4").status_code == 404


def test_a_batch_that_is_taken_after_the_time_to_leave_has_its_archive_and_is_told_to_a_retry(
    tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, whole = threading.Event(), batches.plan

    def slow(*given: Any, **more: Any) -> Any:
        begun.set()
        time.sleep(3)
        return whole(*given, **more)

    archive, key = zipped({"W1/a.jpg": photo(1, 0)}), {"Idempotency-Key": "k"}
    monkeypatch.setattr(batches, "plan", slow)
    with running(tmp_path / "data", leave_within_s=1) as service, ThreadPoolExecutor(1) as pool:
        cut = pool.submit(sent, service.client, archive, kind="enrol", headers=key)
        assert begun.wait(30)
        service.server.handle_exit(signal.SIGTERM, None)
        assert (cut.result().status_code, cut.result().json()["type"]) == (503, "urn:flukeprint:problem:leaving")
    monkeypatch.undo()
    with running(tmp_path / "data") as service:
        again = sent(service.client, archive, kind="enrol", headers=key)
        assert (again.status_code, again.json()["id"]) == (202, 1)
        assert ended(service.client, 1)["rows"]["done"] == 1


def test_more_forms_than_memory_is_meant_for_are_told_to_come_back(start: Start, photo: Photo) -> None:
    service = start()
    host, port = service.server.address()
    head = f"POST /v1/batches HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\nx'
    slow = [socket.create_connection((host, port)) for _ in range(batches.FORMS)]
    for one in slow:
        one.sendall(f"{head}Content-Length: 1000\r\n\r\n{part}".encode())
    assert until(lambda: service.server.app.state.forms == batches.FORMS)
    refused = form(service.client, [("a.jpg", photo(0, 0))])
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["type"] == "urn:flukeprint:problem:busy"
    assert sent(service.client, b"").status_code == 429  # an archive in a form, too
    archive = zipped({"a.jpg": photo(0, 0)})
    raw = service.client.post("/v1/batches", content=archive, headers={"Content-Type": "application/zip"})
    assert raw.status_code == 202  # which goes to the disk as it comes
    for one in slow:
        one.close()
    assert until(lambda: service.server.app.state.forms == 0)
    assert form(service.client, [("a.jpg", photo(0, 0))]).status_code == 202


def test_two_workers_on_one_data_folder_do_each_row_once(start: Start, photo: Photo) -> None:
    service = start(streams=2)
    second = jobs.Worker(service.house)  # as another process has one: the lock is the open file's
    loop = service.server.servers[0].get_loop()
    running = asyncio.run_coroutine_threadsafe(second.run(), loop)
    sent_jobs = [sent(service.client, zipped({f"{n}.jpg": photo(n % 5, n // 5) for n in range(20)})) for _ in range(2)]
    loop.call_soon_threadsafe(second.wake)
    for job in sent_jobs:
        assert ended(service.client, job.json()["id"])["rows"]["done"] == 20
    assert service.client.get("/v1/stats").json()["identifications"] == 40
    service.house.leaving = True
    loop.call_soon_threadsafe(second.wake)
    running.result(30)


def test_a_job_that_is_cancelled_before_it_began_leaves_no_upload(start: Start, photo: Photo) -> None:
    service = start(streams=1)
    first, second = (
        sent(service.client, zipped({f"{n}.jpg": photo(n % 5, n // 5) for n in range(20)})).json()["id"] for _ in range(2)
    )
    assert service.client.post(f"/v1/jobs/{second}/cancel").json()["rows"]["cancelled"] == 20
    ended(service.client, first)
    time.sleep(0.5)
    assert list((service.house.settings.data_dir / "uploads").iterdir()) == []


def test_a_cancelled_job_keeps_what_is_done(start: Start, photo: Photo) -> None:
    client = start(streams=1).client
    job = sent(client, zipped({f"{n}.jpg": photo(n % 5, n // 5) for n in range(40)})).json()["id"]
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 200
    assert client.post(f"/v1/jobs/{job}/cancel", headers={"Idempotency-Key": "c"}).status_code == 200
    assert client.post(f"/v1/jobs/{job}/cancel", headers={"Idempotency-Key": "c"}).status_code == 200
    told = ended(client, job)
    assert told["state"] == "cancelled"
    assert told["rows"]["waiting"] == 0
    assert told["rows"]["cancelled"] > 0
    assert client.post("/v1/identify", files={"photos": photo(0, 0)}).status_code == 200


def test_a_row_at_work_is_done_before_a_cancelled_job_ends(start: Start, photo: Photo) -> None:
    service = start(streams=1)
    client = service.client
    with Blocked(service.house.station.encoder) as blocked:
        job = sent(client, zipped({f"{n}.jpg": photo(n, 0) for n in range(4)})).json()["id"]
        blocked.wait_for_one()
        for _ in range(2):
            told = client.post(f"/v1/jobs/{job}/cancel").json()
            assert told["state"] == "running"
            assert told["rows"] == {"total": 4, "waiting": 1, "done": 0, "refused": 0, "cancelled": 3}
        with client.stream("GET", f"/v1/jobs/{job}/events") as events:
            blocked.release()
            last = [line for line in events.iter_lines() if line.startswith("data:")][-1]
    assert client.get(f"/v1/jobs/{job}").json() == json.loads(last.removeprefix("data:"))
    assert json.loads(last.removeprefix("data:"))["state"] == "cancelled"
    assert json.loads(last.removeprefix("data:"))["rows"]["done"] == 1
    assert client.get("/v1/stats").json()["identifications"] == 1
    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"


def test_head_of_a_job_that_runs_is_answered_at_once(start: Start, photo: Photo) -> None:
    service = start(streams=1)
    with Blocked(service.house.station.encoder) as blocked, httpx.Client(base_url=service.url, timeout=5) as client:
        job = sent(client, zipped({"a.jpg": photo(0, 0)})).json()["id"]
        blocked.wait_for_one()
        head = client.head(f"/v1/jobs/{job}/events")
        assert head.headers["content-type"].startswith("text/event-stream")
        assert client.get(f"/v1/jobs/{job}").json()["state"] == "running"  # on the same connection
        assert service.server.app.state.listeners == 0
        assert client.head("/v1/jobs/99/events").status_code == 404


def test_a_row_that_fails_for_the_moment_is_tried_again(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As while a database or an index starts again: twice nothing is found, and then it is."""
    service = start()
    find, failures = service.house.station.index.search, [VectorIndexError("not there"), CatalogueUnavailable("not there")]

    def flickering(*asked: Any, **more: Any) -> Any:
        if failures:
            raise failures.pop()
        return find(*asked, **more)

    enrolled = sent(service.client, zipped({"A/a.jpg": photo(1, 0)}), kind="enrol").json()["id"]
    assert ended(service.client, enrolled)["rows"]["done"] == 1
    monkeypatch.setattr(jobs, "PAUSES_S", (0.1, 0.1, 0.1))
    monkeypatch.setattr(service.house.station.index, "search", flickering)
    told = ended(service.client, sent(service.client, zipped({"a.jpg": photo(1, 0)})).json()["id"])
    assert (told["state"], told["rows"]["done"], failures) == ("done", 1, [])
    assert caplog.text.count("tried again") == 2


def test_a_row_that_goes_on_failing_is_refused_and_the_next_one_goes_on(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    encode = service.house.station.encoder.encode

    def failing(data: bytes, box: Box | None = None) -> Encoded:
        if data == photo(1, 0):
            raise EncoderError("no vector came of it")
        return encode(data, box)

    monkeypatch.setattr(jobs, "PAUSES_S", (0.1,))
    monkeypatch.setattr(service.house.station.encoder, "encode", failing)
    told = ended(service.client, sent(service.client, zipped({"a.jpg": photo(1, 0), "b.jpg": photo(2, 0)})).json()["id"])
    assert (told["state"], told["rows"]["done"], told["rows"]["refused"]) == ("done", 1, 1)
    (row, _) = service.client.get("/v1/jobs/1/result").json()["rows"]
    assert row["reason"] == "The service failed; its log says why."


def test_what_is_kept_but_not_indexed_says_so_in_its_row(start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start()

    def failing(*_: Any, **__: Any) -> None:
        raise VectorIndexError("not there")

    monkeypatch.setattr(service.house.station.index, "upsert", failing)
    told = ended(service.client, sent(service.client, zipped({"A/a.jpg": photo(1, 0)}), kind="enrol").json()["id"])
    assert (told["state"], told["rows"]["refused"]) == ("done", 1)
    (row,) = service.client.get("/v1/jobs/1/result").json()["rows"]
    assert "start" in row["reason"]
    assert service.client.get("/v1/stats").json()["sightings"] == 1


def test_a_catalogue_that_does_not_answer_delays_the_worker_and_does_not_end_it(
    start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    look, failures = service.house.desk.open_jobs, [CatalogueUnavailable("not there")] * 2

    def flickering() -> Any:
        if failures:
            raise failures.pop()
        return look()

    monkeypatch.setattr(jobs, "PAUSES_S", (0.1,))
    monkeypatch.setattr(service.house.desk, "open_jobs", flickering)
    told = ended(service.client, sent(service.client, zipped({"a.jpg": photo(1, 0)})).json()["id"])
    assert (told["state"], failures) == ("done", [])


def test_the_first_enrolments_of_a_catalogue_may_come_at_once(start: Start, photo: Photo) -> None:
    service = start()

    def enrol(number: int) -> int:
        files = {"photos": (f"{number}.jpg", photo(number, 0))}
        return httpx.post(
            f"{service.url}/v1/individuals", data={"name": f"W{number}", "force": "true"}, files=files
        ).status_code

    drawn = [photo(number, 0) for number in range(4)]
    assert len(drawn) == 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(enrol, range(4))) == [201] * 4
