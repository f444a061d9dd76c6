"""Public sets of labelled photos: what there is, under which terms, and the way to each.

What may be fetched by a program is fetched, in pieces: a transfer that broke off goes on where it was, and what arrived is
checked against its length and, where it is known, its hash. The others need a person to accept terms first; then we say how.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import FetchRefused

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Download:
    url: str
    file: str
    sha256: str | None = None  # None: the publisher states none; the first transfer's is kept beside it


@dataclass(frozen=True, slots=True)
class Dataset:
    title: str
    page: str
    licence: str
    animals: str
    photos: int
    individuals: int
    how: str  # what to do, or what follows the fetch
    downloads: tuple[Download, ...] = ()


DATASETS: Mapping[str, Dataset] = {
    "beluga-id-2022": Dataset(
        "Beluga ID 2022",
        "https://lila.science/datasets/beluga-id-2022/",
        "CDLA-Permissive-1.0",
        "beluga whales of Cook Inlet, from above and from the side",
        5902,
        788,
        "Unpack it; then --data with the JSON in its folder annotations, --images with its folder of images.",
        (
            Download(
                "https://lilawildlife.blob.core.windows.net/lila-wildlife/wild-me/beluga.coco.tar.gz", "beluga.coco.tar.gz"
            ),
        ),
    ),
    "happywhale": Dataset(
        "Happywhale: Whale and Dolphin Identification",
        "https://www.kaggle.com/competitions/happy-whale-and-dolphin",
        "the competition's rules: not for commercial use",
        "backs and fins of 30 species of whales and dolphins",
        51033,
        15587,
        "Accept the rules on its page, download with Kaggle's own client; then --data train.csv --images train_images.",
    ),
    "humpback-2019": Dataset(
        "Humpback Whale Identification",
        "https://www.kaggle.com/competitions/humpback-whale-identification",
        "the competition's rules: not for commercial use",
        "flukes of humpback whales",
        25361,
        5004,
        "Accept the rules on its page, download with Kaggle's own client; then --data train.csv --images train.",
    ),
}


def fetch(
    dataset: Dataset, folder: Path, *, tick: Callable[[int, int | None], None] = lambda _done, _all: None, timeout_s: float = 60
) -> tuple[Path, ...]:
    """The files, whole and checked. `tick` is told the bytes that are there, and of how many."""
    if not dataset.downloads:
        raise FetchRefused(f"{dataset.title} is not fetched by a program ({dataset.licence}). {dataset.how} See {dataset.page}")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_fetch(download, folder / download.file, tick, timeout_s) for download in dataset.downloads)


def _fetch(download: Download, target: Path, tick: Callable[[int, int | None], None], timeout_s: float) -> Path:
    if target.exists():
        _check(download, target)
        return target
    part = target.with_name(target.name + ".part")
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(download.url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # nosec B310: the URLs above
            if there and answer.status != 206:
                there = 0  # it cannot go on in the middle, so it begins again
            length = answer.headers.get("Content-Length")
            whole = there + int(length) if length else None
            with part.open("ab" if there else "wb") as file:
                while piece := answer.read(PIECE):
                    file.write(piece)
                    there += len(piece)
                    tick(there, whole)
                file.flush()
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part was whole
            raise FetchRefused(
                f"{download.url} answered {error.code} {error.reason}. See whether the file has moved."
            ) from error
        whole = there
    except OSError as error:
        raise FetchRefused(
            f"{download.url} broke off at {there:,} bytes ({error}). Fetch again: it goes on from there."
        ) from error
    if whole is not None and there < whole:
        raise FetchRefused(f"{download.url} broke off at {there:,} of {whole:,} bytes. Fetch again: it goes on from there.")
    part.replace(target)
    _check(download, target)
    return target


def _check(download: Download, target: Path) -> None:
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = target.with_name(target.name + ".sha256")
    expected = download.sha256 or (note.read_text("ascii").strip() if note.exists() else digest)
    if digest != expected:
        raise FetchRefused(f"{target} has sha256 {digest}, expected {expected}. Delete it and fetch again.")
    note.write_text(digest + "\n", "ascii")
