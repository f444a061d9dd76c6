"""Everything that can be checked, checked: what was found, and what to do about it.

A finding is well, a note (something to know that is no fault), or wrong. Doctor changes nothing but what opening always
mends: the index is brought level with the catalogue at each start.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueUnavailable, PhotoStoreFailed
from catalog.values import Import
from encoder import golden
from encoder.bundle import Bundle
from encoder.encode import open_encoder
from errors import FlukeprintError
from indexer.commands import to_paste
from indexer.lost import left_out
from indexer.reconcile import Follower, point_of
from indexer.registry import IN_USE
from indexer.station import bundle_for, open_books, open_index, photo_store
from settings import Settings
from vector_db.errors import IndexHeld
from vector_db.port import Place, VectorIndex

Level = Literal["well", "note", "wrong"]
LOW_DISK = 1 << 30
VECTORS_COMPARED = 1000  # spread over the whole catalogue; all with `deep`
SAME_WITHIN = 1e-5
PLACE_WITHIN = 1e-6  # degrees, a tenth of a metre; an index keeps places within 1e-9
NAMED = 5  # examples that a finding lists


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    level: Level
    found: str
    do: str = ""


def examine(settings: Settings, *, deep: bool = False) -> list[Finding]:
    """Every finding, from the ground up; a check that cannot be made because another failed is left out."""
    findings: list[Finding] = []

    def check(subject: str, steps: Callable[[], Iterator[Finding]]) -> bool:
        try:
            findings.extend(steps())
        except FlukeprintError as error:
            findings.append(Finding(subject, "wrong", str(error)))
        return all(finding.level != "wrong" for finding in findings if finding.subject == subject)

    check("data folder", lambda: _folder(settings))
    try:
        catalogue = open_books(settings)
    except FlukeprintError as error:
        return [*findings, Finding("catalogue", "wrong", str(error))]
    try:
        check("catalogue", lambda: _catalogue(settings, catalogue))
        check("photos", lambda: _photos(settings, catalogue, deep))
        if check("encoder", lambda: _encoder(settings, catalogue)):
            check("index", lambda: _index(settings, catalogue, bundle_for(settings, catalogue), deep))
        check("imports", lambda: _imports(settings, catalogue))
    finally:
        catalogue.close()
    return findings


def is_well(findings: list[Finding]) -> bool:
    return all(finding.level != "wrong" for finding in findings)


def _folder(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.is_dir():  # which is not made by looking
        raise CatalogueUnavailable(
            f"There is no data folder at {settings.data_dir}. Check --data-dir or FLUKEPRINT_DATA_DIR; an import makes one."
        )
    free = shutil.disk_usage(settings.data_dir).free
    if free < LOW_DISK:
        yield Finding("data folder", "wrong", f"only {free >> 20} MiB are free at {settings.data_dir}", "free some space")
    else:
        yield Finding("data folder", "well", f"{settings.data_dir}, {free >> 30} GiB free")


def _catalogue(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    health, counts = catalogue.check(catalogue.fact(IN_USE)), catalogue.counts()
    restore = "restore the last backup into a new folder"
    bereft = [str(number) for number in health.live_of_dead[:NAMED]]
    moved = to_paste(settings, "reassign", *bereft, "--to", "ID")
    deleted = to_paste(settings, "delete", *(word for number in bereft for word in ("--sighting", number)))
    again = ", and doctor again for the others" if len(bereft) < len(health.live_of_dead) else ""
    for flaws, said, do in (
        (health.damage, "SQLite reports damage", restore),
        (health.orphans, "rows point at rows that are not there", restore),
        (health.live_of_dead, "sightings belong to an individual that is deleted", f"{moved}, or: {deleted}{again}"),
        (health.without_vector, "sightings have no vector", "delete these sightings, and enrol their photos again"),
    ):
        if flaws:
            yield Finding("catalogue", "wrong", f"{said}: {_some(flaws)}", do)
    yield Finding(
        "catalogue",
        "well",
        f"{counts.individuals} individuals, {counts.sightings} sightings in {counts.encounters} encounters, "
        f"{counts.events} events",
    )


def _photos(settings: Settings, catalogue: Catalogue, deep: bool) -> Iterator[Finding]:
    store = photo_store(settings)
    done_without = left_out(catalogue)
    gone: list[str] = []
    number = not_here = 0
    for number, photo in enumerate(catalogue.photos(), start=1):  # noqa: B007 (the count is the last one)
        path = store.path_of(photo)
        if not store.is_there(photo):
            if done_without(photo):
                not_here += 1
            else:
                gone.append(f"{photo.name} ({path})")
        elif deep:
            try:
                store.verify(photo)
            except PhotoStoreFailed as error:
                gone.append(str(error))
        elif not store.looks_whole(photo):
            has = f"has {path.stat().st_size:,} of its {photo.bytes:,} bytes"
            gone.append(f"{photo.name} ({path} {has if photo.kept != 'reduced' else 'is without its end'})")
    if not_here:
        yield Finding(
            "photos",
            "note",
            f"{not_here} of {number} are not here: restored from a backup without photos",
            "import or enrol them again from where they came, if they are wanted here; identifying works without them",
        )
    if gone:
        yield Finding(
            "photos",
            "wrong",
            f"{len(gone)} of {number} are missing or damaged: {_some(gone)}",
            "import or enrol them again from where they came (an import sees what is gone or cut short, enrol every change), "
            "or put them back from a backup; identifying works without them",
        )
    elif not not_here:
        yield Finding("photos", "well", f"{number}, all there" + (" and unchanged" if deep else ""))


def _encoder(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    bundle = bundle_for(settings, catalogue)
    with closing(open_encoder(bundle.folder, runtime=settings.runtime)) as encoder:
        off = encoder.golden_difference()
    if off > golden.WITHIN:
        yield Finding(
            "encoder",
            "wrong",
            f"{bundle.id} on {settings.runtime} differs from its golden vectors by {off:.2g}",
            "use the other runtime (FLUKEPRINT_RUNTIME), or install the pinned versions again with make setup",
        )
    else:
        yield Finding("encoder", "well", f"{bundle.id} on {settings.runtime}, golden vectors within {off:.1g}")


def _index(settings: Settings, catalogue: Catalogue, bundle: Bundle, deep: bool) -> Iterator[Finding]:
    try:
        index = open_index(settings, catalogue, bundle)
    except IndexHeld as error:
        yield Finding("index", "note", f"not checked: {error}")
        return
    try:
        follower = Follower(index, catalogue, bundle.id)
        follower.follow()  # as whoever opens it to identify does: corrections reach SQL alone at first
        follower.close()
        wrong = _differing(index, catalogue, bundle.id, deep)
        if wrong:
            found = f"vectors or facts differ from the catalogue's: sightings {_some(wrong)}"
            yield Finding("index", "wrong", found, to_paste(settings, "reindex"))
        else:
            yield Finding("index", "well", f"{index.count()} points, level with the catalogue")
        if index.info().wants_optimising:
            laid_out = "it has grown since it was last laid out; laid out anew it answers in less time and memory"
            yield Finding("index", "note", laid_out, to_paste(settings, "reindex"))
    finally:
        index.close()


def _differing(index: VectorIndex, catalogue: Catalogue, bundle_id: str, deep: bool) -> list[int]:
    ids = catalogue.live_ids(bundle_id)
    if not deep and len(ids) > VECTORS_COMPARED:
        ids = ids[np.linspace(0, len(ids) - 1, VECTORS_COMPARED).astype(int)]
    differing: list[int] = []
    for start in range(0, len(ids), VECTORS_COMPARED):
        block = ids[start : start + VECTORS_COMPARED].tolist()
        held = {point.id: point for point in index.points(block)}
        for row in catalogue.indexable(bundle_id, block):
            point = held.get(row.id)
            facts = (point.facts.species, point.facts.viewpoint, point.facts.taken) if point else None
            if (
                point is None
                or facts != (row.species, row.viewpoint, row.taken_on)
                or not _same_place(point.facts.place, point_of(row).facts.place)
                or float(np.abs(point.vector - row.vector).max()) > SAME_WITHIN
            ):
                differing.append(row.id)
    return differing


def _same_place(one: Place | None, other: Place | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one.lat - other.lat) <= PLACE_WITHIN and abs(one.lon - other.lon) <= PLACE_WITHIN


def _imports(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    for known in catalogue.imports.all():
        counts = catalogue.imports.counts(known.id)
        again = to_paste(settings, "import", known.source, *_images(known))
        if counts["waiting"]:
            yield Finding("imports", "note", f"{known.source}: rows that wait: {counts['waiting']}", again)
        if counts["set_aside"]:
            yield Finding(
                "imports",
                "note",
                f"{known.source}: rows set aside, with their reasons in a CSV: {counts['set_aside']}",
                f"mend their photos in their place, or the rows in the CSV, which this tells of once more: {again}",
            )


def _images(known: Import) -> list[str]:
    """Where its paths begin, which a folder that is imported as such is not told."""
    return ["--images", known.images] if known.images and known.images != known.source else []


def _some(items: list[str] | list[int]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(map(str, items[:NAMED])) + more
