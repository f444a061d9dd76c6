"""Photos that are to be enrolled and look like another individual's: said before they become a second name of one animal.

All together, and each by itself: one photo of a known animal among many of another is lost in their mean. An animal that is
there under two names already is told with both. Looked at twice: before anything is written, and, where something has happened
in the catalogue since, once more when nobody else can write, or two who enrol one animal at once would not see each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catalog.names import shown
from encoder.errors import PhotoRefused
from indexer.sightings import Source
from indexer.station import Station
from matching.answer import Answer
from matching.identify import Options, QueryPhoto, identify
from matching.ports import Encodes
from service.errors import LooksAlike


class Guard:
    """Of one enrolment. `encoder` remembers, since each photo is looked at more than once."""

    def __init__(self, station: Station, whom: str | int, sources: Sequence[Source], encoder: Encodes) -> None:
        self._station, self._whom, self._encoder = station, whom, encoder
        self._photos = [QueryPhoto(source.name, source.data, source.given.box) for source in sources]
        self._calibration = station.calibration()  # now: the second look is inside a write, and this may write
        self._seen = -1

    def look(self) -> None:
        """`LooksAlike`, where the photos, or one of them, are known as another individual, or as one of two that are alike."""
        self._station.follower.follow()
        self._seen = self._station.follower.seen
        for photos in self._questions():
            try:
                answer = self._ask(photos)
            except PhotoRefused:  # enrolling says so of each
                continue
            if others := self._others(answer):
                raise self._refusal(photos, others)

    def look_again(self) -> None:
        """The same, unless nothing has happened since."""
        if self._station.catalogue.last_event_id() != self._seen:
            self.look()

    def _questions(self) -> Iterator[Sequence[QueryPhoto]]:
        yield self._photos
        if len(self._photos) > 1:
            yield from ([photo] for photo in self._photos)

    def _ask(self, photos: Sequence[QueryPhoto]) -> Answer:
        station = self._station
        return identify(
            photos,
            encoder=self._encoder,
            index=station.index,
            catalogue=station.catalogue,
            calibration=self._calibration,
            options=Options(alike=True),
        )

    def _others(self, answer: Answer) -> list[dict[str, Any]]:
        alike: list[dict[str, Any]] = answer.to_json()["candidates"][: answer.alike]
        return [] if any(self._whom in (one["name"], one["individual_id"]) for one in alike) else alike

    def _refusal(self, photos: Sequence[QueryPhoto], others: Sequence[dict[str, Any]]) -> LooksAlike:
        what = "The photos look" if len(photos) > 1 or len(self._photos) == 1 else f"The photo {shown(photos[0].name)} looks"
        who = " and ".join(f'"{one["name"]}" (individual {one["individual_id"]})' for one in others)
        sure = (
            f"right with {others[0]['probability']:.0%}"
            if len(others) == 1
            else "which are themselves alike and may be one animal"
        )
        them = shown(self._whom) if isinstance(self._whom, str) else f"individual {self._whom}"
        which = "that individual" if len(others) == 1 else "one of them"
        return LooksAlike(
            f"{what} like {who}, {sure}. Add them to {which}, or send force=true to enrol them as {them} all the same. "
            "Nothing was enrolled.",
            candidate=others[0],
            candidates=others,
        )
