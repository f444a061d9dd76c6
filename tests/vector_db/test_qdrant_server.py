"""The server engine against real HTTP: what it sends, what it tries again, what it says when it gives up."""

from __future__ import annotations

import builtins
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from index_catalogue import DIMENSION, Books, plain_points
from point_sets import drawn_points, unit
from qdrant_client import QdrantClient
from qdrant_over_http import Contract, QdrantOverHttp, Trouble

from vector_db.errors import IndexDamaged, IndexUnavailable, VectorRefused
from vector_db.open import open_index, open_server
from vector_db.port import Point, VectorIndex
from vector_db.server import ServerIndex
from vector_db.server_options import ServerOptions

NAME = "flukeprint-test"
QUERY = unit(np.random.default_rng(0), 1, DIMENSION)[0]


def quick(server: QdrantOverHttp, **changed: Any) -> ServerOptions:
    return replace(ServerOptions(server.url, backoff_s=0.02, timeout_s=2), **changed)


def opened(options: ServerOptions, books: Books | None = None) -> VectorIndex:
    on_open = (books or Books()).reconcile
    return open_server(options, collection=NAME, dimension=DIMENSION, on_open=on_open)


def test_a_new_collection_gets_its_payload_indexes_before_its_points(http_qdrant: QdrantOverHttp) -> None:
    books = Books(drawn_points(20, DIMENSION))
    opened(quick(http_qdrant), books).close()
    sent = [(verb, path.split("?")[0].removeprefix(f"/collections/{NAME}"), body) for verb, path, body in http_qdrant.requests]
    made = [path for verb, path, _ in sent if verb == "PUT"]
    assert made == ["", "/index", "/index", "/index", "/index", "/points"]
    indexes = {body["field_name"]: body["field_schema"] for verb, path, body in sent if path == "/index"}
    assert indexes == {"species": "keyword", "viewpoint": "keyword", "taken": "integer", "place": "geo"}
    assert all("wait=true" in path for verb, path, _ in http_qdrant.requests if path.startswith(f"/collections/{NAME}/points?"))


def test_settings_reach_the_collection_and_fit_the_contract(http_qdrant: QdrantOverHttp, contract: Contract | None) -> None:
    if contract is None:
        pytest.skip("needs Qdrant's contract in shared/contracts beside the checkout")
    for number, quantization in enumerate(("none", "int8", "binary")):
        options = quick(
            http_qdrant,
            quantization=quantization,
            shard_number=6,
            replication_factor=2,
            write_consistency_factor=2,
            on_disk_vectors=True,
            hnsw_m=24,
        )
        open_server(options, collection=f"{NAME}-{number}", dimension=DIMENSION, on_open=lambda _: None).close()
        body = next(
            body for verb, path, body in http_qdrant.requests if (verb, path) == ("PUT", f"/collections/{NAME}-{number}")
        )
        assert (body["shard_number"], body["replication_factor"], body["write_consistency_factor"]) == (6, 2, 2)
        assert body["vectors"] == {"size": DIMENSION, "distance": "Cosine", "on_disk": True}
        assert body["hnsw_config"]["m"] == 24
        found = body.get("quantization_config")
        assert (None if found is None else next(iter(found))) == {"none": None, "int8": "scalar", "binary": "binary"}[
            quantization
        ]


def test_contract_refuses_what_qdrant_would_not_understand(contract: Contract | None) -> None:
    if contract is None:
        pytest.skip("needs Qdrant's contract in shared/contracts beside the checkout")
    import jsonschema

    contract.check("POST", "/collections/x/points/query", {"limit": 3, "query": {"nearest": [0.5]}})
    for body in ({"limit": "three"}, {"limit": 3, "filter": {"musst": []}}, {"limit": -1}):
        with pytest.raises(jsonschema.ValidationError):
            contract.check("POST", "/collections/x/points/query", body)


def test_the_key_goes_with_every_request(http_qdrant: QdrantOverHttp) -> None:
    opened(quick(http_qdrant, api_key="s3cret")).close()  # pragma: allowlist secret: of this test alone
    assert http_qdrant.keys == {"s3cret"}


