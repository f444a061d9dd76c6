"""Public sets of labelled photos: what there is, under which terms, and the way to each.

What may be fetched by a program is fetched, in pieces: a transfer that broke off goes on where it was, if the server says that
the file is still the same, and what arrived is checked against its length and, where one is known, a hash. The others need a
person to accept terms first; then we say how.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Literal

from .errors import FetchRefused

PIECE = 1 << 20
Tick = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Download:
    url: str
    file: str
    sha256: str | None = None  # None: the publisher states none; the first transfer's is kept beside it


@dataclass(frozen=True, slots=True)
class Fetched:
    file: Path
    sha256: str
    against: Literal["stated", "kept"] | None  # what the hash was held against: the publisher's, an earlier transfer's, nothing


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
    dataset: Dataset, folder: Path, *, tick: Tick = lambda _done, _all: None, timeout_s: float = 60
) -> tuple[Fetched, ...]:
    """The files, whole. `tick` is told the bytes that are there, and of how many."""
    if not dataset.downloads:
        raise FetchRefused(f"{dataset.title} is not fetched by a program ({dataset.licence}). {dataset.how} See {dataset.page}")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_fetch(download, folder / download.file, tick, timeout_s) for download in dataset.downloads)


def _fetch(download: Download, target: Path, tick: Tick, timeout_s: float) -> Fetched:
    if target.exists():
        return _checked(download, target)
    part, version = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.version")
    known = version.read_text("utf-8") if version.exists() else ""
    there = part.stat().st_size if part.exists() and known else 0  # of an unknown version, it could be mixed with another
    headers = {"Range": f"bytes={there}-", "If-Range": known} if there else {}
    request = urllib.request.Request(download.url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # nosec B310: the URLs above
            if there and answer.status == 206 and not _goes_on(answer.headers, there, known):
                return _again(download, target, tick, timeout_s)
            if answer.status != 206:
                there = 0  # it cannot go on in the middle, or the file is another by now
            length = answer.headers.get("Content-Length")
            whole = there + int(length) if length else None
            version.write_text(_version(answer.headers), "utf-8")
            with part.open("ab" if there else "wb") as file:
                while piece := answer.read(PIECE):
                    file.write(piece)
                    there += len(piece)
                    tick(there, whole)
                file.flush()
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        if error.code != 416 or not there:
            raise FetchRefused(
                f"{download.url} answered {error.code} {error.reason}. See whether the file has moved."
            ) from error
        # Nothing lies beyond the part: it is whole where it is as long as the file, and of another file where it is longer.
        whole = _length(error.headers)
        if whole != there:
            return _again(download, target, tick, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        raise FetchRefused(
            f"{download.url} broke off at {there:,} bytes ({error}). Fetch again: it goes on from there, where it can."
        ) from error
    if whole is not None and there < whole:
        raise FetchRefused(f"{download.url} broke off at {there:,} of {whole:,} bytes. Fetch again: it goes on from there.")
    part.replace(target)
    version.unlink()
    return _checked(download, target)


def _again(download: Download, target: Path, tick: Tick, timeout_s: float) -> Fetched:
    """From the first byte: what is there is of another version of the file."""
    target.with_name(target.name + ".part").unlink()
    return _fetch(download, target, tick, timeout_s)


def _version(headers: Message) -> str:
    """What `If-Range` takes: the entity tag unless it is a weak one, or the date of the last change, or nothing."""
    tag = str(headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", ""))


def _goes_on(headers: Message, there: int, known: str) -> bool:
    """Whether it is the rest of the same version; a server may know ranges and not heed `If-Range`."""
    begins = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return begins is not None and int(begins[1]) == there and _version(headers) in ("", known)


def _length(headers: Message) -> int | None:
    whole = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(whole[1]) if whole else None


def _checked(download: Download, target: Path) -> Fetched:
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = target.with_name(target.name + ".sha256")
    kept = note.read_text("ascii").strip() if note.exists() else None
    expected = download.sha256 or kept or digest
    if digest != expected:
        newer = "" if download.sha256 else f" (and {note.name}, where a newer one has been published)"
        raise FetchRefused(f"{target} has sha256 {digest}, expected {expected}. Delete it{newer} and fetch again.")
    note.write_text(digest + "\n", "ascii")
    return Fetched(target, digest, "stated" if download.sha256 else "kept" if kept else None)
