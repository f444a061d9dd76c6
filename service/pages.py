"""The headers by which a browser lets a page of another site read our answers: all of them, refusals and failures too."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Pages(CORSMiddleware):
    """For the pages of these origins. To those of others `border.py` says no, in words of ours."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization", "X-API-Key", "Idempotency-Key", "Content-Type", "If-None-Match", "Last-Event-ID",
            ],
            expose_headers=["X-Request-Id", "Retry-After", "ETag"],
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is not None and self.is_allowed_origin(origin):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
