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
    """Serves one file, and its versions by their tags."""

    address = ""
    content = CONTENT
    tag = '"one"'
    breaks_at: int | None = None
    ranges = True
    heeds_if_range = True
    chunked = False
    asked: list[str | None] = []  # noqa: RUF012
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.asked.append(given)
        self.close_connection = True
        stale = self.heeds_if_range and self.headers.get("If-Range") not in (None, self.tag)
        part = given is not None and self.ranges and not stale
        start = int(given.removeprefix("bytes=").rstrip("-")) if given and part else 0
        if self.path != "/file":
            return self.send_error(404)
        if start >= len(self.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if part else 200)
        if part:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.tag:
            self.send_header("ETag", self.tag)
        sent = self.content[start : self.breaks_at]
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\nfff\r\nshort")
        else:
            self.send_header("Content-Length", str(len(self.content) - start))
            self.end_headers()
            self.wfile.write(sent)
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
    digest = hashlib.sha256(CONTENT).hexdigest()
    (one,) = fetch(dataset(server, sha256=digest), tmp_path, tick=lambda *t: told.append(t))
    assert one.file.read_bytes() == CONTENT
    assert (one.sha256, one.against) == (digest, "stated")
    assert told[-1] == (len(CONTENT), len(CONTENT))
    fetch(dataset(server), tmp_path)
    assert server.asked == [None]


def test_what_nothing_was_held_against_is_not_called_checked(server: type[Server], tmp_path: Path) -> None:
    assert [one.against for one in fetch(dataset(server), tmp_path)] == [None]
    assert [one.against for one in fetch(dataset(server), tmp_path)] == ["kept"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "a.zip.sha256"]


def broken_off(server: type[Server], folder: Path) -> None:
    server.breaks_at = HALF
    with pytest.raises(FetchRefused, match="goes on from there"):
        fetch(dataset(server), folder)
    server.breaks_at = None
    assert (folder / "a.zip.part").stat().st_size == HALF


def test_transfer_that_broke_off_goes_on_from_there(server: type[Server], tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    (one,) = fetch(dataset(server), tmp_path)
    assert one.file.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-"]


def test_server_that_cannot_go_on_in_the_middle_is_asked_for_all(server: type[Server], tmp_path: Path) -> None:
    broken_off(server, tmp_path)
    server.ranges = False
    (one,) = fetch(dataset(server), tmp_path)
    assert one.file.read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False])
def test_a_part_is_never_mixed_with_a_newer_version(server: type[Server], tmp_path: Path, heeds: bool) -> None:
    broken_off(server, tmp_path)
    server.content, server.tag, server.heeds_if_range = CONTENT[::-1], '"two"', heeds
    (one,) = fetch(dataset(server), tmp_path)
    assert one.file.read_bytes() == CONTENT[::-1]


def test_a_part_of_no_known_version_begins_anew(server: type[Server], tmp_path: Path) -> None:
    server.tag = ""
    broken_off(server, tmp_path)
    (one,) = fetch(dataset(server), tmp_path)
    assert one.file.read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_part_that_was_whole_is_taken_and_one_that_is_longer_is_not(server: type[Server], tmp_path: Path) -> None:
    for name, more in (("whole", b""), ("longer", b"more")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.zip.part").write_bytes(CONTENT[::-1] + more)
        (tmp_path / name / "a.zip.part.version").write_text(server.tag)
    (whole,), (longer,) = (fetch(dataset(server), tmp_path / name) for name in ("whole", "longer"))
    assert whole.file.read_bytes() == CONTENT[::-1]  # not asked for again
    assert longer.file.read_bytes() == CONTENT


def test_broken_chunks_are_a_refusal_and_the_next_fetch_begins_well(server: type[Server], tmp_path: Path) -> None:
    server.chunked = True
    with pytest.raises(FetchRefused, match=r"broke off at .* bytes"):
        fetch(dataset(server), tmp_path)
    server.chunked = False
    (one,) = fetch(dataset(server), tmp_path)
    assert one.file.read_bytes() == CONTENT


def test_damaged_file_is_refused(server: type[Server], tmp_path: Path) -> None:
    with pytest.raises(FetchRefused, match="Delete it and fetch again"):
        fetch(dataset(server, sha256="0" * 64), tmp_path / "stated")
    (one,) = fetch(dataset(server), tmp_path)
    one.file.write_bytes(b"changed")
    with pytest.raises(FetchRefused, match=r"Delete it \(and a.zip.sha256, where a newer one"):
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
