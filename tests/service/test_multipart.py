"""A form is taken apart as the framework's own parser does it, and what is none is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from service.multipart import FormDamaged, read_parts

KIND = "multipart/form-data; boundary=bound"
NAMES = st.text("abcxyz é0_-", min_size=1, max_size=8)
DATA = st.lists(
    st.sampled_from([b"\r\n", b"--bound", b"--boun", b"\n", b"-", b"\xff\xd8", b"x", b"--", b"\r\n--bounds\r\n"])
).map(b"".join)
PARTS = st.lists(st.tuples(NAMES, NAMES, DATA) | st.tuples(NAMES, st.none(), NAMES.map(str.encode)), min_size=1, max_size=5)


def made(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    lines = b""
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        lines += f'--bound\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return lines + b"--bound--\r\n"


async def by_the_framework(body: bytes) -> list[tuple[str, str | None, bytes]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    form = await MultiPartParser(Headers({"Content-Type": KIND}), stream()).parse()
    found = [
        (name, part.filename, await part.read()) if isinstance(part, UploadFile) else (name, None, part.encode())
        for name, part in form.multi_items()
    ]
    await form.close()
    return found


@settings(max_examples=200)
@given(PARTS)
def test_parts_are_those_that_the_frameworks_parser_finds(parts: list[tuple[str, str | None, bytes]]) -> None:
    body = made([one for one in parts if b"\r\n--bound" not in b"\r\n" + one[2].replace(b"--bounds", b"")])
    ours = [(part.name, part.filename, part.data) for part in read_parts(KIND, body)]
    assert ours == asyncio.run(by_the_framework(body))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "last boundary"),
        (made([("photos", "a", b"x")])[:-10], "last boundary"),
        (b"--bound\r\nX: " + b"y" * 100_000, "head of a part"),
        (b"--bound\r\nContent-Disposition: form-data\r\n\r\nx\r\n--bound--", "no name"),
        (b"--boundx\r\n\r\n--bound-", "last boundary"),
        (made([("photos", "a", b"\r\n--boundary" * 1001)]), "choose another"),
    ],
)
def test_what_is_no_form_is_refused_with_its_reason(body: bytes, why: str) -> None:
    with pytest.raises(FormDamaged, match=why):
        list(read_parts(KIND, body))


def test_a_boundary_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(FormDamaged, match="boundary"):
        list(read_parts("multipart/form-data", b"x"))


def test_a_photo_that_holds_the_boundary_within_a_line_is_whole() -> None:
    photo = b"\xff\xd8 --bound --bound-- \n--bound\r\n--bounds\r\n"
    (part,) = read_parts(KIND, made([("photos", "a.jpg", photo)]))
    assert part.data == photo


def test_a_name_in_the_forbidden_spelling_is_read() -> None:
    head = b"Content-Disposition: form-data; name=\"photos\"; filename*=UTF-8''K%C3%A4lp%201.jpg"
    (part,) = read_parts(KIND, b"--bound\r\n" + head + b"\r\n\r\nx\r\n--bound--")
    assert (part.name, part.filename, part.data) == ("photos", "Kälp 1.jpg", b"x")
