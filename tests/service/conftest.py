"""A service on a data folder of its own, empty or with some drawn individuals in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from described import undescribed
from serving import EACH, KNOWN, Photo, Service, Start, drawn, running


@pytest.fixture(scope="session", autouse=True)
def every_answer_stands_in_the_description() -> Iterator[None]:
    """Whatever a test asks for: the status and the problem of each answer are listed for its route."""
    plain = httpx.Client.send

    def send(client: httpx.Client, request: httpx.Request, **said: Any) -> httpx.Response:
        answer = plain(client, request, **said)
        assert (lacking := undescribed(answer)) is None, lacking
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", send)
        yield


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start one on this test's data folder: `start(queue=0)`."""
    with ExitStack() as stack:
        yield lambda **said: stack.enter_context(running(tmp_path / "data", **said))


@pytest.fixture(scope="session")
def photo() -> Photo:
    """A drawn photo of an individual: `photo(3, 0)`; the same asked twice is drawn once."""
    known: dict[tuple[int, int], bytes] = {}

    def look(individual: int, number: int) -> bytes:
        if (individual, number) not in known:
            known[individual, number] = drawn(individual, number)
        return known[individual, number]

    return look


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, photo: Photo) -> Iterator[Service]:
    """A service with some individuals, W0 to W4, for tests that leave them as they are."""
    with running(tmp_path_factory.mktemp("filled") / "data") as service:
        for individual in range(KNOWN):
            files = [("photos", (f"{individual}-{n}.jpg", photo(individual, n))) for n in range(EACH)]
            done = service.client.post(
                "/v1/individuals", data={"name": f"W{individual}", "species": "humpback", "force": "true"}, files=files
            )
            assert done.status_code == 201, done.text
        yield service
