"""Pages of other sites that were let in: they may read every answer, and a browser is told so before it asks."""

from __future__ import annotations

import httpx
import pytest
from encoder_block import Blocked
from serving import Photo, Start

from settings import SettingsRefused, read_settings

PAGE = "https://app.example"


def may_read(said: httpx.Response) -> bool:
    return said.headers.get("access-control-allow-origin") == PAGE


def test_a_page_that_was_let_in_reads_refusals_too(start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start(cors_origins=PAGE, max_request_bytes=50_000, streams=1, queue=0)
    client, page = service.client, {"Origin": PAGE}
    foreign = client.get("/v1/stats", headers=page | {"Host": "evil.example"})
    assert (foreign.status_code, may_read(foreign)) == (403, True)
    large = client.post("/v1/identify", content=bytes(60_000), headers=page)
    assert (large.status_code, may_read(large)) == (413, True)
    with Blocked(service.house.station.encoder):
        place = service.house.gate.encode
        monkeypatch.setattr(place, "places", 0)
        busy = client.post("/v1/identify", content=photo(1, 0), headers=page)
    assert (busy.status_code, may_read(busy)) == (429, True)
    assert "Retry-After" in busy.headers["access-control-expose-headers"]
    monkeypatch.setattr(service.house.desk, "verdicts", lambda: 1 / 0)
    failed = client.get("/v1/stats", headers=page)
    assert (failed.status_code, may_read(failed)) == (500, True)


def test_a_browser_is_told_which_headers_a_page_may_send(start: Start) -> None:
    client = start(cors_origins=PAGE).client
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match,last-event-id,x-api-key"}
    assert client.options("/v1/sightings/1/photo", headers=asked | {"Origin": PAGE}).status_code == 200
    other = client.options("/v1/stats", headers=asked | {"Origin": "https://other.example"})
    assert (other.status_code, other.json()["type"]) == (403, "urn:flukeprint:problem:host-refused")


@pytest.mark.parametrize("origins", ["*", "https://*.example", "app.example", "https://a.example,", "https://a.example/page"])
def test_what_is_no_origin_by_name_is_refused_when_it_is_set(origins: str) -> None:
    with pytest.raises(
        SettingsRefused, match=r"FLUKEPRINT_CORS_ORIGINS is '.*': expected origins such as https://app\.example"
    ):
        read_settings({"FLUKEPRINT_CORS_ORIGINS": origins})


@pytest.mark.parametrize("origins", ["https://a.example", "http://localhost:3000, capacitor://localhost/"])
def test_origins_by_name_are_taken(origins: str) -> None:
    assert read_settings({"FLUKEPRINT_CORS_ORIGINS": origins}).cors_origins == origins
