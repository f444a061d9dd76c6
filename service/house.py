"""What one running service holds: opened once, in the lifespan, and closed with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request

from catalog.desk import Desk
from encoder import golden
from encoder.errors import RuntimeUnavailable
from encoder.mask import MODEL, Masker, open_masker
from indexer.station import Station, limits, open_station
from service.errors import NotInstalled, StartRefused
from service.gate import Gate
from service.keyring import Caller, Keyring, take_admin_key
from service.measures import Measures
from service.places import is_own
from service.rates import Rates
from service.traces import Traces
from settings import Settings, secret_in

log = logging.getLogger("flukeprint.service")


@dataclass
class House:
    settings: Settings
    station: Station
    desk: Desk
    gate: Gate
    keyring: Keyring
    rates: Rates
    measures: Measures
    traces: Traces | None
    _masker: Masker | None = None  # opened when the first mask is asked for: most services never are
    under_way: set[str] = field(default_factory=set)  # tokens of requests with an Idempotency-Key
    leaving: bool = False  # since SIGTERM: what is begun ends, what is new is refused
    gone: threading.Event = field(default_factory=threading.Event)  # the same for jobs, which nobody waits for: they break off

    def leave(self) -> None:
        """Safe in a signal's handler, which a second signal may interrupt: an event that is being set cannot be set again."""
        if not self.leaving:
            self.leaving = True
            self.gone.set()

    def masker(self) -> Masker:
        """In the masks' lane only, whose one thread opens it once."""
        if self._masker is None:
            model = self.settings.mask_model or self.settings.data_dir / MODEL
            try:
                self._masker = open_masker(model, self.settings.data_dir / "masks", limits(self.settings))
            except RuntimeUnavailable as error:
                raise NotInstalled(f"Backgrounds cannot be removed here. {error}") from error
        return self._masker


@contextmanager
def open_house(settings: Settings, measures: Measures, traces: Traces | None = None) -> Iterator[House]:
    """Everything that cannot work is said now, before the first request."""
    if settings.mask_model is not None and not settings.mask_model.is_file():
        raise StartRefused(
            f"FLUKEPRINT_MASK_MODEL names {settings.mask_model}, which is no file. Mend the path, or fetch the model: "
            "make mask-model."
        )
    with open_station(settings, streams=settings.streams) as station:
        desk = Desk(station.catalogue)
        if settings.admin_key_file is not None:
            take_admin_key(desk, secret_in(settings.admin_key_file, "ADMIN_KEY_FILE"))
        keys, now = desk.keys(), datetime.now(UTC)
        keyless = not keys
        if not is_own(settings.host) and not any(key.lives(now) for key in keys):
            lacking = "there is no key yet" if keyless else "every key was revoked or has expired"
            raise StartRefused(
                f"The service would listen on {settings.host}, which others can reach, and {lacking}. "
                "Make one first: flukeprint keys create --role admin, or set FLUKEPRINT_ADMIN_KEY_FILE."
            )
        if keyless:
            log.warning(
                "NO KEY EXISTS: everybody on this machine may read and change the catalogue. "
                "To ask for one from now on: flukeprint keys create --role admin"
            )
        station.calibration()  # the first answer need not wait for it
        off = station.encoder.golden_difference()
        if off > golden.WITHIN:
            raise StartRefused(
                f"The encoder {station.bundle_id} on {settings.runtime} is off its golden vectors by {off:.2g}, so its answers "
                "would be wrong. Set FLUKEPRINT_RUNTIME to the other runtime, or install the pinned versions again."
            )
        measures.bundle.labels(station.bundle_id, settings.runtime).set(1)
        gate = Gate(streams=settings.streams, queue=settings.queue)
        open_to = settings.user if is_own(settings.host) else None
        station.tend()
        try:
            keyring = Keyring(desk, reads=gate.keys, writes=gate.desk, open_to=open_to)
            yield House(settings, station, desk, gate, keyring, Rates(settings.requests_per_minute), measures, traces)
        finally:
            gate.close()


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller
