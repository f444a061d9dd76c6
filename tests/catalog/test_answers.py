"""Identifications, calibrations, bundles and single facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from filling import BUNDLE, fill

from catalog.catalogue import Catalogue
from catalog.errors import EditConflict, NotKnown, ValueRefused

PHOTOS = [{"sha256": "ab" * 32, "name": "a.jpg", "box": None}]
ANSWER = {"decision": "known", "probability": 0.93, "candidates": [{"rank": 1, "name": "Käthi"}]}


def test_an_identification_is_kept_as_it_was_answered(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    before = datetime.now(UTC)
    first = catalogue.keep_identification(who="Ada", bundle_id=BUNDLE, photos=PHOTOS, answer=ANSWER)
    second = catalogue.keep_identification(who="Ada", bundle_id=BUNDLE, photos=[], answer={})
    assert second == first + 1
    kept = catalogue.identification(first)
    assert (kept.id, kept.who, kept.bundle_id, kept.photos, kept.answer) == (first, "Ada", BUNDLE, PHOTOS, ANSWER)
    assert before - timedelta(seconds=1) < kept.at <= datetime.now(UTC)
    assert catalogue.counts().identifications == 2
    assert catalogue.counts().events == 1


def test_an_identification_that_is_not_there_or_of_no_known_bundle_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(NotKnown, match="There is no identification 7"):
        catalogue.identification(7)
    with pytest.raises(EditConflict, match="contradicts what the catalogue"):
        catalogue.keep_identification(who="Ada", bundle_id="unknown", photos=PHOTOS, answer=ANSWER)


def test_an_identification_waits_for_no_disk(book: Catalogue) -> None:
    """Its connection asks SQLite not to sync each commit; the next durable one carries it along."""
    with book.transactions.casual.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    with book.transactions.durable.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_latest_calibration_of_a_bundle_counts(catalogue: Catalogue) -> None:
    fill(catalogue, {"Muddy": 1})
    assert catalogue.latest_calibration(BUNDLE) is None
    catalogue.put_calibration(BUNDLE, sightings=10, fitted={"slope": 1.5})
    catalogue.put_calibration(BUNDLE, sightings=20, fitted={"slope": 2.5})
    latest = catalogue.latest_calibration(BUNDLE)
    assert latest is not None
    assert (latest.bundle_id, latest.sightings, latest.fitted) == (BUNDLE, 20, {"slope": 2.5})
    assert latest.at.tzinfo is not None


def test_a_bundle_is_registered_once_and_never_with_other_content(catalogue: Catalogue) -> None:
    for _ in range(2):
        catalogue.register_bundle(BUNDLE, sha256="ab" * 32, dimension=8)
    assert [(one.id, one.sha256, one.dimension) for one in catalogue.bundles()] == [(BUNDLE, "ab" * 32, 8)]
    with pytest.raises(ValueRefused, match=r"is not the one that this catalogue was filled with: .*cdcdcdcdcdcd.*abababababab"):
        catalogue.register_bundle(BUNDLE, sha256="cd" * 32, dimension=8)
    with pytest.raises(ValueRefused, match=r"dimension 16; expected were .* and 8"):
        catalogue.register_bundle(BUNDLE, sha256="ab" * 32, dimension=16)


def test_a_fact_is_kept_changed_and_forgotten(catalogue: Catalogue) -> None:
    assert catalogue.fact("bundle") is None
    catalogue.set_fact("bundle", "one")
    catalogue.set_fact("bundle", "two")
    assert catalogue.fact("bundle") == "two"
    catalogue.set_fact("bundle", None)
    assert catalogue.fact("bundle") is None
