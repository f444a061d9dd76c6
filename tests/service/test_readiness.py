"""What is not well is named, soon, and however often it is asked."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from serving import Service, Start

from service.readiness import FRESH_S, WITHIN_S


def parts(service: Service, status: int) -> dict[str, Any]:
    said = service.client.get("/readyz")
    assert said.status_code == status
    return {name: part["ready"] for name, part in said.json().items() if name != "ready"}


def test_an_encoder_that_does_not_run_is_not_ready(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    service = start()
    assert parts(service, 200) == {"encoder": True, "catalogue": True, "index": True}
    session, real = service.house.station.encoder._session, service.house.station.encoder._session.run
    time.sleep(FRESH_S + 0.1)
    try:
        session.run = lambda _: real("no tensor")  # type: ignore[method-assign, arg-type, return-value]
        assert parts(service, 503) == {"encoder": False, "catalogue": True, "index": True}
    finally:
        session.run = real  # type: ignore[method-assign]
    assert "the encoder is not ready" in caplog.text
    time.sleep(FRESH_S + 0.1)
    assert parts(service, 200)["encoder"]


def test_an_index_that_hangs_is_not_ready_within_moments_and_holds_one_thread(start: Start) -> None:
    service = start()
    index: Any = service.house.station.index
    worker = index._engine._worker.pid
    os.kill(worker, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert parts(service, 503) == {"encoder": True, "catalogue": True, "index": False}
        assert time.monotonic() - began < WITHIN_S + 2
        began = time.monotonic()
        for _ in range(20):
            assert not parts(service, 503)["index"]
        assert time.monotonic() - began < 2  # it is known already
        assert service.house.gate.health.inside == 1  # the first question
    finally:
        os.kill(worker, signal.SIGCONT)
    until = time.monotonic() + 10
    while service.client.get("/readyz").status_code != 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert parts(service, 200)["index"]
