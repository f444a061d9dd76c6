"""The demo's end: the service runs on the demo's catalogue, and the line that it prints works when pasted."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from demo import animals
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import open_station
from settings import read_settings

STARTED = "import sys, demo.serving as end; from pathlib import Path; sys.exit(end.serve(Path(sys.argv[1]), Path(sys.argv[2])))"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_line_that_it_prints_works_when_pasted_and_ctrl_c_ends_it(root: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a photo.jpg"
    photo.write_bytes(animals.photo(1, 0, size=(320, 240)))
    with open_station(read_settings({}, data_dir=tmp_path / "data")) as station:
        enrol(station, "Muddy", [Source("a.jpg", Given(), path=photo)], who="the tests")
    command = [sys.executable, "-c", STARTED, str(tmp_path / "data"), str(photo)]
    environ = os.environ | {"FLUKEPRINT_DATABASE_URL": "sqlite:////nowhere/real.db"}  # of which the demo takes no notice
    with subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        assert demo.stdout is not None
        line = next(line for line in demo.stdout if line.strip().startswith("curl"))
        said = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True, timeout=60)
        assert json.loads(said.stdout)["candidates"][0]["name"] == "Muddy"
        assert re.search(r"http://127\.0\.0\.1:\d+/v1/identify", line)
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        assert demo.wait(30) == 0


def test_who_is_told_to_end_takes_the_service_along(root: Path, tmp_path: Path) -> None:
    with open_station(read_settings({}, data_dir=tmp_path / "data")):
        pass
    command = [sys.executable, "-c", STARTED, str(tmp_path / "data"), "a.jpg"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert any(line.strip().startswith("curl") for line in demo.stdout)
        (service,) = psutil.Process(demo.pid).children()
        demo.terminate()
        assert demo.wait(60) == 128 + signal.SIGTERM
        assert not service.is_running()
