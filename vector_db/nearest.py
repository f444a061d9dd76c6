"""Which neighbours an answer holds when scores are equal: highest first, then by id, also where equal scores are cut off.

An engine cuts equal scores wherever it likes. So it is asked for some more than are wanted, and for many more where the
last of them still ties with the last wanted one. Rounding may take a cosine a hair beyond 1; it is brought back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vector_db.port import Neighbour

MARGIN = 8
MOST = 1 << 40  # an engine's own counting ends before Python's


def limits(top: int) -> Iterator[int]:
    """How many to ask for, until `nearest` is satisfied; nothing where nothing is wanted."""
    limit = min(top, MOST) + MARGIN
    while top > 0:
        yield limit
        limit *= 4


def nearest(found: Sequence[tuple[int, float]], top: int, limit: int) -> list[Neighbour] | None:
    """The `top` of what came for `limit`, or None where equal scores reach beyond it.

    >>> nearest([(7, 0.9), (3, 0.9), (5, 0.1)], 1, 3)
    [Neighbour(id=3, score=0.9)]
    """
    ranked = sorted([(-max(-1.0, min(1.0, score)), id) for id, score in found])
    if len(ranked) >= limit and ranked[-1][0] == ranked[top - 1][0]:
        return None
    return [Neighbour(id, -away) for away, id in ranked[:top]]
