"""A command in this process, on a data folder of its own for each test, and drawn photos."""

from __future__ import annotations

from pathlib import Path

import pytest
from said import SMALL, Run, Said

import cli
from demo import animals


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command on this test's data folder, in this process."""
    monkeypatch.setenv("FLUKEPRINT_DATA_DIR", str(tmp_path / "data"))

    def call(*words: object) -> Said:
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as leaving:  # argparse, for a wrong command line
            code = int(leaving.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for individual in range(3):
        for photo in range(3):
            path = folder / f"W{individual}" / f"{individual}-{photo}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(animals.photo(individual, photo, size=SMALL))
    return folder
