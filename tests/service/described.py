"""Whether an answer is one that the OpenAPI document tells of."""

from __future__ import annotations

import re
from typing import Any

import httpx

from service.app import make_app
from settings import read_settings

DOCUMENT: dict[str, Any] = make_app(read_settings({}, data_dir="unused")).openapi()
PATHS = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods) for path, methods in DOCUMENT["paths"].items()]
OF_NO_ROUTE = set(DOCUMENT["components"]["responses"])


def undescribed(answer: httpx.Response) -> str | None:
    """What the document does not list of it; None where all is well, or the answer is not of our service."""
    if "x-request-id" not in answer.headers or answer.request.url.path == "/openapi.json" or answer.request.method == "OPTIONS":
        return None
    kind = answer.headers.get("content-type", "").partition(";")[0]
    slug = answer.read() and answer.json()["type"].rpartition(":")[2] if kind == "application/problem+json" else None
    if answer.request.method == "HEAD" or slug in OF_NO_ROUTE:
        return None
    methods = next(methods for pattern, methods in PATHS if pattern.fullmatch(answer.request.url.path))
    listed = methods[answer.request.method.lower()]["responses"].get(str(answer.status_code), {})
    content = listed.get("content", {})
    told = f"{answer.request.method} {answer.request.url.path} gave {answer.status_code} {kind} {slug or ''}"
    if not listed or (kind and kind not in content) or (slug and slug not in content[kind].get("examples", {})):
        return f"{told}, which the document does not list for it."
    return None
