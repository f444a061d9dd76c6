"""What to say where a question was narrowed to a species that no individual is of: which there are, and the nearest."""

from __future__ import annotations

import difflib

from catalog.catalogue import Catalogue
from catalog.names import shown

MOST = 10  # that are named


def lacking(catalogue: Catalogue, asked: str | None) -> str | None:
    """A sentence, or None where no species was asked for, or somebody is of it."""
    if asked is None or asked in (there := catalogue.species()):
        return None
    if not there:
        return f"No individual is said to be of the species {shown(asked)}, nor of any other."
    folded = {one.casefold(): one for one in sorted(there)}
    near = difflib.get_close_matches(asked.casefold(), folded, n=1)
    hint = f": did you mean {shown(folded[near[0]])}?" if near else "."
    some = ", ".join(map(shown, sorted(there)[:MOST])) + (" and others" if len(there) > MOST else "")
    return f"No individual is of the species {shown(asked)}{hint} There are: {some}."
