"""The catalogue's second opinion: measured when a person asks for it, kept in the catalogue, and kept up as it grows.

Measuring makes local features of thousands of photos, which takes minutes the first time, so no question starts it. Once
measured, a question that finds the catalogue a tenth larger or smaller measures again, most features being kept by then.
"""

from __future__ import annotations

import json

from catalog.catalogue import Catalogue
from indexer.calibrating import Lessons
from matching.errors import CalibrationRefused
from matching.opinion import Opinion
from matching.ports import Looks
from matching.second_fit import Tick, form_opinion
from vector_db.port import VectorIndex

KEPT = "second_opinion"  # the fact


def measure_opinion(
    index: VectorIndex,
    catalogue: Catalogue,
    looks: Looks,
    bundle_id: str,
    new_share: float,
    tick: Tick = lambda *_: None,
) -> Opinion:
    """Now, and kept."""
    lessons = Lessons(catalogue, bundle_id)
    opinion = form_opinion(index, lessons, looks, bundle_id=bundle_id, new_share=new_share, tick=tick)
    catalogue.set_fact(KEPT, json.dumps(opinion.to_json()))
    return opinion


def fresh_opinion(index: VectorIndex, catalogue: Catalogue, looks: Looks, bundle_id: str, new_share: float) -> Opinion | None:
    """The kept one, measured again where the catalogue has changed by a tenth since; None where none was measured."""
    kept = _kept(catalogue)
    if kept is None or kept.bundle_id != bundle_id:
        return None
    if kept.new_share == new_share and not kept.is_stale(index.count()):
        return kept
    return measure_opinion(index, catalogue, looks, bundle_id, new_share)


def _kept(catalogue: Catalogue) -> Opinion | None:
    told = catalogue.fact(KEPT)
    try:
        return Opinion.from_json(json.loads(told)) if told is not None else None
    except (CalibrationRefused, ValueError):  # of another version: as if never measured
        return None
