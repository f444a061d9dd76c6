"""What schemathesis is told of us: real photos and archives, and bodies that may succeed beside those that may not.

Left to itself it sends photos that are none and a text for a name that shows nothing: all refused at the door, and the
rooms behind are never seen. So of four bodies three are made sound; the fourth stays as wild as it came.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.hooks import HookContext
from schemathesis.transport.serialization import Binary

from demo import animals

DRAWN = [animals.photo(individual, 0, size=(320, 240)) for individual in range(3)]
WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=12, max_size=12)
# The same photo with a few bytes more at its end is another file.
FRESH = st.builds(lambda photo, end: photo + end, st.sampled_from(DRAWN), st.binary(min_size=8, max_size=8))
TAKEN = st.integers(1, 20)
TROUBLE = ("lat", "lon", "km", "box", "after", "before", "individual_id", "remark", "mask", "taken_on")


def zipped(photos: list[bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number, photo in enumerate(photos):
            made.writestr(f"W{number}/a.jpg", photo)
    return out.getvalue()


ARCHIVE = st.lists(FRESH, min_size=1, max_size=2).map(zipped)
schemathesis.openapi.format("binary", (FRESH | ARCHIVE | st.binary(max_size=500)).map(Binary))
SOUND: dict[str, st.SearchStrategy[Any]] = {
    "photos": st.lists(FRESH.map(Binary), min_size=1, max_size=2),
    "images": st.lists(FRESH.map(Binary), min_size=1, max_size=2),
    "file": FRESH.map(Binary),
    "archive": ARCHIVE.map(Binary),
    "name": WORD,
    "species": st.sampled_from(["humpback", "minke"]),
    "encounter": WORD,
    "viewpoint": st.sampled_from(["left", "right"]),
    "date": st.dates().map(lambda day: day.replace(year=2000 + day.year % 20).isoformat()),
    "force": st.just(True),
    "sightings": TAKEN.map(lambda number: [number]),
    "other": TAKEN,
    "identification_id": TAKEN,
}


@schemathesis.hook
def flatmap_body(context: HookContext, body: Any) -> st.SearchStrategy[Any]:
    if not isinstance(body, dict):
        return st.just(body)
    nameless = context.operation is not None and context.operation.label.endswith("/sightings")
    kept = {name: value for name, value in body.items() if name not in TROUBLE and not (nameless and name == "name")}
    return mostly(st.fixed_dictionaries({name: SOUND.get(name, st.just(value)) for name, value in kept.items()}), body)


@schemathesis.hook
def flatmap_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> st.SearchStrategy[Any]:  # noqa: ARG001
    """Numbers that are taken, where no link brought one."""
    if not path_parameters:
        return st.just(path_parameters)
    return mostly(st.fixed_dictionaries(dict.fromkeys(path_parameters, TAKEN)), path_parameters)


@schemathesis.hook
def flatmap_headers(context: HookContext, headers: Any) -> st.SearchStrategy[Any]:  # noqa: ARG001
    """It likes to send the same Idempotency-Key with all it sends."""
    if not headers or "Idempotency-Key" not in headers:
        return st.just(headers)
    return mostly(st.just({name: value for name, value in headers.items() if name != "Idempotency-Key"}), headers)


def mostly(sound: st.SearchStrategy[Any], wild: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 3).flatmap(lambda die: st.just(wild) if die == 3 else sound)
