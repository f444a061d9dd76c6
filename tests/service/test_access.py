"""Who may do what: every route with every role, keys as they live and end, and pages of other sites."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from serving import Photo, Service, Start, running

import cli
from catalog.keys import ROLES
from service.app import make_app
from service.errors import StartRefused
from settings import read_settings

APP = make_app(read_settings({}, data_dir="unused"))
PUBLIC = {"/healthz", "/readyz"}


def operations() -> list[tuple[str, str, str]]:
    """(method, path, role) of all that the document tells of."""
    paths = APP.openapi()["paths"]
    return [(method, path, told["x-role"]) for path, methods in paths.items() for method, told in methods.items()]


OPERATIONS = operations()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> object:
    with running(tmp_path_factory.mktemp("guarded") / "data") as service:
        for role in ROLES:
            service.house.desk.add_key(f"{role}-key", role)
        time.sleep(1.1)  # until the service reads its keys anew
        yield service


@pytest.mark.parametrize("role", [None, "wrong", *ROLES])
@pytest.mark.parametrize(("method", "path", "needs"), OPERATIONS)
def test_each_route_opens_to_its_role_and_those_above(
    guarded: Service, method: str, path: str, needs: str, role: str | None
) -> None:
    headers = {} if role is None else {"X-API-Key": f"{role}-key"}
    where = path.replace("{job_id}", "999999")
    for name in ("individual_id", "sighting_id", "event_id"):
        where = where.replace(f"{{{name}}}", "999999")
    answer = guarded.client.request(method, where, headers=headers)
    if needs == "anyone":
        assert answer.status_code == 200
    elif role not in ROLES:
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers
    elif ROLES.index(role) < ROLES.index(needs):
        assert answer.status_code == 403
    else:
        assert answer.status_code not in (401, 403)
        assert answer.status_code < 500


def test_only_the_probes_are_open_and_no_route_escapes_the_document() -> None:
    assert {path for _, path, role in OPERATIONS if role == "anyone"} == PUBLIC
    assert {role for _, _, role in OPERATIONS} == {"anyone", *ROLES}
    assert len(OPERATIONS) > 30


def test_a_route_that_says_no_role_is_no_route() -> None:
    from service.route import router

    with pytest.raises(ValueError, match="does not say its role"):
        router("x").add_api_route("/x", lambda: None)
    assert all(
        isinstance(route, APIRoute) or route.path == "/openapi.json" for route in APP.routes if hasattr(route, "endpoint")
    )


def test_a_key_as_the_command_makes_it_opens_expires_and_is_revoked(
    start: Start, photo: Photo, capsys: pytest.CaptureFixture[str]
) -> None:
    service = start()
    data = str(service.house.settings.data_dir)
    assert cli.main(["keys", "create", "--role", "editor", "--name", "the boat", "--data-dir", data, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"id", "key", "role"}
    assert made["key"].encode() not in (service.house.settings.data_dir / "catalogue.db").read_bytes()
    time.sleep(1.1)
    assert service.client.get("/v1/stats").status_code == 401
    bearer = {"Authorization": f"Bearer {made['key']}"}
    done = service.client.post("/v1/individuals", data={"name": "A"}, files={"photos": photo(1, 0)}, headers=bearer)
    assert done.status_code == 201
    assert [event.who for event in service.house.station.catalogue.history()] == ["the boat"]
    assert cli.main(["keys", "list", "--data-dir", data, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["keys"]
    assert listed["used_at"] is not None
    assert cli.main(["keys", "revoke", "1", "--data-dir", data]) == 0
    time.sleep(1.1)
    assert service.client.get("/v1/stats", headers=bearer).status_code == 401
    service.house.desk.add_key("short-lived", "viewer", expires_at=datetime.now(UTC) + timedelta(seconds=2))
    time.sleep(1.1)
    assert service.client.get("/v1/stats", headers={"X-API-Key": "short-lived"}).status_code == 200
    time.sleep(1.5)
    assert service.client.get("/v1/stats", headers={"X-API-Key": "short-lived"}).status_code == 401


def test_without_a_key_it_says_so_loudly_on_this_machines_address(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    assert start().client.get("/v1/stats").status_code == 200
    assert "NO KEY EXISTS" in caplog.text


def test_on_another_address_it_does_not_start_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="keys create"), running(tmp_path / "data", host="0.0.0.0"):
        pass


def test_a_key_that_was_revoked_is_no_key_to_start_with(tmp_path: Path) -> None:
    with running(tmp_path / "data") as service:
        service.house.desk.revoke_key(service.house.desk.add_key("k" * 40, "admin").id)
    with (
        pytest.raises(StartRefused, match=r"every key was revoked or has expired\. Make one first"),
        running(tmp_path / "data", host="0.0.0.0"),
    ):
        pass


def test_a_secret_file_brings_the_first_admin_key(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 40 + "\n")
    with running(tmp_path / "data", host="0.0.0.0", admin_key_file=secret) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v1/stats").status_code == 401
        assert httpx.get(f"{url}/v1/stats", headers={"X-API-Key": "x" * 40}).status_code == 200
    secret.write_text("y" * 40)
    with running(tmp_path / "data", admin_key_file=secret) as service:
        assert service.client.get("/v1/stats", headers={"X-API-Key": "x" * 40}).status_code == 401
        assert service.client.get("/v1/stats", headers={"X-API-Key": "y" * 40}).status_code == 200
    secret.write_text("x" * 40)
    with running(tmp_path / "data", admin_key_file=secret) as service:
        assert service.client.get("/v1/stats", headers={"X-API-Key": "x" * 40}).status_code == 200
        assert service.client.get("/v1/stats", headers={"X-API-Key": "y" * 40}).status_code == 401
    secret.write_text("short")
    with pytest.raises(StartRefused, match="32 or more"), running(tmp_path / "data", admin_key_file=secret):
        pass


def test_a_secret_file_with_a_viewers_key_is_refused_at_start(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("v" * 40)
    with running(tmp_path / "data") as service:
        service.house.desk.add_key("v" * 40, "viewer", "the boat")
    with pytest.raises(StartRefused, match="whose role is viewer"), running(tmp_path / "data", admin_key_file=secret):
        pass


def test_a_secret_file_with_a_key_that_was_revoked_opens_nothing_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    with running(tmp_path / "data", admin_key_file=secret) as service:
        service.house.desk.revoke_key(1)
    with running(tmp_path / "data", admin_key_file=secret) as service:
        assert service.client.get("/v1/stats", headers={"X-API-Key": "x" * 40}).status_code == 401
    assert "holds key 1, which opens nothing: it was revoked" in caplog.text


def test_a_key_that_has_the_name_of_one_before_it_shares_neither_its_answers_nor_its_rate(start: Start, photo: Photo) -> None:
    service = start(requests_per_minute=20)
    desk, numbers = service.house.desk, []
    for key, role in (("old", "viewer"), ("new", "editor")):
        made = desk.add_key(key, role, "the boat")
        time.sleep(1.1)
        said = {"X-API-Key": key, "Idempotency-Key": "shared"}
        for _ in range(2):
            numbers.append(service.client.post("/v1/identify", content=photo(1, 0), headers=said).json()["identification_id"])
        desk.revoke_key(made.id)
    assert numbers == [1, 1, 2, 2]
    assert {"key 1", "key 2"} <= set(service.house.rates._buckets)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "http://[x]"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_may_not_ask(filled: Service, headers: dict[str, str]) -> None:
    answer = filled.client.get("/v1/stats", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:flukeprint:problem:host-refused")
    assert "access-control-allow-origin" not in answer.headers


def test_our_own_names_and_pages_may_ask(filled: Service) -> None:
    port = filled.url.rsplit(":", 1)[1]
    assert filled.client.get("/v1/stats", headers={"Host": f"localhost:{port}"}).status_code == 200
    assert filled.client.get("/v1/stats", headers={"Origin": filled.url}).status_code == 200


def test_a_host_that_was_set_is_let_in_beside_our_own_and_another_is_named(start: Start) -> None:
    service = start(allowed_hosts="whales.example, [FE80::1]")
    port = service.url.rsplit(":", 1)[1]
    for host in ("whales.example", f"Whales.Example:{port}", f"[fe80::1]:{port}", f"127.0.0.1:{port}", f"localhost:{port}"):
        assert service.client.get("/v1/stats", headers={"Host": host}).status_code == 200, host
    refused = service.client.get("/v1/stats", headers={"Host": "other.example"})
    assert refused.status_code == 403
    assert 'the Host "other.example", but to 127.0.0.1, ::1, fe80::1, localhost, whales.example.' in refused.json()["detail"]
    assert "FLUKEPRINT_ALLOWED_HOSTS" in refused.json()["detail"]


def test_what_is_set_but_not_there_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"FLUKEPRINT_MASK_MODEL names .*nope.*, which is no file"):
        running(tmp_path / "data", mask_model=tmp_path / "nope").__enter__()
    with pytest.raises(StartRefused, match=r"FLUKEPRINT_METRICS_DIR names .*nope.x, which cannot be made: No such file"):
        make_app(read_settings({}, data_dir=tmp_path / "data", metrics_dir=tmp_path / "nope" / "x"))
    assert not (tmp_path / "nope").exists()


def test_a_site_that_was_set_may_ask_from_a_page(start: Start) -> None:
    client = start(cors_origins="https://app.example").client
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert client.options("/v1/identify", headers=asked).headers["access-control-allow-origin"] == "https://app.example"
    assert client.get("/v1/stats", headers={"Origin": "https://app.example"}).status_code == 200
    assert client.get("/v1/stats", headers={"Origin": "https://other.example"}).status_code == 403


def test_an_editor_deletes_nobody_by_taking_back_that_somebody_was_brought_back(guarded: Service, photo: Photo) -> None:
    def ask(role: str, method: str, path: str, **said: Any) -> httpx.Response:
        return guarded.client.request(method, path, headers={"Authorization": f"Bearer {role}-key"}, **said)

    made = ask(
        "editor", "POST", "/v1/individuals", data={"name": "Held", "force": "true"}, files={"photos": photo(7, 0)}
    ).json()
    address = f"/v1/individuals/{made['individual_id']}"
    assert ask("editor", "DELETE", address).status_code == 403
    deleted = ask("admin", "DELETE", address).json()["event_id"]
    back = ask("admin", "POST", f"/v1/events/{deleted}/undo").json()["event_id"]
    assert ask("editor", "POST", f"/v1/events/{back}/undo").status_code == 403
    assert ask("viewer", "GET", address).status_code == 200
    assert ask("admin", "POST", f"/v1/events/{back}/undo").status_code == 200


def test_who_asks_is_known_while_two_who_write_wait_for_their_turn(start: Start) -> None:
    """Somebody else, such as an import beside the service, holds SQLite's one write lock for three seconds."""
    service = start()
    for role in ("editor", "viewer"):
        service.house.desk.add_key(f"{role}-key", role)
    time.sleep(1.1)
    writer = sqlite3.connect(service.house.settings.data_dir / "catalogue.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(2) as pool:

        def feedback(number: int) -> int:
            headers = {"X-API-Key": "editor-key", "Idempotency-Key": str(number)}
            said = {"identification_id": 99, "verdict": "new"}
            return httpx.post(f"{service.url}/v1/feedback", json=said, headers=headers, timeout=60).status_code

        waiting = [pool.submit(feedback, number) for number in range(2)]
        time.sleep(1.2)  # the keys are to be read again
        began = time.monotonic()
        assert service.client.get("/v1/individuals", headers={"X-API-Key": "viewer-key"}).status_code == 200  # its first use
        assert time.monotonic() - began < 1
        assert not any(one.done() for one in waiting)
        writer.execute("ROLLBACK")
        assert [one.result() for one in waiting] == [404, 404]
    writer.close()