def test_the_key_is_not_printed_with_the_options() -> None:
    assert "s3cret" not in repr(ServerOptions("http://x", api_key="s3cret"))  # pragma: allowlist secret: made up


def test_no_key_is_sent_where_none_is_set(http_qdrant: QdrantOverHttp) -> None:
    opened(quick(http_qdrant)).close()
    assert http_qdrant.keys == {None}


@pytest.mark.parametrize(
    "trouble", [Trouble(503, 3), Trouble(500, 2), Trouble(429, 3), Trouble(0, 2)], ids=["503", "500", "429", "cut"]
)
def test_what_passes_is_tried_again(http_qdrant: QdrantOverHttp, trouble: Trouble) -> None:
    books = Books(drawn_points(20, DIMENSION))
    index = opened(quick(http_qdrant), books)
    http_qdrant.trouble = Trouble(trouble.status, trouble.times, path="/points/query")
    assert index.search(QUERY, 3)
    assert len(http_qdrant.trouble.seen) == trouble.times
    http_qdrant.trouble = Trouble(trouble.status, trouble.times, path="/points")
    books.add(index, plain_points(5000, 10))
    assert books.refute(index) is None
    index.close()


def test_the_wait_that_the_server_names_is_kept(http_qdrant: QdrantOverHttp) -> None:
    index = opened(quick(http_qdrant))
    http_qdrant.trouble = Trouble(429, 1, path="/points/count", headers={"Retry-After": "1"})
    started = time.monotonic()
    assert index.count() == 0
    assert time.monotonic() - started >= 1
    index.close()


def test_a_server_that_stays_down_is_said_after_the_last_try(http_qdrant: QdrantOverHttp) -> None:
    index = opened(quick(http_qdrant, retries=2))
    http_qdrant.trouble = Trouble(503, 99)
    with pytest.raises(IndexUnavailable, match=r"does not answer.*503.*up to 3 times.*Check"):
        index.count()
    assert len(http_qdrant.trouble.seen) == 3
    index.close()


def test_a_server_that_hangs_is_given_up_in_time(http_qdrant: QdrantOverHttp) -> None:
    index = opened(quick(http_qdrant, timeout_s=1, retries=1))
    http_qdrant.trouble = Trouble(503, 99, delay_s=1.5)
    started = time.monotonic()
    with pytest.raises(IndexUnavailable, match="does not answer"):
        index.count()
    assert 1.9 < time.monotonic() - started < 10
    index.close()


def test_an_address_where_nobody_listens_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(IndexUnavailable, match=f"{url} does not answer"):
            opened(ServerOptions(url, backoff_s=0.01, timeout_s=1, retries=2))


def test_something_else_than_qdrant_at_the_address_is_said(http_qdrant: QdrantOverHttp) -> None:
    http_qdrant.answer = lambda *_: ["a web page"]  # type: ignore[method-assign]
    with pytest.raises(IndexUnavailable, match="no Qdrant server says"):
        opened(quick(http_qdrant))


def test_a_web_server_that_is_no_qdrant_is_said(http_qdrant: QdrantOverHttp) -> None:
    http_qdrant.trouble = Trouble(404, 99)
    with pytest.raises(IndexUnavailable, match="is no Qdrant server"):
        opened(quick(http_qdrant))


@pytest.mark.parametrize("url", ["ftp://somewhere", "http://[", "no scheme at all"])
def test_an_address_that_cannot_be_is_said(url: str) -> None:
    with pytest.raises(IndexUnavailable):
        opened(ServerOptions(url, backoff_s=0.01, timeout_s=1, retries=0))


