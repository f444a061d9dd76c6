"""Whether an answer is right: it equals what the offline pipeline says of that photo and catalogue.

While others enrol, the catalogue of an answer is one of those that stood between its question and itself. So what was
enrolled is enrolled offline too, one after the other as the service's events are numbered, and after each one the answers
are compared that may have been given then. Enrolments themselves must come out alike as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from encoder.values import Box, Encoded
from indexer.asking import second
from indexer.enrol import enrol
from indexer.given import Given
from indexer.sightings import Source
from indexer.station import Station
from loadtests.plan import Sample
from matching.identify import QueryPhoto, identify

WITHIN = 1e-4  # of scores and probabilities, which are rounded nowhere
NOT_COMPARED = {"identification_id", "timings_ms"}  # of the occasion, not of the photo and the catalogue
Answer = dict[str, Any]


class Reference(Protocol):
    """What answers should be: the offline pipeline's, or those of a quiet service."""

    def wrong(self, samples: Sequence[Sample]) -> dict[str, str]:
        """By the ids of the wrong ones: what was wrong."""


class Remembering:
    """An encoder that encodes each photo once: thousands of answers are about a few photos."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self._known = encoder, dict[bytes, Encoded]()
        self.bundle_id: str = encoder.bundle_id

    def encode(self, data: bytes, box: Box | None = None) -> Encoded:
        if data not in self._known:
            self._known[data] = self._encoder.encode(data, box)
        return self._known[data]


@dataclass(frozen=True, slots=True)
class _Claim:
    """One answer about one photo, and the enrolments that it must and may know of: the first `least` to `most`."""

    sample: str
    photo: str
    answer: Answer
    least: int
    most: int


class Offline:
    """The offline pipeline on a copy of the catalogue. Used once: it enrols what the service has enrolled."""

    def __init__(self, station: Station, photos: Iterable[Path], newcomers: Path) -> None:
        self._station, self._encoder = station, Remembering(station.encoder)
        self._photos = {path.name: path.read_bytes() for path in photos}
        self._newcomers = newcomers

    def wrong(self, samples: Sequence[Sample]) -> dict[str, str]:
        said, found = _read(samples)
        done = [one for one in samples if one.id in said]
        enrolled = sorted((one for one in done if one.action == "enrol"), key=lambda one: said[one.id].get("event_id") or 0)
        self._browsed(done, said, found)
        waiting = [claim for one in done for claim in _claims(one, said[one.id], enrolled, found)]
        for state in range(len(enrolled) + 1):
            if state:
                self._enrol(enrolled[state - 1], said, found)
            answers: dict[str, Answer] = {}
            left = []
            for claim in waiting:
                if not claim.least <= state <= claim.most:
                    left += [claim] if state < claim.least else []
                    continue
                if claim.photo not in answers:
                    answers[claim.photo] = self.answer(claim.photo)
                differs = difference(answers[claim.photo], claim.answer)
                if differs is not None and state < claim.most:
                    left.append(claim)
                elif differs is not None:
                    found[claim.sample] = f"{claim.photo}: {differs}"
            waiting = left
        return found

    def answer(self, photo: str) -> Answer:
        """About the catalogue as it is now, not kept."""
        station = self._station
        told: Answer = identify(
            [QueryPhoto(photo, self._photos[photo])],
            encoder=self._encoder,
            index=station.index,
            catalogue=station.catalogue,
            calibration=station.calibration(),
            second=second(station, station.settings.second_opinion),
        ).to_json()
        return told

    def _browsed(self, samples: Iterable[Sample], said: Mapping[str, Answer], found: dict[str, str]) -> None:
        """Of those who are looked at, none changes."""
        books, known = self._station.catalogue, dict[str, Answer]()
        for one in samples:
            if one.action != "browse":
                continue
            if one.what not in known:
                number = int(one.what)
                sightings = [asdict(sighting) for sighting in books.sightings_of(number)]
                known[one.what] = _as_json(asdict(books.individual_summary(number)) | {"sightings": sightings})
            if differs := difference(known[one.what], said[one.id]):
                found[one.id] = differs

    def _enrol(self, sample: Sample, said: Mapping[str, Answer], found: dict[str, str]) -> None:
        number = int(sample.what.rpartition("-")[2])
        file = f"{number}.jpg"
        source = Source(file, Given(), data=(self._newcomers / file).read_bytes())
        done = enrol(self._station, sample.what, [source], who="loadtest")
        expected = _as_json(asdict(done))
        if differs := difference(expected, {key: said[sample.id].get(key) for key in expected}):
            found[sample.id] = differs


class Quiet:
    """The answers of a service while nobody else asked it: for one whose catalogue is not at hand."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers

    def wrong(self, samples: Sequence[Sample]) -> dict[str, str]:
        said, found = _read(samples)
        for one in samples:
            if one.id in said and one.action == "identify":
                differs = difference(self._answers[one.what], said[one.id])
                if differs is not None:
                    found[one.id] = f"{one.what}: {differs}"
        return found


