"""A fetch from a real server goes on where it broke off, and what arrived damaged is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from training.datasets import DATASETS, Dataset, Download, fetch
from training.errors import FetchRefused

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2


class Server(BaseHTTPRequestHandler):
    address = ""
    breaks_at: int | None = None
    ranges = True
    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.asked.append(given)
        start = int(given.removeprefix("bytes=").rstrip("-")) if given and self.ranges else 0
        if self.path != "/file":
            return self.send_error(404)
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if given and self.ranges else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.breaks_at])
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[type[Server]]:
    kind = type("Own", (Server,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        kind.address = f"http://127.0.0.1:{running.server_port}"
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield kind
        running.shutdown()
        thread.join()


def dataset(server: type[Server], path: str = "/file", sha256: str | None = None) -> Dataset:
    return replace(DATASETS["humpback-2019"], downloads=(Download(server.address + path, "a.zip", sha256),))


def test_fetch_gives_the_whole_file_and_asks_once(server: type[Server], tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    (file,) = fetch(dataset(server, sha256=hashlib.sha256(CONTENT).hexdigest()), tmp_path, tick=lambda *t: told.append(t))
    assert file.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    fetch(dataset(server), tmp_path)
    assert server.asked == [None]


def test_transfer_that_broke_off_goes_on_from_there(server: type[Server], tmp_path: Path) -> None:
    server.breaks_at = HALF
    with pytest.raises(FetchRefused, match="goes on from there"):
        fetch(dataset(server), tmp_path)
    server.breaks_at = None
    (file,) = fetch(dataset(server), tmp_path)
    assert file.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-"]


def test_server_that_cannot_go_on_in_the_middle_is_asked_for_all(server: type[Server], tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:HALF])
    server.ranges = False
    (file,) = fetch(dataset(server), tmp_path)
    assert file.read_bytes() == CONTENT


def test_part_that_was_whole_is_taken(server: type[Server], tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    (file,) = fetch(dataset(server), tmp_path)
    assert file.read_bytes() == CONTENT


def test_damaged_file_is_refused(server: type[Server], tmp_path: Path) -> None:
    with pytest.raises(FetchRefused, match="Delete it and fetch again"):
        fetch(dataset(server, sha256="0" * 64), tmp_path / "stated")
    (file,) = fetch(dataset(server), tmp_path)
    file.write_bytes(b"changed")
    with pytest.raises(FetchRefused, match="Delete it and fetch again"):
        fetch(dataset(server), tmp_path)


def test_missing_file_and_terms_to_accept_are_said(server: type[Server], tmp_path: Path) -> None:
    with pytest.raises(FetchRefused, match="answered 404"):
        fetch(dataset(server, "/gone"), tmp_path)
    with pytest.raises(FetchRefused, match="Accept the rules on its page"):
        fetch(DATASETS["happywhale"], tmp_path)


def test_every_dataset_names_its_terms_and_its_way() -> None:
    for known in DATASETS.values():
        assert known.licence
        assert known.how
        assert known.page.startswith("https://")
