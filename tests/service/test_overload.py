"""Who is slow, leaves half-way or comes in hundreds does not keep the service from others."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from encoder_block import Blocked
from serving import Photo, Service, Start

from service.border import Border
from service.errors import Busy
from service.gate import ARRIVES_WITHIN_S, LONGEST_WAIT_S, Lane


@contextmanager
def half_sent(url: str, count: int, photo: bytes) -> Iterator[list[socket.socket]]:
    """So many connections whose bodies stop after their first half."""
    parts = urlsplit(url)
    head = f"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((parts.hostname, parts.port or 80), 10)) for _ in range(count)]
        for client in clients:
            client.sendall(head.encode() + photo[: len(photo) // 2])
        yield clients


def refused(client: socket.socket) -> bool:
    """Whether it has been, by now."""
    client.settimeout(0.1)
    try:
        assert client.recv(12) == b"HTTP/1.1 429"
    except TimeoutError:
        return False
    return True


def until_empty(service: Service) -> None:
    until = time.monotonic() + 10
    while service.house.gate.encode.inside and time.monotonic() < until:
        time.sleep(0.01)
    assert service.house.gate.encode.inside == 0


def test_slow_clients_give_their_places_up_and_others_are_answered(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=1)
    with half_sent(service.url, 30, photo(1, 0)) as clients:
        time.sleep(ARRIVES_WITHIN_S + 0.3)
        assert service.house.gate.encode.inside == 0
        assert service.client.post("/v1/identify", content=photo(1, 1)).status_code == 200
        taken = [client for client in clients if not refused(client)]
        assert 2 <= len(taken) < 30  # two at a time; whoever came then was refused
        for client in taken:
            client.settimeout(30)
            client.sendall(photo(1, 0)[len(photo(1, 0)) // 2 :])
            assert client.recv(12) == b"HTTP/1.1 200"


def test_a_body_that_came_late_goes_before_whoever_comes_anew(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=0)
    with Blocked(service.house.station.encoder) as blocked, half_sent(service.url, 1, photo(1, 0)) as (one,):
        time.sleep(ARRIVES_WITHIN_S + 0.3)
        with ThreadPoolExecutor(1) as pool, half_sent(service.url, 1, photo(1, 0)) as (other,):
            time.sleep(ARRIVES_WITHIN_S + 0.3)
            first = pool.submit(httpx.post, f"{service.url}/v1/identify", content=photo(1, 1), timeout=60)
            blocked.wait_for_one()
            for late in (one, other):
                late.sendall(photo(1, 0)[len(photo(1, 0)) // 2 :])
            time.sleep(0.3)
            assert service.client.post("/v1/identify", content=photo(1, 2)).status_code == 429
            blocked.release()
            assert first.result().status_code == 200
            assert [late.recv(12) for late in (one, other)] == [b"HTTP/1.1 200"] * 2


def test_connections_that_drop_half_way_leave_no_place_taken(start: Start, photo: Photo) -> None:
    service = start(streams=1, queue=1)
    for _ in range(20):
        with half_sent(service.url, 2, photo(1, 0)):
            pass
    until, said = time.monotonic() + 10, 429
    while said == 429 and time.monotonic() < until:  # the last of them may still be on their way out
        said = service.client.post("/v1/identify", content=photo(1, 1)).status_code
    assert said == 200
    until_empty(service)


def test_bodies_that_are_held_at_once_are_bounded(start: Start) -> None:
    service = start(max_request_bytes=100_000, streams=8, queue=30)
    parts = urlsplit(service.url)
    head = b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 99000\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((parts.hostname, parts.port or 80), 10)) for _ in range(10)]
        for client in clients:
            client.sendall(head + bytes(90_000))
            time.sleep(0.05)
        told = [refused(client) for client in clients]
        assert sum(told) == 6
        assert not told[-1], "whoever held most paid, and not who came last"
    until_empty(service)


def test_a_connection_in_use_is_not_closed_for_its_age(start: Start) -> None:
    service = start(header_timeout_s=1)
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as client:
        for _ in range(25):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            while not said.endswith(b"}"):
                said += client.recv(4000) or b"closed}"
            assert said.startswith(b"HTTP/1.1 200")
            time.sleep(0.1)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: lo")
        began = time.monotonic()
        assert client.recv(100) == b""
        assert time.monotonic() - began < 5


def test_those_who_are_refused_are_told_to_come_one_after_the_other() -> None:
    async def refused() -> list[int]:
        lane, free = Lane("t", 1, 0), threading.Event()
        try:
            await lane.run(lambda: time.sleep(0.5))  # so long takes each
            busy = lane.begin(free.wait).answer
            told = []
            for _ in range(100):
                with pytest.raises(Busy) as said:
                    lane.refuse_if_full()
                told.append(said.value.more["retry_after_s"])
            free.set()
            await busy
            return told
        finally:
            free.set()
            lane.close()

    told = asyncio.run(refused())
    assert 1 <= told[0] <= 4  # half a second for the one inside, then one for each: twice what it takes
    assert 9 <= told[9] - told[0] <= 16
    assert told[-1] == LONGEST_WAIT_S
    assert told == sorted(told)


def test_a_queue_that_stands_is_cut_and_a_free_thread_makes_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gate.STANDS_AFTER_S", 0.1)
    lane = Lane("t", 2, 6, 2)  # two at work, six in a burst, two where the queue stands

    def fill() -> int:
        while not lane.is_full:
            lane.enter()
        return lane.inside

    def leave(left: int) -> None:
        while lane.inside > left:
            lane.leave()

    async def counted() -> list[int]:
        burst = fill()
        time.sleep(0.2)
        leave(3)
        standing = fill()
        leave(2)  # nobody waits, but both are at work
        still = fill()
        leave(1)
        return [burst, standing, still, fill()]

    try:
        assert asyncio.run(counted()) == [8, 4, 4, 8]
    finally:
        lane.close()


def test_in_a_flood_one_waits_and_where_few_are_refused_as_many_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gate.STANDS_AFTER_S", 0.05)
    lane = Lane("t", 2, 6, 2)

    def refused() -> bool:
        try:
            lane.refuse_if_full()
        except Busy:
            return True
        return False

    def inside_after(asking: int) -> int:
        """Two at work end, again and again, and so many ask each time, one of them between the two."""
        for _ in range(50):
            time.sleep(0.002)
            for asks in (1, asking - 1):
                if lane.inside:
                    lane.leave()
                for _ in range(asks):
                    if not refused():
                        lane.enter()
        return lane.inside

    async def counted() -> list[int]:
        many = inside_after(20)
        lane.leave()
        lane.leave()  # both threads are free for a moment
        still = inside_after(20)
        few = inside_after(4)
        while lane.inside:
            lane.leave()
        burst = 0
        while not refused():
            lane.enter()
            burst += 1
        return [many, still, few, burst]

    try:
        assert asyncio.run(counted()) == [3, 3, 4, 8]
    finally:
        lane.close()


def test_idle_connections_keep_nobody_away(start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.connection.Patient.crowd", 20)
    service = start()
    parts = urlsplit(service.url)
    with half_sent(service.url, 1, photo(1, 0)) as (sending,), ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection((parts.hostname, parts.port or 80), 10)) for _ in range(60)]
        said = httpx.get(f"{service.url}/healthz")
        assert (said.status_code, said.headers["x-content-type-options"]) == (200, "nosniff")
        assert idle[0].recv(1) == b""  # the oldest was shown out
        idle[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle[-1].recv(12) == b"HTTP/1.1 200"
        sending.settimeout(30)
        sending.sendall(photo(1, 0)[len(photo(1, 0)) // 2 :])
        assert sending.recv(12) == b"HTTP/1.1 200"


def test_a_jobs_row_waits_behind_whoever_asks_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gate.PATIENCE_S", 0.5)

    async def times() -> tuple[float, float]:
        """Until a row was begun: while one of two places stays taken, and when nobody is there."""
        lane = Lane("t", 1, 1)
        try:
            lane.enter()
            began = time.monotonic()
            crowded = await lane.run_patiently(time.monotonic) - began
            lane.leave()
            began = time.monotonic()
            return crowded, await lane.run_patiently(time.monotonic) - began
        finally:
            lane.close()

    crowded, alone = asyncio.run(times())
    assert 0.5 <= crowded < 2
    assert alone < 0.3


def test_a_jobs_row_is_never_refused_a_place_not_even_in_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three inside are fewer than half of all places, and all that the cut queue has."""
    monkeypatch.setattr("service.gate.STANDS_AFTER_S", 1.0)

    async def seen() -> tuple[bool, bool]:
        lane = Lane("t", 2, 6, 2)
        try:
            for _ in range(8):
                lane.enter()
            await asyncio.sleep(1.1)
            for _ in range(100):
                with pytest.raises(Busy):
                    lane.refuse_if_full()
            lane.enter()  # for whom so many were refused
            for _ in range(6):
                lane.leave()
            return lane.is_full, await asyncio.wait_for(lane.run_patiently(lambda: True), 5)
        finally:
            lane.close()

    assert asyncio.run(seen()) == (True, True)