def _read(samples: Iterable[Sample]) -> tuple[dict[str, Answer], dict[str, str]]:
    """What was said, by the ids of what was answered; and of those that are none, what is wrong."""
    said, wrong = dict[str, Answer](), dict[str, str]()
    for one in samples:
        if one.body is None or one.status // 100 != 2:
            continue
        try:
            told = json.loads(one.body)
        except ValueError:
            told = None
        if isinstance(told, dict):
            said[one.id] = told
        else:
            wrong[one.id] = f"{one.what}: the answer is no JSON object: {one.body[:80]!r}"
    return said, wrong


def _claims(sample: Sample, said: Answer, enrolled: Sequence[Sample], found: dict[str, str]) -> list[_Claim]:
    if sample.action not in ("identify", "batch"):
        return []
    least = max((number for number, one in enumerate(enrolled, 1) if one.ended <= sample.begun), default=0)
    most = max((number for number, one in enumerate(enrolled, 1) if one.begun <= sample.ended), default=0)
    if sample.action == "identify":
        return [_Claim(sample.id, sample.what, said, least, most)]
    try:
        rows = [(" ".join(row["photos"]), row["state"], row["reason"], row["answer"]) for row in said["rows"]]
    except (KeyError, TypeError):
        found[sample.id] = f"a batch's result is none: {str(said)[:80]}"
        return []
    if undone := [row for row in rows if row[1] != "done"]:
        found[sample.id] = f"{undone[0][0]} of a batch is {undone[0][1]}: {undone[0][2]}"
    elif sorted(row[0] for row in rows) != sample.what.split():
        found[sample.id] = f"a batch of {sample.what} has the rows {', '.join(row[0] for row in rows)}"
    else:
        return [_Claim(sample.id, photo, answer, least, most) for photo, _, _, answer in rows]
    return []


def difference(expected: Any, given: Any, where: str = "") -> str | None:
    """The first, in words; None where there is none.

    >>> difference({"a": [1.0, 2]}, {"a": [1.00001, 3]})
    'a.1 is 3, expected 2'
    """
    if isinstance(expected, dict) and isinstance(given, dict):
        keys = (expected.keys() | given.keys()) - NOT_COMPARED
        return _first(difference(expected.get(key), given.get(key), f"{where}.{key}") for key in sorted(keys))
    if isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        pairs = enumerate(zip(expected, given, strict=True))
        return _first(difference(one, other, f"{where}.{number}") for number, (one, other) in pairs)
    if _is_number(expected) and _is_number(given) and abs(expected - given) <= WITHIN:
        return None
    if expected == given:
        return None
    return f"{where.lstrip('.') or 'the answer'} is {str(given)[:100]}, expected {str(expected)[:100]}"


def _first(differences: Iterable[str | None]) -> str | None:
    return next((one for one in differences if one is not None), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_json(value: Any) -> Any:
    told: Callable[[Any], str] = lambda one: one.isoformat() if isinstance(one, date | datetime) else str(one)  # noqa: E731
    return json.loads(json.dumps(value, default=told))
