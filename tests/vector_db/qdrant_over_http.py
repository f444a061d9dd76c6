"""A Qdrant server for tests: real HTTP in front of the client's in-memory engine.

It checks every request body against Qdrant's published contract where that is at hand, keeps what it was sent, and fails on
demand: refuses, answers an error, answers late, or hangs up.
"""

from __future__ import annotations

import json
import re
import threading
import time
import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
from qdrant_client import QdrantClient, models

COLLECTION = r"/collections/(?P<name>[^/]+)"


class Contract:
    """Request schemas out of Qdrant's OpenAPI document, read strictly: null only where it is allowed, no unknown field."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text("utf-8"))
        self._components = _strict(document["components"], closed=True)
        self._bodies = {
            (verb.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", route) + "$")): operation["requestBody"]
            for route, verbs in document["paths"].items()
            for verb, operation in verbs.items()
            if isinstance(operation, dict) and "requestBody" in operation
        }

    def check(self, verb: str, path: str, body: object) -> None:
        found = [body_of for (known, route), body_of in self._bodies.items() if known == verb and route.match(path)]
        assert len(found) == 1, f"{verb} {path} is {len(found)} operations of the contract"
        schema = found[0]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": self._components}).validate(body)


def _strict(schema: Any, *, closed: bool) -> Any:
    """OpenAPI's `nullable` as a JSON type, and objects with named properties take no others."""
    if isinstance(schema, list):
        return [_strict(one, closed=closed) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == {"nullable": True}:
        return {"type": "null"}
    found = {key: _strict(value, closed=key != "allOf") for key, value in schema.items()}
    if found.pop("nullable", False) is True:
        return {"anyOf": [found, {"type": "null"}]}
    if closed and isinstance(found.get("properties"), dict) and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return found


class Trouble:
    """The next `times` requests that match go wrong: `status` is answered, after `delay_s`, or the line is cut at 0."""

    def __init__(self, status: int, times: int, *, path: str = "", delay_s: float = 0.0, headers: dict[str, str] | None = None):
        self.status, self.times, self.path, self.delay_s, self.headers = status, times, path, delay_s, headers or {}
        self.seen: list[float] = []


class QdrantOverHttp:
    """Running from construction to `close()`."""

    def __init__(self, contract: Contract | None = None) -> None:
        self.contract = contract
        self.requests: list[tuple[str, str, Any]] = []
        self.keys: set[str | None] = set()
        self.broken: list[str] = []
        self.trouble: Trouble | None = None
        self.engine = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.engine.close()

    def answer(self, verb: str, path: str, body: Any) -> Any:
        for known, route, action in ROUTES:
            match = re.fullmatch(route, path)
            if known == verb and match:
                with self.lock, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # payload indexes mean nothing to the in-memory engine
                    return action(self.engine, match["name"], body)
        raise AssertionError(f"no such route: {verb} {path}")


def _handler(server: QdrantOverHttp) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.loads(raw) if raw else None
            path = self.path.split("?")[0]
            server.requests.append((self.command, self.path, body))
            server.keys.add(self.headers.get("api-key"))
            if self._troubled(path):
                return
            try:
                if body is not None and server.contract is not None:
                    server.contract.check(self.command, path, body)
                self._send(200, server.answer(self.command, path, body))
            except (jsonschema.ValidationError, AssertionError) as error:
                server.broken.append(f"{self.command} {self.path}: {error}")
                self._send(400, str(error))
            except ValueError as error:
                self._send(404 if "not found" in str(error) else 409, str(error))

        def _troubled(self, path: str) -> bool:
            trouble = server.trouble
            if trouble is None or trouble.times == 0 or trouble.path not in path:
                return False
            trouble.times -= 1
            trouble.seen.append(time.monotonic())
            time.sleep(trouble.delay_s)
            if trouble.status:
                self._send(trouble.status, "in trouble", trouble.headers)
            else:
                self.close_connection = True
            return True

        def _send(self, status: int, result: Any, headers: dict[str, str] | None = None) -> None:
            said = {"result": result, "status": "ok"} if status == 200 else {"status": {"error": result}}
            raw = json.dumps({**said, "time": 0.001}).encode()
            try:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except ConnectionError:
                self.close_connection = True  # the client did not wait

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    return Handler


def _create(engine: QdrantClient, name: str, body: Any) -> bool:
    if engine.collection_exists(name):
        raise ValueError(f"Collection {name} already exists")
    return engine.create_collection(name, vectors_config=models.VectorParams(**body["vectors"]))


def _described(engine: QdrantClient, name: str, _: Any) -> Any:
    found = engine.get_collection(name)
    return {
        **json.loads(found.model_dump_json(exclude_none=True)),
        "payload_schema": {},
        "segments_count": 1,
        "indexed_vectors_count": 0,
    }


def _indexed(engine: QdrantClient, name: str, body: Any) -> Any:
    engine.create_payload_index(name, body["field_name"], models.PayloadSchemaType(body["field_schema"]))
    return {"operation_id": 0, "status": "completed"}


def _upserted(engine: QdrantClient, name: str, body: Any) -> Any:
    engine.upsert(name, models.Batch(**body["batch"]))
    return {"operation_id": 0, "status": "completed"}


def _deleted(engine: QdrantClient, name: str, body: Any) -> Any:
    engine.delete(name, models.PointIdsList(**body) if "points" in body else models.FilterSelector(**body))
    return {"operation_id": 0, "status": "completed"}


def _queried(engine: QdrantClient, name: str, body: Any) -> Any:
    where = models.Filter(**body["filter"]) if body.get("filter") else None
    found = engine.query_points(name, query=body["query"]["nearest"], query_filter=where, limit=body["limit"])
    return {"points": [{"id": one.id, "version": 0, "score": one.score} for one in found.points]}


def _scrolled(engine: QdrantClient, name: str, body: Any) -> Any:
    records, offset = engine.scroll(name, limit=body["limit"], offset=body.get("offset"), with_payload=False)
    return {"points": [{"id": one.id} for one in records], "next_page_offset": offset}


def _retrieved(engine: QdrantClient, name: str, body: Any) -> Any:
    records = engine.retrieve(name, body["ids"], with_payload=True, with_vectors=True)
    return [{"id": one.id, "payload": one.payload, "vector": one.vector} for one in records]


def _counted(engine: QdrantClient, name: str, _: Any) -> Any:
    return {"count": engine.count(name).count}


def _exists(engine: QdrantClient, name: str, _: Any) -> Any:
    return {"exists": engine.collection_exists(name)}


ROUTES: list[tuple[str, str, Callable[[QdrantClient, str, Any], Any]]] = [
    ("GET", COLLECTION + "/exists", _exists),
    ("PUT", COLLECTION, _create),
    ("GET", COLLECTION, _described),
    ("PUT", COLLECTION + "/index", _indexed),
    ("PUT", COLLECTION + "/points", _upserted),
    ("POST", COLLECTION + "/points/delete", _deleted),
    ("POST", COLLECTION + "/points/query", _queried),
    ("POST", COLLECTION + "/points/scroll", _scrolled),
    ("POST", COLLECTION + "/points/count", _counted),
    ("POST", COLLECTION + "/points", _retrieved),
]