def test_a_busy_server_that_names_a_day_is_tried_again(http_qdrant: QdrantOverHttp) -> None:
    index = opened(quick(http_qdrant))
    http_qdrant.trouble = Trouble(429, 1, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert index.count() == 0
    index.close()


@pytest.mark.parametrize(
    ("status", "says"), [(401, "Check the API key"), (403, "Check the API key"), (400, "refused the request")]
)
def test_what_the_server_refuses_is_not_tried_again(http_qdrant: QdrantOverHttp, status: int, says: str) -> None:
    index = opened(quick(http_qdrant))
    http_qdrant.trouble = Trouble(status, 99)
    with pytest.raises(IndexUnavailable, match=says):
        index.search(QUERY, 3)
    assert len(http_qdrant.trouble.seen) == 1
    index.close()


def test_a_bad_vector_is_refused_before_anything_is_sent(http_qdrant: QdrantOverHttp) -> None:
    index = opened(quick(http_qdrant))
    before = len(http_qdrant.requests)
    with pytest.raises(VectorRefused):
        index.upsert([Point(1, QUERY), Point(2, QUERY * 2)])
    assert len(http_qdrant.requests) == before
    index.close()


def test_a_collection_of_another_length_is_left_alone(http_qdrant: QdrantOverHttp) -> None:
    open_server(quick(http_qdrant), collection=NAME, dimension=16, on_open=lambda _: None).close()
    with pytest.raises(IndexDamaged, match=f"vectors of 16 numbers, this bundle makes {DIMENSION}"):
        opened(quick(http_qdrant))
    assert http_qdrant.engine.collection_exists(NAME)


def test_a_collection_that_was_deleted_is_made_again_from_the_catalogue(http_qdrant: QdrantOverHttp) -> None:
    books = Books(drawn_points(30, DIMENSION))
    index = opened(quick(http_qdrant), books)
    before = index.search(QUERY, 5)
    http_qdrant.engine.delete_collection(NAME)
    found: list[list] = []
    threads = [threading.Thread(target=lambda: found.append(index.search(QUERY, 5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [before] * 4
    assert books.refute(index) is None
    index.close()


def test_two_processes_may_make_the_collection_at_once(http_qdrant: QdrantOverHttp) -> None:
    real, raced = http_qdrant.answer, []

    def beaten(verb: str, path: str, body: Any) -> Any:
        if path.endswith("/exists") and not raced:
            raced.append(real("PUT", f"/collections/{NAME}", {"vectors": {"size": DIMENSION, "distance": "Cosine"}}))
            return {"exists": False}
        return real(verb, path, body)

    http_qdrant.answer = beaten  # type: ignore[method-assign]
    index = opened(quick(http_qdrant))
    assert index.count() == 0
    assert raced
    index.close()


def test_searches_of_many_threads_go_side_by_side(http_qdrant: QdrantOverHttp) -> None:
    books = Books(drawn_points(30, DIMENSION))
    index = opened(quick(http_qdrant), books)
    expected, wrong = index.search(QUERY, 5), []

    def search() -> None:
        wrong.extend(found for found in (index.search(QUERY, 5) for _ in range(10)) if found != expected)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    index.close()


@pytest.mark.filterwarnings("ignore:Local mode performs exact", "ignore:Payload indexes have no effect")
def test_the_in_memory_engine_is_safe_behind_one_lock() -> None:
    books = Books(drawn_points(200, DIMENSION))
    index = ServerIndex(
        QdrantClient(":memory:"),
        ServerOptions("memory"),
        collection=NAME,
        dimension=DIMENSION,
        on_open=books.reconcile,
        serial=True,
    )
    wrong: list[BaseException] = []

    def search() -> None:
        try:
            for _ in range(30):
                assert len(index.search(QUERY, 5)) == 5
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(10):
        books.add(index, plain_points(1000 + 20 * start, 20))
    for thread in threads:
        thread.join()
    assert wrong == []
    assert books.refute(index) is None
    index.close()


def test_a_missing_client_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "vector_db.server":
            raise ModuleNotFoundError("No module named 'qdrant_client'", name="qdrant_client")
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(IndexUnavailable, match=r"qdrant_client is not installed.*make setup EXTRAS=server"):
        open_index(ServerOptions("http://nowhere"), collection=NAME, dimension=DIMENSION, on_open=lambda _: None)
