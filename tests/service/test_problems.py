"""Every error has a status and a stable type, and no answer tells a path or a trace."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batching import zipped
from serving import Photo, Service, Start

from errors import FlukeprintError
from service.problems import TABLE, kind_of
from service.schemas import Problem

ROOMS = ("catalog", "encoder", "indexer", "matching", "service", "vector_db")


def errors() -> Iterator[type[FlukeprintError]]:
    for room in ROOMS:
        for module in pkgutil.walk_packages([room], f"{room}."):
            importlib.import_module(module.name)
    waiting = [FlukeprintError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.split(".")[0] in (*ROOMS, "settings", "errors"):
            yield kind


@pytest.mark.parametrize("kind", sorted(set(errors()), key=lambda kind: kind.__name__))
def test_every_error_has_its_own_place_or_its_trees(kind: type[FlukeprintError]) -> None:
    found = kind_of(kind)
    assert 400 <= found.status < 600
    assert found.slug == found.slug.lower()
    if kind is not FlukeprintError:
        assert any(one in TABLE for one in kind.__mro__ if one is not FlukeprintError), "its room's root is not in the table"
    assert found.tells or found.status >= 500, "a client is told what it can mend"


def test_every_kind_of_problem_stands_in_the_docs(root: Path) -> None:
    page = (root / "docs/service.md").read_text("utf-8")
    assert [kind.slug for kind in TABLE.values() if f"`{kind.slug}`" not in page] == []


def test_what_failed_is_told_in_the_log_alone(
    filled: Service, photo: Photo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The index is made to fail where it is asked: by closing what it would ask."""
    station = filled.house.station

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"in {station.settings.data_dir}")

    monkeypatch.setattr(station.catalogue, "owners", broken)
    said = filled.client.post("/v1/identify", files={"photos": photo(1, 1)})
    assert said.status_code == 500
    problem = Problem.model_validate(said.json())
    assert (problem.type, problem.request_id) == ("urn:flukeprint:problem:internal", said.headers["x-request-id"])
    assert str(station.settings.data_dir) not in said.text
    assert "Traceback" not in said.text
    assert "RuntimeError" in caplog.text


def test_a_disk_that_fails_is_said_so(start: Start, photo: Photo, caplog: pytest.LogCaptureFixture) -> None:
    """The folder for what comes in is made unusable, as a full disk would."""
    service = start()
    folder = service.house.settings.data_dir / "uploads"
    folder.rmdir()
    folder.write_text("in its place")
    for path, field in (("/v1/batches", "archive"), ("/v1/predict-batch", "archive")):
        said = service.client.post(path, files={field: zipped({"a.jpg": photo(1, 0)})})
        assert (said.status_code, said.json()["type"]) == (503, "urn:flukeprint:problem:photo-store")
        assert str(folder) not in said.text
    assert "NotADirectoryError" in caplog.text


def test_what_answers_get_answers_head_without_a_body(filled: Service) -> None:
    for path in ("/healthz", "/v1/stats", "/v1/sightings/1/photo"):
        got, asked = filled.client.get(path), filled.client.head(path)
        assert (asked.status_code, asked.content) == (200, b"")
        assert asked.headers["content-length"] == got.headers["content-length"]
    assert filled.client.head("/v1/identify").status_code == 405


def test_a_request_id_of_the_clients_is_kept_when_it_is_one(filled: Service) -> None:
    assert filled.client.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert filled.client.get("/healthz", headers={"X-Request-Id": "no good"}).headers["x-request-id"] != "no good"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/stats", 405),
        ("GET", "/docs", 404),
        ("GET", "/v1/stats/", 404),
        ("POST", "/match/", 404),
    ],
)
def test_what_is_not_there_is_a_problem_too(filled: Service, method: str, path: str, status: int) -> None:
    said = filled.client.request(method, path)
    assert (said.status_code, said.headers["content-type"]) == (status, "application/problem+json")


