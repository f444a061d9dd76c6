"""Generated requests over the whole description: none meets a failure, and no answer breaks its schema (schemathesis).

FLUKEPRINT_TEST_EXAMPLES says how many for each route, and FLUKEPRINT_TEST_LINKS_S for how many seconds links are followed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Photo, Service, Start

from settings import ROOT

EXAMPLES = int(os.environ.get("FLUKEPRINT_TEST_EXAMPLES", "3"))
LINKS_S = int(os.environ.get("FLUKEPRINT_TEST_LINKS_S", "12"))
ROUNDS = 20
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Keys have tests of their own: a made-up one would end nearly every request at the door. Only our own links, no guessed ones.
CONFIG = """
[generation]
with-security-parameters = false
[phases.stateful]
max-steps = 12
[phases.stateful.inference]
algorithms = []
"""
# From whose answer to how many different routes a link must have led with success.
REACHED = {"POST /v1/individuals": 4, "POST /v1/identify": 1, "POST /v1/batches": 3}
UNDO = "POST /v1/events/{event_id}/undo"  # and to this one, from anywhere


@pytest.fixture
def known(start: Start, photo: Photo) -> Service:
    """One with something to find, to undo and to give feedback on."""
    service = start(cors_origins="https://app.example")
    files = [("photos", ("a.jpg", photo(1, 0)))]
    assert service.client.post("/v1/individuals", data={"name": "A"}, files=files).status_code == 201
    assert service.client.post("/v1/identify", files=files).status_code == 200
    return service


@pytest.mark.slow
@pytest.mark.timeout(280 + 60 * EXAMPLES)
def test_generated_requests_meet_no_failure_and_no_answer_that_breaks_its_schema(known: Service, tmp_path: Path) -> None:
    schemathesis(known, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES))


@pytest.mark.slow
@pytest.mark.timeout(280 + 2 * ROUNDS * LINKS_S)
def test_generated_requests_follow_the_links_from_answer_to_answer(known: Service, tmp_path: Path) -> None:
    """Random steps along the links until the time is over; again with another seed where a slow machine came not far enough."""
    report = tmp_path / "steps.ndjson"
    options = ("--max-examples", "100", "--max-time", str(LINKS_S), "--report", "ndjson", "--report-ndjson-path", str(report))
    statuses: dict[tuple[str, str], list[int]] = defaultdict(list)
    succeeded: set[tuple[str, str]] = set()
    for seed in range(1, ROUNDS + 1):
        schemathesis(known, tmp_path, "--phases", "stateful", *options, seed=seed)
        for source, target, status in steps(report):
            statuses[source, target].append(status)
        succeeded = {way for way, told in statuses.items() if min(told) < 300}
        if not missing(succeeded):
            break
    print(f"{sum(map(len, statuses.values()))} links followed, on {len(statuses)} ways, with success on {len(succeeded)}.")
    assert not missing(succeeded)


def missing(succeeded: set[tuple[str, str]]) -> list[str]:
    """What the links should have led from and to by now, and have not."""
    reached = Counter(source for source, _ in succeeded)
    short = [source for source, routes in REACHED.items() if reached[source] < routes]
    return short if any(target == UNDO for _, target in succeeded) else [*short, UNDO]


def schemathesis(service: Service, folder: Path, *options: str, seed: int = 1) -> None:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or "schemathesis"
    command = [
        tool, "--config-file", str(config), "run", f"{service.url}/openapi.json", "--checks", CHECKS, *options,
        "--seed", str(seed), "--generation-database", "none", "--no-color", "--request-timeout", "60",
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
    said = subprocess.run(command, env=os.environ | hooks, capture_output=True, text=True, check=False, cwd=folder)
    print(said.stdout[said.stdout.find("== SUMMARY") :])
    assert said.returncode == 0, said.stdout[-15_000:] + said.stderr[-3_000:]
    assert service.client.get("/readyz").json()["ready"]


def steps(report: Path) -> Iterator[tuple[str, str, int]]:
    """(whose answer, which route, its status) of each request that a link led to."""
    with report.open() as lines:
        for line in lines:
            told = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for number, case in told.get("cases", {}).items():
                answer = told["interactions"].get(number, {}).get("response")
                if answer and case.get("transition") and case["is_transition_applied"]:
                    source, _, target = case["transition"]["id"].split(" -> ")
                    yield source, target, answer["status_code"]
