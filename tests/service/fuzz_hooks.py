"""What schemathesis is told of our files: where it wants one, it is to take a real photo or archive now and then."""

from __future__ import annotations

import io
import zipfile

import schemathesis
from hypothesis import strategies as st
from schemathesis.transport.serialization import Binary

from demo import animals

PHOTOS = [animals.photo(individual, 0, size=(320, 240)) for individual in range(3)]


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number, photo in enumerate(PHOTOS):
            made.writestr(f"W{number}/a.jpg", photo)
    return out.getvalue()


schemathesis.openapi.format("binary", st.sampled_from([*PHOTOS, _archive()]).map(Binary) | st.binary(max_size=500).map(Binary))
