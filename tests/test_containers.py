"""The containers as far as they can be proven without an engine: their steps, their settings, and what they may not hold."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.tree import own_files
from settings import Settings

KNOWN = {f"FLUKEPRINT_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text("utf-8"))
    return read


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
    assert "secrets" in (root / ".dockerignore").read_text("utf-8").split()


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
    for folder, _, names in os.walk(image):  # as on a read-only root, for whoever is not its owner
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o555)
    (tmp_path / "key").write_text("k" * 40)
    said = {"FLUKEPRINT_DATA_DIR": str(tmp_path / "data"), "FLUKEPRINT_ADMIN_KEY_FILE": str(tmp_path / "key")}
    environ = bare | said | {"FLUKEPRINT_HOST": "0.0.0.0", "FLUKEPRINT_PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [image / "venv/bin/python", image / "app/cli.py", "serve"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        assert child.stderr is not None
        lines = []
        for line in child.stderr:
            lines.append(line)
            if found := re.search(r"listens on http://0\.0\.0\.0:(\d+)", line):
                break
        else:
            raise AssertionError("".join(lines))
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/readyz", timeout=10) as answer:
            assert answer.status == 200
        child.send_signal(signal.SIGTERM)
        child.stderr.read()
        assert child.wait(30) == 0