def test_who_reads_nothing_keeps_nobody_away_and_is_shown_out(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.connection.Patient.crowd", 20)
    service = start(header_timeout_s=1)
    parts = urlsplit(service.url)
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
    with ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((parts.hostname, parts.port or 80))
            client.sendall(ask)
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        until = time.monotonic() + 30
        while len(service.server.server_state.connections) > 2 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(service.server.server_state.connections) <= 2  # and not when the clients leave


def test_a_few_bodies_that_hold_nearly_everything_keep_nobody_out_and_give_it_up_when_they_go_silent(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.border.Border.silence_s", 5.0)
    service = start(max_request_bytes=100_000, streams=8, queue=30)
    parts = urlsplit(service.url)
    head = b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((parts.hostname, parts.port or 80), 10)) for _ in range(4)]
        for client in clients:
            client.sendall(head + bytes(99_998))
        time.sleep(0.3)
        assert service.client.post("/v1/identify", content=bytes(1000)).status_code == 415  # read, and no photo
        assert sum(refused(client) for client in clients) == 1
        until = time.monotonic() + 15
        while (held := [one._held for one in chain_of(service.server.app) if isinstance(one, Border)]) != [0]:
            assert time.monotonic() < until, held
            time.sleep(0.1)


def test_bodies_that_are_cut_off_leave_the_bound_as_it_was(start: Start) -> None:
    service = start(max_request_bytes=100_000)
    for _ in range(5):
        httpx.post(f"{service.url}/v1/identify", content=iter([bytes(60_000)] * 5), timeout=10)
    held = [one._held for one in chain_of(service.server.app) if isinstance(one, Border)]
    assert held == [0]


def chain_of(app: Any) -> Iterator[Any]:
    """The layers of a running application, from the outside."""
    layer = app.middleware_stack
    while layer is not None:
        yield layer
        layer = next((getattr(layer, name) for name in ("app", "_app") if hasattr(layer, name)), None)
