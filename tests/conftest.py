"""What every room's tests share: the options, a clean environment, and the way to what lies beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Two shared cores stall for seconds now and then, which says nothing of the code under test.
hypothesis.settings.register_profile(
    "flukeprint", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("flukeprint")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--qdrant-url", metavar="URL", help="run the index suite on this real Qdrant server too")


def pytest_configure() -> None:
    """No test may see the person's own settings, least of all the folder of their catalogue."""
    for key in [key for key in os.environ if key.startswith("FLUKEPRINT_") and not key.startswith("FLUKEPRINT_TEST_")]:
        del os.environ[key]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def qdrant_url(request: pytest.FixtureRequest) -> str:
    """The address given with `--qdrant-url`; without it the test is skipped."""
    url = request.config.getoption("--qdrant-url")
    if not url:
        pytest.skip("needs a real Qdrant server: pytest --qdrant-url URL")
    return str(url)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and contracts beside the checkout; without it the test is skipped."""
    folder = Path(os.environ.get("FLUKEPRINT_TEST_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder.name}/ beside the checkout, or FLUKEPRINT_TEST_SHARED")
    return folder
