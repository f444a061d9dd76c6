"""The containers as far as they can be proven without an engine: their steps, their settings, and what they may not hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import animals
from scripts.tree import own_files
from settings import Settings

# Root obeys no permissions; without its capabilities, as the compose file runs us, it does.
WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
PHOTO = animals.photo(1, 0, size=(320, 240))
KNOWN = {f"FLUKEPRINT_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text("utf-8"))
    return read


def read_by_a_client(root: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """What a real compose client makes of the file; skipped where there is none."""
    said = subprocess.run(
        [root / "scripts/compose", "-f", file, "config"], capture_output=True, text=True, check=False, cwd=root
    )
    if said.returncode == 127:
        pytest.skip(said.stderr.strip())
    return said


def test_a_compose_client_reads_the_file_as_we_do(root: Path, compose: dict[str, Any]) -> None:
    said = read_by_a_client(root, root / "docker-compose.yml")
    assert said.returncode == 0, said.stderr
    read = yaml.safe_load(said.stdout)
    assert set(read["services"]) == set(compose["services"]) == {"flukeprint", "qdrant"}
    ours = read["services"]["flukeprint"]
    assert ours["environment"] == compose["services"]["flukeprint"]["environment"]
    assert set(ours["environment"]) <= KNOWN
    assert ours["read_only"]
    assert {Path(secret["file"]).name for secret in read["secrets"].values()} == {"admin_key", "qdrant_key"}
    assert str(read["services"]["qdrant"]["entrypoint"]).count("$$") == 1  # left for the container's shell


@pytest.mark.parametrize("wrong", ["enviroment: {}", "tty: perhaps"])
def test_a_compose_client_would_refuse_a_mistake(root: Path, tmp_path: Path, wrong: str) -> None:
    text = (root / "docker-compose.yml").read_text("utf-8")
    (tmp_path / "docker-compose.yml").write_text(
        text.replace("    image: flukeprint\n", f"    image: flukeprint\n    {wrong}\n")
    )
    assert read_by_a_client(root, tmp_path / "docker-compose.yml").returncode not in (0, 127)


def test_the_qdrant_server_is_of_the_clients_version_or_the_one_beside_it(root: Path, compose: dict[str, Any]) -> None:
    client = re.search(r"^qdrant-client==1\.(\d+)\.", (root / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    server = re.fullmatch(r"qdrant/qdrant:v1\.(\d+)\.\d+", compose["services"]["qdrant"]["image"])
    assert client is not None
    assert server is not None
    assert abs(int(client[1]) - int(server[1])) <= 1  # as its makers promise


@pytest.mark.parametrize("name", ["docker-compose.yml", "Dockerfile"])
def test_every_setting_that_is_named_exists(root: Path, name: str) -> None:
    named = set(re.findall(r"FLUKEPRINT_[A-Z_]+", (root / name).read_text("utf-8")))
    assert len(named) > 3
    assert named <= KNOWN


def test_the_settings_of_the_compose_file_are_taken(compose: dict[str, Any]) -> None:
    said = compose["services"]["flukeprint"]["environment"]
    given = {key.removeprefix("FLUKEPRINT_").lower(): value for key, value in said.items()}
    assert Settings.model_validate(given).qdrant_url == "http://qdrant:6333"


def test_secrets_come_from_files_and_there_is_no_default(root: Path, compose: dict[str, Any]) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    said = compose["services"]["flukeprint"]["environment"]
    assert [key for key in said if "KEY" in key and not key.endswith("_FILE")] == []
    assert "/secrets/" in (root / ".gitignore").read_text("utf-8").split()
    left_out = (root / ".dockerignore").read_text("utf-8").split()
    assert {"secrets", "deploy/prometheus/key", "**/*.flukeprint"} <= set(left_out)  # a backup is whales, and large
    assert {"/deploy/prometheus/key", "*.flukeprint"} <= set((root / ".gitignore").read_text("utf-8").split())


def test_each_service_is_healthy_before_what_needs_it_starts(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert all("healthcheck" in service for service in services.values())
    assert services["flukeprint"]["depends_on"] == {"qdrant": {"condition": "service_healthy"}}
    assert services["flukeprint"]["read_only"]
    assert services["flukeprint"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_image_has_a_user_of_its_own_and_says_when_it_is_ill(root: Path) -> None:
    text = (root / "Dockerfile").read_text("utf-8")
    assert "USER 10001" in text
    assert "HEALTHCHECK" in text
    assert text.count("FROM ") == 2
    assert "ADD " not in text
    assert "ln -s /flukeprint/bin/flukeprint /usr/local/bin/flukeprint" in text


def test_whoever_stops_the_container_waits_longer_than_the_service_takes_to_leave(root: Path, compose: dict[str, Any]) -> None:
    ours = compose["services"]["flukeprint"]
    assert int(ours["stop_grace_period"].removesuffix("s")) > int(ours["environment"]["FLUKEPRINT_LEAVE_WITHIN_S"])
    (said,) = re.findall(r"docker stop -t (\d+)", (root / "docs/service.md").read_text("utf-8"))
    assert int(said) > Settings.model_fields["leave_within_s"].default


@pytest.mark.parametrize("port", ["", "8123"])
def test_the_image_asks_for_its_health_where_it_listens(root: Path, port: str) -> None:
    """Its command by a Python of ours, which says whom it would ask."""
    (command,) = re.findall(r"CMD (\[.*urlopen.*\])", (root / "Dockerfile").read_text("utf-8"))
    asks = json.loads(command)[2].replace("urllib.request.urlopen", "print")
    environ = {**os.environ, "FLUKEPRINT_PORT": port}
    said = subprocess.run(
        [sys.executable, "-c", asks.replace("timeout=4", "end=''")], env=environ, capture_output=True, text=True, check=True
    )
    assert said.stdout == f"http://127.0.0.1:{port or 8000}/healthz"


def test_github_builds_the_image_and_brings_the_composition_up(root: Path) -> None:
    jobs = yaml.safe_load((root / ".github/workflows/checks.yml").read_text("utf-8"))["jobs"]
    steps = " ".join(step.get("run", "") for step in jobs["image"]["steps"])
    assert all(f"docker compose {verb}" in steps for verb in ("config", "build", "up --detach --wait", "down"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_the_images_steps_make_in_a_clean_folder_serves(root: Path, tmp_path: Path) -> None:
    clean, image = tmp_path / "source", tmp_path / "flukeprint"
    for file in own_files(root):
        target = clean / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    bare = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE") if key in os.environ}
    subprocess.run([clean / "scripts/build_image", image, "server"], env=bare, check=True, timeout=500, capture_output=True)
    shutil.rmtree(clean)
    there = {path.name for path in (image / "app").iterdir()}
    assert {"tests", "training", "demo", "bench", ".git"} & there == set()
    packages = subprocess.run(
        [image / "venv/bin/python", "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert [name for name in ("torch", "timm", "pytest", "schemathesis", "rembg") if f"\n{name}==" in f"\n{packages}"] == []
    told = subprocess.run(
        [image / "bin/flukeprint", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert told.startswith("flukeprint ")
    made = {path: path.lstat().st_mode for path in image.rglob("*")}
    for path, mode in made.items():
        if not path.is_symlink():
            path.chmod(mode & 0o555)
    (tmp_path / "key").write_text("k" * 40)
    said = {"FLUKEPRINT_DATA_DIR": str(tmp_path / "data"), "FLUKEPRINT_ADMIN_KEY_FILE": str(tmp_path / "key")}
    environ = bare | said | {"FLUKEPRINT_HOST": "0.0.0.0", "FLUKEPRINT_PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    python = [*WITHOUT_CAPABILITIES, str(image / "venv/bin/python")]
    writing = [*python, "-c", f"open({str(image / 'app' / 'x')!r}, 'w')"]
    assert "Permission denied" in subprocess.run(writing, capture_output=True, text=True, check=False).stderr
    command = [*python, image / "app/cli.py", "serve"]
    child = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        answer = asked_once(child)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.communicate()
    assert answer["decision"] == "new"
    assert set(image.rglob("*")) == set(made)  # nothing was written beside it


def asked_once(child: subprocess.Popen[str]) -> dict[str, Any]:
    """An answer of the service that this process starts."""
    assert child.stderr is not None
    lines = []
    for line in child.stderr:
        lines.append(line)
        if found := re.search(r"listens on http://0\.0\.0\.0:(\d+)", line):
            break
    else:
        raise AssertionError("".join(lines))
    url = f"http://127.0.0.1:{found[1]}"
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        assert answer.status == 200
    asked = urllib.request.Request(f"{url}/v1/identify", PHOTO, {"X-API-Key": "k" * 40, "Content-Type": "image/jpeg"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told
