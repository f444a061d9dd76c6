"""What every room's tests share: the options, a clean environment, and the way to what lies beside the checkout."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def prepared_otherwise() -> Callable[..., Path]:
    """A bundle made of another by preparing its input otherwise, with the golden vectors that it then gives."""
    from encoder.encode import open_encoder
    from encoder.golden import golden_photo
    from encoder.preprocess import to_tensor
    from encoder.session import open_session

    def made(of: Path, folder: Path, **said: Any) -> Path:
        shutil.copytree(of, folder)
        contract = json.loads((folder / "bundle.json").read_text("utf-8")) | said
        numbers = [golden["photo"] for golden in contract["golden"]]
        contract["golden"] = []
        (folder / "bundle.json").write_text(json.dumps(contract), "utf-8")
        with closing(open_encoder(folder)) as encoder, closing(open_session(encoder.bundle)) as session:
            bundle = encoder.bundle
            for number in numbers:
                pixels = golden_photo(number)
                fit = bundle.shape.fit(pixels.shape[1], pixels.shape[0])
                vector, norm = session.run(to_tensor(pixels, fit, bundle.mean, bundle.std))
                contract["golden"].append({"photo": number, "norm": float(norm), "vector": vector.tolist()})
        (folder / "bundle.json").write_text(json.dumps(contract), "utf-8")
        return folder

    return made
