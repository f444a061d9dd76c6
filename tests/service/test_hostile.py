"""Uploads that mean harm: each is refused with a 4xx, within its time and memory, and the service goes on serving."""

from __future__ import annotations

import io
import socket
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image
from serving import Photo, drawn, process

WITHIN_S = 15.0
MEGABYTES = 900  # of the service's process, whose model and libraries take some 300


@dataclass
class Attacked:
    url: str
    process: psutil.Process


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    limits = {"MAX_PHOTO_PIXELS": 40_000_000, "MAX_REQUEST_BYTES": 20_000_000, "MAX_PHOTOS": 5, "BODY_TIMEOUT_S": 3}
    limits |= {
        "HEADER_TIMEOUT_S": 2,
        "MAX_ARCHIVE_ENTRIES": 50,
        "MAX_UNPACKED_BYTES": 30_000_000,
        "MAX_ARCHIVE_BYTES": 20_000_000,
    }
    with process(tmp_path_factory.mktemp("attacked") / "data", **limits) as (child, url):
        yield Attacked(url, psutil.Process(child.pid))


@pytest.fixture(autouse=True)
def still_serving(attacked: Attacked) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < WITHIN_S
    assert peak_megabytes(attacked.process) < MEGABYTES
    assert httpx.get(f"{attacked.url}/readyz", timeout=5).json()["ready"]


