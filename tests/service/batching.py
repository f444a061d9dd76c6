"""Batches as a client sends them and waits for them."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import httpx


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time: the same files are the same bytes
    return out.getvalue()


def sent(client: httpx.Client, archive: bytes, **said: Any) -> httpx.Response:
    headers = said.pop("headers", {})
    return client.post("/v1/batches", files={"archive": ("a.zip", archive)}, data=said, headers=headers)


def ended(client: httpx.Client, job: int, *, within_s: float = 60) -> dict[str, Any]:
    for _ in range(int(within_s * 10)):
        told: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
        if told["state"] in ("done", "cancelled", "failed"):
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def until(holds: Callable[[], bool], within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()
