"""The demo's end: the service, in a process of its own, on the catalogue that the demo has made, until it is stopped."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from settings import PREFIX, ROOT

PORT = 8000
STARTS_WITHIN_S = 60.0


def serve(data: Path, photo: Path) -> int:
    """Start it, say where it is and how to ask it about this photo, and wait until it ends. Its exit code."""
    port = _free_port()
    command = [
        sys.executable,
        str(ROOT / "cli.py"),
        "serve",
        "--data-dir",
        str(data),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}  # the demo takes no settings
    environ[f"{PREFIX}LOG_LEVEL"] = "warning"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # or the service would outlive us
    with subprocess.Popen(command, env=environ) as service:
        try:
            if _answers(f"http://127.0.0.1:{port}/healthz", service):
                print(f"\nThe same catalogue over HTTP, until you stop it with Ctrl-C: http://127.0.0.1:{port}")
                print("Ask it from another terminal:\n")
                print(f"  curl -F photos=@{shlex.quote(str(photo))} http://127.0.0.1:{port}/v1/identify", flush=True)
            service.wait()
        except KeyboardInterrupt:  # the service was told too, and leaves in good order
            service.wait()
            return 0
        finally:
            service.terminate()
        return service.returncode


def _free_port() -> int:
    """The usual one, or any that is free."""
    for port in (PORT, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    return PORT  # then the service says why not


def _answers(url: str, service: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + STARTS_WITHIN_S
    while service.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=1):  # nosec B310: an http address of our own
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False