def peak_megabytes(process: psutil.Process) -> float:
    """The most that it ever held."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:  # a system that does not say: what it holds now
        return process.memory_info().rss / 1_000_000
    return next(int(line.split()[1]) * 1024 / 1_000_000 for line in lines if line.startswith("VmHWM:"))


def png(width: int, height: int, *, data: bytes = b"", colour: int = 2) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def saved(kind: str, pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


NOISE = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
JPEG = drawn(1, 0)
TIFF = saved("TIFF", NOISE)
PHOTOS: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\xff",
    "SVG named .jpg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "HTML named .jpg": b"<!doctype html><script>alert(1)</script>",
    "HTML before a JPEG": b"<html>" + JPEG,
    "PDF": b"%PDF-1.7\n" + JPEG,
    "GIF": b"GIF89a" + bytes(100),
    "program": b"MZ" + bytes(1000),
    "ELF": b"\x7fELF" + bytes(1000),
    "ZIP named .jpg": b"PK\x03\x04" + bytes(100),
    "MP4": b"\0\0\0\x20ftypisom" + bytes(100),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(100),
    "icon": b"\0\0\1\0\1\0" + bytes(100),
    "XML bomb": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><l>&b;</l>',
    "text": b"just text " * 100,
    "zeros": bytes(1_000_000),
    "noise": np.random.default_rng(2).bytes(1_000_000),
    "JPEG cut in half": JPEG[: len(JPEG) // 2],
    "JPEG of a header": JPEG[:300],
    "JPEG that says 65535 x 65535": b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\1\3\x11\1" + bytes(100),
    "EXIF flood": b"\xff\xd8" + (b"\xff\xe1\xff\xff" + b"Exif\0\0" + bytes(65_527)) * 100 + JPEG[2:200],
    "segment flood": b"\xff\xd8" + b"\xff\xe1\0\2" * 200_000,
    "PNG bomb by its header": png(50_000, 50_000),
    "PNG of 2^31 pixels": png(2**31 - 1, 1),
    "PNG of no pixels": png(0, 10),
    "PNG that unpacks to more than it says": png(40, 40, data=bytes(60_000_000)),
    "PNG cut off": saved("PNG", NOISE)[:-2000],
    "PNG with a palette that is not there": png(200, 200, data=bytes(201 * 200), colour=3),
    "TIFF cut off": TIFF[: len(TIFF) // 2],
    "TIFF whose directory leads to itself": b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(100),
    "TIFF of huge strips": b"II*\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\xff\xff\0\0\1\1\3\0\1\0\0\0\xff\xff\0\0\0\0\0\0",
    "BMP of negative size": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, -5, -2**31, 1, 24, 0) + bytes(100),
    "WebP cut off": saved("WEBP", NOISE)[:200],
    "RIFF that is no WebP": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
    "flat grey": saved("PNG", np.full((300, 300, 3), 128, np.uint8)),
    "one pixel": saved("PNG", NOISE[:1, :1]),
    "gzip": zlib.compress(JPEG, wbits=31),
}  # fmt: skip


@pytest.mark.parametrize("name", PHOTOS)
def test_a_hostile_photo_is_refused(attacked: Attacked, name: str) -> None:
    said = httpx.post(
        f"{attacked.url}/v1/identify", files={"photos": ("fluke.jpg", PHOTOS[name], "image/jpeg")}, timeout=WITHIN_S
    )
    assert 400 <= said.status_code < 500, said.text
    assert said.headers["content-type"] == "application/problem+json"
    assert said.headers["x-content-type-options"] == "nosniff"


def archive(build: Callable[[zipfile.ZipFile], object]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        build(made)
    return out.getvalue()


def named(name: str) -> bytes:
    return archive(lambda made: made.writestr(zipfile.ZipInfo(name), JPEG))


def link(made: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("photo.jpg")
    info.external_attr = 0o120777 << 16
    made.writestr(info, "/etc/passwd")


def overlapping() -> bytes:
    """Two entries of the directory that lead to the same bytes."""
    whole = archive(lambda made: [made.writestr(name, JPEG) for name in ("a.jpg", "b.jpg")])
    at = whole.rfind(b"PK\x01\x02")
    return whole[: at + 42] + struct.pack("<L", 0) + whole[at + 46 :]


def of_two_ends() -> bytes:
    """Its ordinary end says one file, its long one as many as come before it, which is what zipfile reads."""
    entry = PLAIN[DIRECTORY : PLAIN.rfind(b"PK\x05\x06")]
    start, entries = PLAIN[:DIRECTORY], entry * 50_000
    size, at = len(entries), len(start)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 50_000, 50_000, size, at)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at + size, 1)
    return start + entries + record + locator + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), at, 0)


def twice(made: zipfile.ZipFile) -> None:
    made.writestr("Kelp/a.jpg", drawn(1, 0))
    with pytest.warns(UserWarning, match="Duplicate name"):
        made.writestr("Kelp/a.jpg", drawn(1, 1))


PLAIN = named("a.jpg")
DIRECTORY = PLAIN.rfind(b"PK\x01\x02")
ARCHIVES: dict[str, bytes] = {
    "no archive": JPEG,
    "empty": archive(lambda _: None),
    "nothing but a folder": archive(lambda made: made.writestr("folder/", "")),
    "slip": named("../../etc/cron.d/x.jpg"),
    "absolute": named("/etc/x.jpg"),
    "backslashes": named("..\\..\\x.jpg"),
    "drive": named("C:x.jpg"),
    "control character": named("a\x1b[2J.jpg"),
    "longest name": named("a" * 5000 + ".jpg"),
    "link": archive(link),
    "encrypted": PLAIN[: DIRECTORY + 8] + b"\1\0" + PLAIN[DIRECTORY + 10 :],
    "swelling": archive(lambda made: made.writestr("a.jpg", bytes(20_000_000))),
    "too much inside": archive(
        lambda made: [made.writestr(f"{n}.jpg", np.random.default_rng(0).bytes(500_000) * 14) for n in range(5)]
    ),
    "within another": archive(lambda made: made.writestr("more.zip", PLAIN)),
    "too many": archive(lambda made: [made.writestr(f"{n}.jpg", b"x") for n in range(200)]),
    "overlapping": overlapping(),
    "cut off": PLAIN[:-30],
    "lying about its directory": PLAIN[:-10] + struct.pack("<LL", 2**32 - 1, 0) + b"\0\0",
    "of two ends that differ": of_two_ends(),
    "one path twice": archive(twice),
    "packed otherwise": PLAIN[: DIRECTORY + 10] + b"\x0c\0" + PLAIN[DIRECTORY + 12 :],
}


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize(("path", "field"), [("/v1/batches", "archive"), ("/v1/predict-batch", "archive")])
def test_a_hostile_archive_is_refused(attacked: Attacked, name: str, path: str, field: str) -> None:
    said = httpx.post(f"{attacked.url}{path}", files={field: ("a.zip", ARCHIVES[name])}, timeout=WITHIN_S)
    assert 400 <= said.status_code < 500, (name, said.text)
    assert said.headers["content-type"] == "application/problem+json"


def test_an_archive_that_unpacks_to_more_than_one_answer_holds_is_refused(attacked: Attacked) -> None:
    block = np.random.default_rng(0).bytes(30_000)  # within what deflate looks back on, and not so small that it swells too far
    swollen = archive(lambda made: [made.writestr(f"{n}.jpg", block * 200) for n in range(4)])
    said = httpx.post(f"{attacked.url}/v1/predict-batch", files={"archive": ("a.zip", swollen)}, timeout=WITHIN_S)
    assert said.status_code == 422
    assert "/v1/batches" in said.json()["detail"]


MULTIPART = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a"\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="top"\r\n\r\n'
FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"x"),
    "broken": (MULTIPART, b"--b\r\nContent-Disposition: nonsense\r\n\r\n"),
    "never closed": (MULTIPART, FILE),
    "too many photos": (MULTIPART, (FILE + b"x\r\n") * 30 + b"--b--"),
    "too many fields": (MULTIPART, (FIELD + b"x\r\n") * 5000 + b"--b--"),
    "a field of megabytes": (MULTIPART, FIELD + b"9" * 3_000_000 + b"\r\n--b--"),
    "an urlencoded form": ("application/x-www-form-urlencoded", b"photos=x"),
    "a header without end": (MULTIPART, b"--b\r\nX: " + b"y" * 1_000_000),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_hostile_form_is_refused(attacked: Attacked, name: str) -> None:
    kind, body = FORMS[name]
    said = httpx.post(f"{attacked.url}/v1/identify", content=body, headers={"Content-Type": kind}, timeout=WITHIN_S)
    assert 400 <= said.status_code < 500, said.text


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/v1/identify", "multipart/form-data; boundary=-", b"x" + b"-" * 15_000_000),
        ("/v1/identify", "multipart/form-data; boundary=-", FILE.replace(b"--b", b"---") + b"\r\n---~" * 2_500_000),
        ("/v1/feedback", "application/json", b'{"identification_id": 1, "x": [' + b"[]," * 5_000_000 + b"[]]}"),
        ("/v1/similar", "application/json", b'{"x": [' + b"[]," * 5_000_000 + b"[]]}"),
    ],
)  # fmt: skip
def test_a_body_that_takes_long_to_read_is_refused_before_it_does(
    attacked: Attacked, path: str, kind: str, body: bytes
) -> None:
    began = time.monotonic()
    said = httpx.post(f"{attacked.url}{path}", content=body, headers={"Content-Type": kind}, timeout=WITHIN_S)
    assert said.status_code in (413, 422), said.text
    assert time.monotonic() - began < 2  # each took 3 s or more, and everybody else waited


def test_a_body_that_says_it_is_too_large_is_refused_unread(attacked: Attacked) -> None:
    answer = raw(attacked, b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_endless_chunked_body_is_cut_off(attacked: Attacked) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(100_000)

    try:
        said = httpx.post(f"{attacked.url}/v1/identify", content=endless(), timeout=WITHIN_S)
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):  # shown out while it was still sending
        return
    assert said.status_code == 413


def test_a_slow_body_is_not_waited_for(attacked: Attacked) -> None:
    answer = raw(attacked, b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_slow_headers_are_not_waited_for(attacked: Attacked) -> None:
    assert raw(attacked, b"POST /v1/identify HTTP/1.1\r\nHost: loc") in (b"", b"HTTP/1.1 400 Bad Request\r\n")
    assert raw(attacked, b"") == b""


def test_clients_that_do_not_read_their_answers_hold_nobody_up(attacked: Attacked) -> None:
    parts = urlsplit(attacked.url)
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.create_connection((parts.hostname, parts.port or 80), timeout=WITHIN_S))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        began = time.monotonic()
        assert httpx.get(f"{attacked.url}/v1/stats", timeout=WITHIN_S).status_code == 200
        assert time.monotonic() - began < WITHIN_S


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/sightings/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/sightings/%2e%2e%2fetc/photo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_no_request_of_ours_is_refused(attacked: Attacked, sent: bytes) -> None:
    answer = raw(attacked, sent)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_a_header_without_end_is_cut_off(attacked: Attacked) -> None:
    parts = urlsplit(attacked.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=WITHIN_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        sent, cut = 0, False
        while not cut and sent < 100 * 65_536:
            try:
                sent += client.send(b"y" * 65_536)
                client.settimeout(0.05)
                cut = client.recv(12) in (b"", b"HTTP/1.1 400")
            except TimeoutError:
                continue
            except ConnectionError:
                cut = True
        assert cut
        assert sent < 30 * 65_536


def test_requests_that_come_by_the_hundred_before_the_first_is_answered_are_refused(attacked: Attacked) -> None:
    parts = urlsplit(attacked.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=WITHIN_S) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        said = b""
        with suppress(ConnectionError):
            while more := client.recv(65_536):
                said += more
    assert said.count(b"HTTP/1.1 200") < 1000
    assert b"HTTP/1.1 400" in said or not said


def test_there_are_enough_of_them() -> None:
    assert len(PHOTOS) + len(ARCHIVES) + len(FORMS) >= 60


def raw(attacked: Attacked, data: bytes) -> bytes:
    """What comes back until the service closes, or the first line of it."""
    parts = urlsplit(attacked.url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=WITHIN_S) as client:
        client.sendall(data)
        try:
            return client.recv(1000)
        except ConnectionResetError:
            return b""


def test_a_photo_is_still_answered(attacked: Attacked, photo: Photo) -> None:
    said = httpx.post(f"{attacked.url}/v1/identify", files={"photos": photo(1, 0)}, timeout=WITHIN_S)
    assert (said.status_code, said.json()["decision"]) == (200, "new")
