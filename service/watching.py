"""The look that a service takes at itself every so often, so that asking for /metrics costs nothing: sizes, jobs, drift,
calibration in use.

Where nothing was asked or written since the last look, none of it is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from catalog.watch import Watch
from errors import FlukeprintError
from indexer.drifting import baselines, measure_drift
from matching.drift import Baseline, Measure
from service.errors import Busy
from service.house import House
from service.measures import number

log = logging.getLogger("flukeprint.service")


class Watcher:
    """Runs in the event loop; the look itself is in the books' lane."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._watch = Watch(house.station.catalogue)
        self._wake = asyncio.Event()
        self._seen: object = None
        self._known: dict[Measure, Baseline | None] = {}
        self._known_at: object = None

    def wake(self) -> None:
        """Look now, or leave."""
        self._wake.set()

    async def run(self) -> None:
        """Until the house is left."""
        while not self._house.leaving:
            self._wake.clear()
            try:
                await self._house.gate.books.run(self.look)
            except Busy:
                pass  # next time
            except FlukeprintError as error:
                log.warning("the service could not look at itself: %s", error)
            except Exception:  # a look that fails must not end the looking
                log.exception("the service could not look at itself")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._house.settings.metrics_every_s)

    def look(self) -> None:
        house, measures, station = self._house, self._house.measures, self._house.station
        tell_lanes(house)
        for state, count in self._watch.job_counts().items():
            measures.jobs.labels(state).set(count)
        measures.index_points.set(station.index.count())
        event, asked = station.catalogue.last_event_id(), self._watch.last_asked()
        if (event, asked) != self._seen:
            for what, count in self._watch.sizes().items():
                measures.catalogue.labels(what).set(count)
            self._look_at_drift(event)
            self._seen = event, asked
        measures.watched.set(time.time())

    def _look_at_drift(self, event: int) -> None:
        station, measures = self._house.station, self._house.measures
        if event != self._known_at:
            station.follower.follow()  # or the calibration stays of the log as the last question found it
            station.calibration()  # fitted again where the catalogue has grown: its trials are the baseline of top scores
            self._known, self._known_at = baselines(station.catalogue, station.bundle_id), event
        found = measure_drift(station.catalogue, station.bundle_id, self._known)
        for one in found.shifts:
            measures.psi.labels(one.measure).set(number(one.psi))
        measures.drift_photos.set(found.photos)
        measures.judged.set(found.in_use.answers)
        measures.stated.set(number(found.in_use.stated))
        measures.right.set(number(found.in_use.right))
        measures.gap.set(number(found.in_use.gap))
        if found.photos:
            self._watch.keep_drift(station.bundle_id, photos=found.photos, measured=found.to_json())


def tell_lanes(house: House) -> None:
    """How full the lanes are now."""
    for name, lane in house.gate.lanes().items():
        house.measures.inside.labels(name).set(lane.inside)
        house.measures.places.labels(name).set(lane.room)
        house.measures.at_once.labels(name).set(lane.threads)
