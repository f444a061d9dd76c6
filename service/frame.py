"""What stands around every request: its id, its log line, its measures, and the headers of every answer.

Outermost, as plain ASGI: an answer that streams is not held back, and one that failed has its headers too.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.measures import Measures
from service.traces import Traces

log = logging.getLogger("flukeprint.requests")
REQUEST_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
NEVER_KEPT = (b"cache-control", b"no-store")


class Frame:
    def __init__(self, app: ASGIApp, measures: Measures, traces: Traces | None = None) -> None:
        self._app, self._measures, self._traces = app, measures, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else uuid4().hex
        # What answers GET answers HEAD, as probes ask; the server leaves the body out.
        asked = {**scope, "method": "GET", "flukeprint.head": True} if scope["method"] == "HEAD" else scope
        asked["flukeprint.request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = asked["flukeprint.status"] = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode()), *HEADERS]
                if not any(name == NEVER_KEPT[0] for name, _ in headers):
                    headers.append(NEVER_KEPT)
                message["headers"] = headers
            await send(message)

        try:
            with self._traces.request(asked, scope["method"]) if self._traces else nullcontext():
                await self._app(asked, receive, sending)
        except Exception:
            if not status:
                raise
            # Answered and logged already, by `problems.py`; the server would log it again and close the connection.
        finally:
            self._tell({**asked, "method": scope["method"]}, status, time.perf_counter() - began, request_id)

    def _tell(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", None)
        body_s = scope.get("flukeprint.body_s", 0.0)  # in which the client was waited for
        self._measures.tell_request(route, scope["method"], status, seconds - body_s, scope.get("flukeprint.problem"))
        more: dict[str, Any] = {"request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status}
        caller = scope.get("state", {}).get("caller")
        more |= {"ms": round(seconds * 1000, 1), "body_ms": round(body_s * 1000, 1)}
        more |= {"read": scope.get("flukeprint.read", 0), "who": getattr(caller, "name", None)}
        client = scope.get("client")
        log.info("answered", extra=more | {"address": client[0] if client else None})
