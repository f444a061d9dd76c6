"""qdrant-client's calls, with what may go wrong in them named: trying again may help, the collection is missing, or no.

Failures that pass (no connection, 429, 5xx) are tried again with `Patience`; what the server refuses is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from threading import RLock
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vector_db.errors import IndexUnavailable
from vector_db.patience import Again, Patience
from vector_db.server_options import ServerOptions

log = logging.getLogger(__name__)

_MOST_SAID = 300
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}


class Missing(Exception):
    """There is no such collection."""


def connect(options: ServerOptions) -> QdrantClient:
    """Opens no connection yet. The key goes as a header: the client would warn about one sent over http on each start."""
    if options.api_key is not None and options.url.startswith("http://"):
        log.warning("The API key goes to %s unencrypted; use https where others can listen.", options.url)
    try:
        return QdrantClient(
            url=options.url,
            headers=None if options.api_key is None else {"api-key": options.api_key},
            timeout=options.timeout_s,
            prefer_grpc=options.prefer_grpc,
            grpc_port=options.grpc_port,
            check_compatibility=False,
        )
    except ValueError as error:
        raise IndexUnavailable(
            f"{options.url!r} is no address of a Qdrant server ({_line(error)}). Give one like https://qdrant.example.org:6333."
        ) from error


def drop(client: QdrantClient, options: ServerOptions, collection: str) -> None:
    """The collection and its points; one that is not there is no matter."""
    try:
        with suppress(Missing):
            Caller(options, serial=False).call(client.delete_collection, collection)
    finally:
        client.close()


class Caller:
    """Makes calls of one client. `serial` lets one through at a time."""

    def __init__(self, options: ServerOptions, *, serial: bool) -> None:
        self._url = options.url
        self._retries = options.retries
        self._patience = Patience(options.retries, options.backoff_s, options.longest_backoff_s, options.give_up_s)
        self._turn = RLock() if serial else nullcontext()

    def call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """What it returns. Raises `Missing`, or IndexUnavailable with what to do."""
        action = partial(method, *args, **named)
        try:
            return self._patience.call(lambda: self._once(action))
        except Again as given_up:
            raise IndexUnavailable(
                f"The Qdrant server at {self._url} does not answer ({_line(given_up.__cause__)}); it was tried up to "
                f"{self._retries + 1} times. Check that it runs and that the address is right."
            ) from given_up.__cause__

    def _once(self, action: Callable[[], Any]) -> Any:
        """What went wrong, as one of three: trying again may help, the collection is missing, or the server said no."""
        try:
            with self._turn:
                return action()
        except ResourceExhaustedResponse as busy:
            raise Again(busy.retry_after_s) from busy
        except QdrantException as busy:  # it named a day rather than a number of seconds
            raise Again from busy
        except ResponseHandlingException as failed:
            if isinstance(failed.source, httpx.TransportError):
                raise Again from failed
            raise IndexUnavailable(
                f"{self._url} answered something that no Qdrant server says: {_line(failed)}. Check the address."
            ) from failed
        except UnexpectedResponse as answer:
            if answer.status_code == 404:
                raise Missing from answer
            if answer.status_code == 429 or (answer.status_code or 0) >= 500:
                raise Again from answer
            raise self._refused(answer) from answer
        except grpc.RpcError as failed:
            if failed.code() in _PASSING:
                raise Again from failed
            if failed.code() is grpc.StatusCode.NOT_FOUND:
                raise Missing from failed
            raise IndexUnavailable(f"{self._url} refused the request: {failed.details()}") from failed
        except ValueError as error:  # the in-memory engine's word for a missing collection
            if "not found" in str(error):
                raise Missing from error
            raise

    def _refused(self, refused: UnexpectedResponse) -> IndexUnavailable:
        if refused.status_code in (401, 403):
            return IndexUnavailable(f"The Qdrant server at {self._url} refuses us ({refused.status_code}). Check the API key.")
        return IndexUnavailable(
            f"The Qdrant server at {self._url} refused the request: {_line(refused)}. "
            "A server of another version may be the cause; see its log."
        )


def _line(error: BaseException | None) -> str:
    """What a client's exception says, which may be a page of raw answer, as a line."""
    return " ".join(str(error).split())[:_MOST_SAID]
