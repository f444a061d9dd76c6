"""A real Prometheus on a real service: its rules, what the dashboard asks for, and an alert on photos made to drift."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from serving import SMALL, Start

from catalog.keys import new_key
from demo import animals
from service.measures import Measures

ANIMALS, EACH = 25, 13  # 325 sightings, and as many photos asked about: a few more than an index of drift takes
LABELS_OF_ITS_OWN = {"instance", "job", "le", "severity", "alertname"}


@pytest.fixture(scope="module")
def tools(root: Path) -> Path:
    """The folder of prometheus and promtool."""
    done = subprocess.run([root / "scripts/prometheus"], capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        assert "prometheus" not in os.environ.get("FLUKEPRINT_TEST_MUST", ""), done.stderr
        pytest.skip(f"prometheus cannot be had here: {done.stderr.strip()[-300:]}")
    return root / "build/prometheus/bin"


def promtool(tools: Path, *words: str | Path, where: Path) -> None:
    done = subprocess.run([tools / "promtool", *words], cwd=where, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_sound_and_alert_when_they_should(root: Path, tools: Path) -> None:
    where = root / "deploy/prometheus"
    promtool(tools, "check", "config", "--syntax-only", "prometheus.yml", where=where)
    promtool(tools, "check", "rules", "rules.yml", where=where)
    promtool(tools, "test", "rules", "rules_test.yml", where=where)


def alerts(root: Path) -> list[dict[str, Any]]:
    read = yaml.safe_load((root / "deploy/prometheus/rules.yml").read_text("utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


def queries(root: Path) -> list[str]:
    """Of every panel and every rule."""
    board = json.loads((root / "deploy/grafana/dashboards/flukeprint.json").read_text("utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return asked + [rule["expr"] for rule in alerts(root)]


def test_every_alert_is_tried_in_both_ways_and_stands_in_the_docs(root: Path) -> None:
    tried = yaml.safe_load((root / "deploy/prometheus/rules_test.yml").read_text("utf-8"))["tests"]
    cases = [case for test in tried for case in test["alert_rule_test"]]
    docs = (root / "docs/metrics.md").read_text("utf-8")
    for name in [rule["alert"] for rule in alerts(root) if "alert" in rule]:
        fires = [bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name]
        assert set(fires) == {True, False}, name
        assert f"`{name}`" in docs


def test_the_dashboards_queries_are_promql(root: Path, tools: Path, tmp_path: Path) -> None:
    rules = [
        {"record": f"q:{number}", "expr": query.replace("$__rate_interval", "5m")} for number, query in enumerate(queries(root))
    ]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert len(rules) > 20
    promtool(tools, "check", "rules", "asked.yml", where=tmp_path)


def test_every_metric_stands_in_the_docs_and_every_one_there_exists(root: Path) -> None:
    told = {family.name for family in text_string_to_metric_families(Measures().text().decode())}
    described = {name for name in told if not name.endswith("_created")}
    docs = (root / "docs/metrics.md").read_text("utf-8")
    rows = {re.sub("_total$", "", name) for name in re.findall(r"^\| `(flukeprint_\w+)`", docs, re.MULTILINE)}
    assert rows == described


@contextmanager
def prometheus(tools: Path, root: Path, folder: Path, target: str, key: str) -> Iterator[str]:
    """Our own configuration and rules, but for the addresses, and at the pace of a test."""
    config = yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    shutil.copy(root / "deploy/prometheus/rules.yml", folder)
    rules = (folder / "rules.yml").read_text("utf-8")
    (folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "key").write_text(key)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [tools / "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "log.txt").open("w") as log:
        child = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        child.terminate()
        child.wait(30)


def asked(url: str, path: str, **words: str) -> Any:
    try:
        return httpx.get(f"{url}/api/v1/{path}", params=words, timeout=10).json()["data"]
    except httpx.TransportError:  # it is still starting
        return None


def waited(look: Callable[[], Any], holds: Callable[[Any], bool], why: str) -> Any:
    end = time.monotonic() + 60
    while not holds(found := look()):
        assert time.monotonic() < end, f"{why}: {found}"
        time.sleep(0.3)
    return found


def firing(url: str) -> set[tuple[str, str]]:
    found = asked(url, "alerts") or {"alerts": []}
    return {
        (one["labels"]["alertname"], one["labels"].get("measure", "")) for one in found["alerts"] if one["state"] == "firing"
    }


def lit(data: bytes, light: float) -> bytes:
    """The photo, brighter or darker."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return cv2.imencode(".jpg", np.clip(pixels * light, 0, 255).astype(np.uint8))[1].tobytes()


@pytest.mark.slow
def test_photos_that_drift_are_scraped_and_alerted_of_and_others_are_not(
    root: Path, tools: Path, start: Start, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    drawn = [animals.photo(number, 0, size=SMALL) for number in range(ANIMALS)]
    service = start(metrics_every_s=0.5)
    key = new_key()
    service.house.desk.add_key(key, "editor", "the tests")
    client = service.client
    client.headers["X-API-Key"] = key

    def photos(light: float) -> list[list[tuple[str, tuple[str, bytes]]]]:
        """Of each animal, every one in a light of its own."""
        return [[("photos", (f"{n}.jpg", lit(one, light * random.uniform(0.8, 1.1)))) for n in range(EACH)] for one in drawn]

    for number, some in enumerate(photos(1.0)):
        said = client.post("/v1/individuals", data={"name": f"W{number}", "force": "true"}, files=some)
        assert said.status_code == 201, said.text
    with prometheus(tools, root, tmp_path, service.url.removeprefix("http://"), key) as url:
        for some in photos(1.0):
            assert client.post("/v1/identify", files=some).status_code == 200
        brightness = 'flukeprint_drift_psi{measure="brightness"}'
        calm = waited(
            lambda: asked(url, "query", query=f"{brightness} >= 0"),
            lambda found: bool(found and found["result"]),
            "no index of drift was scraped",
        )
        assert float(calm["result"][0]["value"][1]) < 0.2
        drifted = {measure for name, measure in firing(url) if name == "FlukeprintDrift"}
        assert drifted <= {"score"}  # photos in another light of those that are known score high
        assert client.post("/v1/identify", content=b"no photo").status_code == 415
        assert client.post("/v1/batches", files=[("photos", ("a.jpg", drawn[0]))]).status_code == 202
        waited(lambda: missing(root, url), lambda found: not found, "a panel or a rule asks for what is not there")
        for some in photos(0.3):
            assert client.post("/v1/identify", files=some).status_code == 200
        waited(
            lambda: firing(url),
            lambda found: ("FlukeprintDrift", "brightness") in found,
            "dark photos did not set off the alert",
        )
        assert not {name for name, _ in firing(url)} & {"FlukeprintDown", "FlukeprintFailing", "FlukeprintNotWatched"}


def missing(root: Path, url: str) -> list[str]:
    """What a panel or a rule names and Prometheus has not scraped: metrics, and the labels that they are asked by."""
    known, found = set(asked(url, "label/__name__/values")), []
    for query in queries(root):
        found += [name for name in re.findall(r"\bflukeprint[\w:]+", query) if name not in known]
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)\"", query))
        for some in re.findall(r"by \(([\w, ]+)\)", query):
            labels |= set(some.split(", "))
        for name in re.findall(r"\bflukeprint_\w+", query)[:1]:
            for label in labels - LABELS_OF_ITS_OWN:
                if not asked(url, f"label/{label}/values", **{"match[]": name}):
                    found.append(f"{label} of {name}")
    return found
