"""Long bodies that come past the parser: as they were sent, whatever comes before, after or never, on both event loops."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from service import straight
from service.connection import Patient

LONG = straight.LONG


@dataclass
class Listening:
    """An application that answers with the length and the digest of what it got."""

    port: int = 0
    pieces: list[list[object]] = field(default_factory=list)  # of each request's body, in their order
    left: list[str] = field(default_factory=list)  # paths of those whose client left before the end
    reads: threading.Event = field(default_factory=threading.Event)  # unset: it waits before it reads on

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        pieces: list[object] = []
        self.pieces.append(pieces)
        more = scope["path"] != "/refused"
        while more:
            while not self.reads.is_set():
                await asyncio.sleep(0.01)
            message = await receive()
            if message["type"] != "http.request":
                self.left.append(scope["path"])
                return
            pieces.append(message["body"])
            more = message["more_body"]
        body = b"".join(pieces)  # type: ignore[arg-type]
        said = f"{len(body)} {hashlib.sha256(body).hexdigest()}\n".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]})
        await send({"type": "http.response.body", "body": said, "more_body": False})


@contextmanager
def listening(loop: str) -> Iterator[Listening]:
    app = Listening()
    app.reads.set()
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Patient, loop=loop, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    app.port = server.servers[0].sockets[0].getsockname()[1]
    yield app
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def shared(request: pytest.FixtureRequest) -> Iterator[Listening]:
    pytest.importorskip(request.param)  # uvloop is not for every system
    with listening(request.param) as app:
        yield app


@pytest.fixture
def app(shared: Listening) -> Listening:
    shared.pieces.clear()
    shared.left.clear()
    return shared


@contextmanager
def connected(app: Listening) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", app.port), 20) as client:
        yield client


def head(length: int, path: str = "/", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def said_of(body: bytes) -> str:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def answers(client: socket.socket, count: int) -> list[str]:
    """Of so many answers the line that the application wrote."""
    with client.makefile("rb") as lines:
        found = []
        for _ in range(count):
            assert lines.readline() == b"HTTP/1.1 200 OK\r\n"
            while lines.readline() != b"\r\n":
                pass
            found.append(lines.readline().decode().strip())
        return found


@pytest.mark.parametrize("seed", range(12))
def test_bodies_come_as_they_were_sent_in_whatever_pieces_and_what_follows_is_answered(app: Listening, seed: int) -> None:
    drawn = random.Random(seed)
    lengths = [drawn.choice([0, 1, LONG - 1, LONG, LONG + 1, drawn.randrange(4_000_000)]) for _ in range(drawn.randrange(1, 7))]
    bodies = [drawn.randbytes(length) for length in lengths]
    sent = b"".join(head(len(body)) + body for body in bodies)
    with connected(app) as client:

        def send() -> None:
            at = 0
            while at < len(sent):
                until = at + drawn.choice([1, 100, 65_536, 300_000, len(sent)])
                client.sendall(sent[at:until])
                at = until
                if drawn.random() < 0.3:
                    time.sleep(0.002)

        sender = threading.Thread(target=send)  # an answer may have to be read before the rest is taken
        sender.start()
        assert answers(client, len(bodies)) == [said_of(body) for body in bodies]
        sender.join()


def test_a_long_body_comes_in_few_pieces_past_the_parser(app: Listening) -> None:
    body = random.Random(0).randbytes(6_000_000)
    with connected(app) as client:
        for _ in range(2):  # and the connection is good for another
            client.sendall(head(len(body)))
            client.sendall(body)
            assert answers(client, 1) == [said_of(body)]
    assert [sum(isinstance(piece, memoryview) for piece in pieces) > 0 for pieces in app.pieces] == [True, True]
    assert max(len(pieces) for pieces in app.pieces) < 15


def test_a_short_body_is_the_parsers(app: Listening) -> None:
    with connected(app) as client:
        client.sendall(head(LONG - 1) + b"x" * (LONG - 1))
        assert answers(client, 1) == [said_of(b"x" * (LONG - 1))]
    assert all(isinstance(piece, bytes) for piece in app.pieces[0])


def test_a_body_in_chunks_is_the_parsers(app: Listening) -> None:
    part = b"y" * LONG
    with connected(app) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall((b"%x\r\n%s\r\n" % (LONG, part)) * 3 + b"0\r\n\r\n")
        assert answers(client, 1) == [said_of(part * 3)]


def test_who_waits_to_be_asked_for_the_body_is_asked(app: Listening) -> None:
    body = b"z" * (3 * LONG)
    with connected(app) as client:
        client.sendall(head(len(body), more="Expect: 100-continue\r\n"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert answers(client, 1) == [said_of(body)]


@pytest.mark.parametrize("read", [0, 5 * LONG])
def test_what_comes_after_an_early_answer_is_nobodys_and_the_next_is_answered(app: Listening, read: int) -> None:
    with connected(app) as client:
        client.sendall(head(20 * LONG, "/refused") + b"a" * read)
        assert answers(client, 1) == [said_of(b"")]
        client.sendall(b"a" * (20 * LONG - read) + head(3) + b"abc")
        assert answers(client, 1) == [said_of(b"abc")]


def test_an_answer_in_the_midst_of_a_body_leaves_the_connection_good(app: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a body is found to be too large while it comes."""
    seen = []

    async def enough(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        message = await receive()
        while not isinstance(message.get("body"), memoryview):
            message = await receive()
        seen.append(message)
        await Listening.__call__(app, scope | {"path": "/refused"}, receive, send)  # type: ignore[arg-type, operator]

    plain = straight.straight
    monkeypatch.setattr("service.connection.straight", lambda given, *rest: plain(enough if not seen else given, *rest))
    with connected(app) as client:
        sender = threading.Thread(target=client.sendall, args=(head(40 * LONG) + b"b" * (40 * LONG) + head(3) + b"abc",))
        sender.start()
        assert answers(client, 2) == [said_of(b""), said_of(b"abc")]
        sender.join()
    assert len(seen) == 1


def test_a_client_who_leaves_in_the_midst_is_known_to_have_left(app: Listening) -> None:
    for at in (LONG // 2, 2 * LONG, 5 * LONG):
        with connected(app) as client:
            client.sendall(head(9 * LONG, f"/{at}") + b"c" * at)
            time.sleep(0.1)
        until = time.monotonic() + 10
        while f"/{at}" not in app.left and time.monotonic() < until:
            time.sleep(0.01)
    assert app.left == [f"/{at}" for at in (LONG // 2, 2 * LONG, 5 * LONG)]


def test_nothing_is_read_ahead_of_who_does_not_take_it(app: Listening) -> None:
    """Or one that is slow to work would hold whatever its client sends."""
    with connected(app) as client:
        client.sendall(head(400 * LONG) + b"d" * (2 * LONG))
        until = time.monotonic() + 10
        while sum(len(piece) for pieces in app.pieces for piece in pieces) < LONG and time.monotonic() < until:  # type: ignore[arg-type]
            time.sleep(0.01)
        app.reads.clear()
        client.settimeout(1)
        sent = 2 * LONG
        with suppress(TimeoutError):
            while sent < 400 * LONG:
                sent += client.send(b"d" * min(LONG, 400 * LONG - sent))
        app.reads.set()
        assert sent < 100 * LONG  # what the system's own buffers hold
        client.settimeout(20)
        client.sendall(b"d" * (400 * LONG - sent))
        assert answers(client, 1) == [said_of(b"d" * (400 * LONG))]


def test_a_slow_body_does_not_seem_silent(app: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straight, "TOLD_S", 0.1)
    body = b"e" * (2 * LONG)
    with connected(app) as client:
        client.sendall(head(len(body)) + body[: LONG // 2])
        time.sleep(0.2)
        for at in range(8):
            client.sendall(body[LONG // 2 + at : LONG // 2 + at + 1])
            time.sleep(0.15)
        straights = [piece for piece in app.pieces[0] if isinstance(piece, memoryview)]
        assert len(straights) >= 4
        assert sum(map(len, straights)) >= 4
        client.sendall(body[LONG // 2 + 8 :])
        assert answers(client, 1) == [said_of(body)]
