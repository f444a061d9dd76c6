"""What can go wrong between a vector and its neighbours.

VectorIndexError
├── IndexHeld          another process has the index open
├── IndexUnavailable   the engine cannot be reached or does not start
├── IndexDamaged       the files are not what was written; a rebuild mends them
├── VectorRefused      a vector of the wrong length, not finite, or not of unit length
└── FactRefused        an id, place, box or radius that cannot be
"""

from __future__ import annotations

from errors import FlukeprintError


class VectorIndexError(FlukeprintError):
    """The index could not do what it was asked."""


class IndexHeld(VectorIndexError):
    """Another process has this index open; the message names it."""


class IndexUnavailable(VectorIndexError):
    """The engine cannot be reached, or did not start."""


class IndexDamaged(VectorIndexError):
    """What lies on disk is not what was written; rebuild it from the catalogue."""


class VectorRefused(VectorIndexError):
    """A vector of the wrong length, not finite, or not of unit length."""


class FactRefused(VectorIndexError):
    """An id, a place, a box or a radius that no point and no filter can have."""
