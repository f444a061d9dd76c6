"""A service keeps the index in the layout that its size asks for."""

from __future__ import annotations

import time

import pytest
from serving import Photo, Start


def test_index_is_laid_out_anew_as_a_service_enrols(start: Start, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.tending.LOOK_EVERY_S", 0.05)
    service = start(codes_above=3)
    files = [("photos", (f"{number}.jpg", photo(0, number))) for number in range(4)]
    assert service.client.post("/v1/individuals", data={"name": "W0"}, files=files).status_code == 201
    index, deadline = service.house.station.index, time.monotonic() + 60
    while index.info().layout != "codes" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert index.info().layout == "codes"
