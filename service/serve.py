"""Serving: the application in one process, until it is told to leave.

On SIGTERM what is new is refused, what is begun ends, and after `leave_within_s` whatever is left is dropped: an enrolment
that was not acknowledged may be sent again, and a job goes on at the next start.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from errors import FlukeprintError
from service import logs
from service.app import framed, make_app
from service.connection import Patient
from service.errors import StartRefused
from service.jobs import UPLOADS
from settings import Settings

KEEP_ALIVE_S = 15
SWITCH_S = 0.00003  # Python's 5 ms: with two photos in work the loop would wait that long, several times a request
MOST_CONNECTIONS = (
    1000  # one more is answered 503; from `CROWD` on those that ask nothing are closed, so that it seldom comes to that
)
M_ARENA_MAX = -8  # of glibc's mallopt
ARENAS = 2  # its own choice is eight a core, and each keeps some of what any thread ever held: 2 MB a minute under load
log = logging.getLogger("flukeprint.service")


class Server(uvicorn.Server):
    """Tells the house when it is time to leave, and a person where it listens."""

    spool: Path | None = None  # where uploads lie while they come in; unset: where the system puts what is temporary

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first signal asks to leave, a second one to leave at once. (uvicorn's own would die of it in the end.)"""
        house = getattr(self.app.state, "house", None)
        if house is not None:
            house.leave()
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            if self.spool is not None:  # this process serves, and does nothing else
                tempfile.tempdir = str(self.spool)
                gc.collect()
                gc.freeze()  # what is there now stays, and need not be looked through for garbage again and again
            log.info("Flukeprint listens on http://%s:%s", *self.address())

    def address(self) -> tuple[str, int]:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return (f"[{host}]" if ":" in host else host), port


def make_server(settings: Settings) -> Server:
    app = make_app(settings)
    protocol = type("PatientProtocol", (Patient,), {"header_timeout_s": settings.header_timeout_s})
    config = uvicorn.Config(
        framed(app),
        host=settings.host,
        port=settings.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies or "",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.leave_within_s,
        limit_concurrency=MOST_CONNECTIONS,
    )
    return Server(config, app)


def few_arenas() -> None:
    with suppress(AttributeError, OSError, TypeError):  # another libc, another system: its own ways stay
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. What cannot be started is refused, with the reason, before anything listens."""
    logs.set_up(settings)
    sys.setswitchinterval(SWITCH_S)
    few_arenas()
    server = make_server(settings)
    server.spool = settings.data_dir / UPLOADS  # as large as an archive may be, and /tmp is often memory
    state = server.app.state
    # The server would log a traceback: of what is raised below, for a person, and of being told twice to leave.
    logging.getLogger("uvicorn.error").addFilter(
        lambda said: said.levelno < logging.ERROR or not (hasattr(state, "start_failure") or server.force_exit)
    )
    with suppress(SystemExit):  # by which uvicorn leaves where it cannot listen
        server.run()
    if isinstance(getattr(state, "start_failure", None), FlukeprintError):
        raise state.start_failure
    if not server.started:
        raise StartRefused(
            f"The service could not listen on {settings.host}:{settings.port}; its log says why. {_mended(settings.host)}"
        )


def _mended(host: str) -> str:
    """What may be done where it cannot listen."""
    try:
        family, *_, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as tried:
            tried.bind(place)
    except OSError:
        return "The --host has to be an address of this machine, such as 127.0.0.1."
    return "Another --port may be free."
