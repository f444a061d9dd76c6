"""multipart/form-data, made once for each photo: making it is not what is measured."""

from __future__ import annotations

from collections.abc import Mapping

BOUNDARY = "flukeprint-loadtest"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(fields: Mapping[str, str], files: list[tuple[str, str, bytes]]) -> bytes:
    """`files` are field, file name and bytes."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    for field, name, data in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
