"""The layout of an index that grows: built anew when it asks for that, at the end of a long write or beside a service.

A failure is no reason to fail what was done: searches go on as before, only not as fast.
"""

from __future__ import annotations

import logging
import threading

from errors import FlukeprintError
from vector_db.errors import VectorIndexError
from vector_db.port import VectorIndex

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
AFTER_FAILURE_S = 3600.0  # too little space, as a rule


def lay_out(index: VectorIndex) -> str | None:
    """Build it in the layout that its size asks for, where it is not. Why that failed; None where all is well."""
    try:
        index.optimise()
    except VectorIndexError as error:
        return str(error)
    return None


class Tending:
    """Does so in a thread of its own, from construction on; searches and writes go on meanwhile.

    To end it: `stop()`, close the index, which breaks a building off, and `join()`.
    """

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._over.wait(pause_s):
            try:
                self._index.optimise()
                pause_s = LOOK_EVERY_S
            except FlukeprintError as error:  # of the catalogue too, where a worker is replaced meanwhile
                pause_s = AFTER_FAILURE_S
                if not self._over.is_set():
                    log.warning("The index keeps its layout for now: %s", error)
