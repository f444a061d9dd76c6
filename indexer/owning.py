"""Whose the sightings are, remembered as long as nothing happens: every identification asks it of some seventy of them.

Who owns a sighting changes by an event alone, so what was read holds until the follower, which looks before each question,
has seen another. Nothing is forgotten one by one: an event, or too many known, and it begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from catalog.catalogue import Catalogue
from catalog.values import Owner
from indexer.reconcile import Follower

MOST = 50_000  # sightings remembered, some 15 MB


class Owning:
    """The owners of an open catalogue. Safe to call from several threads."""

    def __init__(self, catalogue: Catalogue, follower: Follower) -> None:
        self._catalogue, self._follower = catalogue, follower
        self._kept: tuple[int, dict[int, Owner | None]] = (-1, {})  # up to which event, and what was read since; None: nobody's

    def owners(self, sighting_ids: Sequence[int]) -> dict[int, Owner]:
        """Whose they are, for the live ones among them."""
        seen = self._follower.seen
        at, known = self._kept
        if at != seen or len(known) > MOST:
            known = {}
            self._kept = seen, known
        if unknown := [sighting for sighting in sighting_ids if sighting not in known]:
            found = self._catalogue.owners(unknown)
            known.update((sighting, found.get(sighting)) for sighting in unknown)
        return {sighting: owner for sighting in sighting_ids if (owner := known[sighting]) is not None}