def test_what_is_wrong_in_json_is_said_with_where_it_is(filled: Service) -> None:
    said = filled.client.post("/v1/similar", content=b"{bad", headers={"Content-Type": "application/json"})
    assert said.json()["detail"].startswith("body: Invalid JSON")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"other": "x"}', b'{"other": 1, "more": 2}', b'{"other": 99999999999999999999}', b"\xff"]
)
def test_json_that_cannot_be_is_refused(filled: Service, body: bytes) -> None:
    said = filled.client.post("/v1/individuals/1/merge", content=body, headers={"Content-Type": "application/json"})
    assert said.status_code in (400, 422)
    assert said.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/individuals", "GET, HEAD, POST"),
        ("/v1/individuals/1", "DELETE, GET, HEAD, PATCH"),
        ("/v1/individuals/1/merge", "POST"),
    ],
)
def test_a_method_that_is_not_there_is_answered_with_all_that_are(filled: Service, path: str, methods: str) -> None:
    assert filled.client.put(path).headers["allow"] == methods


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("GET /v1/individuals?serch=x", "did you mean search?"),
        ("GET /v1/individuals/1?zz=1", "expected none."),
        ("GET /v1/bundles?limit=1", "expected none."),
        ("GET /v1/events?zz=1", "expected limit, before."),
        ("PATCH /v1/individuals/1?name=x", "expected none."),
        ("DELETE /v1/sightings/1?force=1", "expected none."),
        ("POST /v1/individuals/1/merge?other=2", "expected none."),
        ("POST /v1/events/1/undo?zz=1", "expected none."),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_with_the_nearest(filled: Service, asked: str, says: str) -> None:
    method, path = asked.split()
    said = filled.client.request(method, path)
    assert (said.status_code, said.json()["type"]) == (422, "urn:flukeprint:problem:invalid-request")
    assert said.json()["detail"].endswith(says)


@pytest.mark.parametrize(
    ("asked", "body", "says"),
    [
        ("POST /v1/similar", {"sightng": 1}, "sightng: there is no such field: did you mean sighting?"),
        ("PATCH /v1/individuals/1", {"nme": "x"}, "body.nme: there is no such field: did you mean name?"),
        ("POST /v1/individuals/1/merge", {"zzz": 1}, "body.zzz: there is no such field: expected other."),
        ("POST /v1/individuals/1/merge", {"zzz": 1}, "body.other: it is missing."),  # beside the other one
        ("POST /v1/individuals/1/merge", {"other": "Kelp"}, 'body.other: expected a whole number; "Kelp" was given.'),
        ("POST /v1/similar", {"sighting": 1, "top": 0}, "top: Input should be greater than or equal to 1; 0 was given."),
        ("GET /v1/individuals/Kelp-00", None, 'path.individual_id: expected a whole number; "Kelp-00" was given; give the'),
        ("GET /v1/individuals/Kelp-00", None, "individual's number: GET /v1/individuals?search= finds it."),
        ("GET /v1/individuals?limit=many", None, 'query.limit: expected a whole number; "many" was given.'),
    ],
)
def test_what_does_not_fit_is_said_in_words(filled: Service, asked: str, body: dict[str, Any] | None, says: str) -> None:
    method, path = asked.split()
    said = filled.client.request(method, path, json=body)
    assert (said.status_code, said.json()["type"]) == (422, "urn:flukeprint:problem:invalid-request")
    assert says in said.json()["detail"]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"speces": "x"}, "speces: there is no such field: did you mean species?"),
        ({"after": "31/12/2024"}, 'after: give a day as "2021-07-03" (year-month-day); "31/12/2024" was given.'),
        ({"explain": "perhaps"}, 'explain: expected true or false; "perhaps" was given.'),
        ({"q" * 5000: "x"}, f"{'q' * 60}: there is no such field: expected species, viewpoint,"),
    ],
)
def test_a_forms_field_that_does_not_fit_is_said_in_words(
    filled: Service, photo: Photo, field: dict[str, str], says: str
) -> None:
    said = filled.client.post("/v1/identify", data=field, files={"photos": photo(1, 0)})
    assert says in said.json()["detail"]
    assert len(said.content) < 2000


def test_of_much_that_does_not_fit_the_first_few_are_said(filled: Service) -> None:
    said = filled.client.post("/v1/feedback", json={f"x{n}": n for n in range(30)}).json()
    assert len(said["errors"]) == 20
    assert said["detail"].count("it is missing") == 2
    assert said["detail"].endswith("and others, see `errors`. See the API's description.")


def test_a_probe_may_be_asked_with_whatever_its_asker_adds(filled: Service) -> None:
    assert filled.client.get("/healthz?now=1").status_code == 200
