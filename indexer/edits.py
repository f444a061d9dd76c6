"""Corrections to who is who: each is one transaction and one event, and touches no vector.

A sighting of which no species was known learns it from the individual that it comes to.

Every edit records what it changed and what it rested on (that a sighting was live, that two species agreed), so that
`undo` can tell whether a later event contradicts it. A refused edit changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from typing import Any

from catalog import events, individuals
from catalog.catalogue import Catalogue
from catalog.errors import EditConflict, NameRefused, ValueRefused
from catalog.names import MAX_NAME, clean_date, clean_label, clean_name, listed, required_label, shown
from catalog.values import Individual, Sighting
from catalog.write import Write
from indexer.occasions import label_of_one, label_on, named_by_day


@dataclass(frozen=True, slots=True)
class Done:
    """An edit that stands."""

    event_id: int
    what: str  # one sentence for a person, as the history has it
    individual_id: int | None = None  # whom it was about: the renamed, the survivor, the new one
    stale: tuple[int, ...] = ()  # sightings whose point in the index no longer agrees: add, update or delete it


def rename(catalogue: Catalogue, individual: int | str, name: str, *, who: str) -> Done:
    with catalogue.write("rename", who=who, what="") as write:
        one = write.individual(individual)
        if clean_name(name) == one.name:
            raise NameRefused(f"{called(one)} has that name already.")
        write.rely("individual", one.id, "live")
        write.set("individual", one.id, name=name)
        write.what = f'Renamed "{one.name}" to "{clean_name(name)}" (id {one.id}).'
    return Done(write.event_id, write.what, one.id)


def set_species(catalogue: Catalogue, individual: int | str, species: str | None, *, who: str) -> Done:
    """Also of its sightings that had the individual's species until now, or none."""
    with catalogue.write("set species", who=who, what="") as write:
        one, new = write.individual(individual), clean_label(species, "species")
        if new == one.species:
            raise EditConflict(f"{called(one)} has that species already.")
        write.rely("individual", one.id, "live")
        write.set("individual", one.id, species=new)
        follow = [s.id for s in write.sightings(write.sightings_of(one.id)) if s.species in (None, one.species)]
        _set_species(write, follow, new)
        write.what = f"Set the species of {called(one)} from {one.species or 'unknown'} to {new or 'unknown'}."
    return Done(write.event_id, write.what, one.id, tuple(follow))


def amend(catalogue: Catalogue, individual: int | str, *, who: str, **said: str | None) -> Done:
    """Name and species in one event, as far as they are said: `amend(books, 7, who="me", name="Old Notch", species=None)`."""
    with catalogue.write("amend", who=who, what="") as write:
        one, follow = write.individual(individual), list[int]()
        new: dict[str, str | None] = {}
        if said.get("name") is not None and clean_name(said["name"] or "") != one.name:
            new["name"] = clean_name(said["name"] or "")
        if "species" in said and clean_label(said["species"], "species") != one.species:
            new["species"] = clean_label(said["species"], "species")
        if not new:
            raise EditConflict(f"{called(one)} is all that already, so nothing was changed.")
        write.rely("individual", one.id, "live")
        write.set("individual", one.id, **new)
        if "species" in new:
            follow = [s.id for s in write.sightings(write.sightings_of(one.id)) if s.species in (None, one.species)]
            _set_species(write, follow, new["species"])
        told = ", ".join(f"{field} {shown(value) if value else 'unknown'}" for field, value in new.items())
        write.what = f"Amended {called(one)}: {told}."
    return Done(write.event_id, write.what, one.id, tuple(follow))


FACTS = ("encounter", "viewpoint", "taken_on", "lat", "lon")  # of a sighting, that a person may set right


def amend_sighting(catalogue: Catalogue, sighting_id: int, said: Mapping[str, Any], *, who: str) -> Done:
    """What is known of a photo beside its pixels, as far as it is said. A place comes whole; None is unknown.

    An encounter that nobody named goes with its day.
    """
    with catalogue.write("amend", who=who, what="") as write:
        if unknown := sorted(set(said) - set(FACTS)):
            raise ValueRefused(f"A sighting has no {listed(unknown)} to set; there are {', '.join(FACTS)}.")
        (one,) = write.sightings([sighting_id])
        new = dict(said)
        if "encounter" in new:
            new["encounter_id"] = write.encounter(required_label(new.pop("encounter") or "", "encounter"))
        if ("lat" in new) != ("lon" in new):
            raise ValueRefused("A place is a latitude and a longitude; give both, or neither.")
        if "taken_on" in new and (day := clean_date(new["taken_on"])) != one.taken_on:
            new["taken_at"] = _clock(write, one, day)
            if "encounter" not in said and named_by_day(one.encounter):
                new["encounter_id"] = write.encounter(
                    label_on(one.individual_id, day) if day else label_of_one(one.photo_sha256)
                )
        write.rely("sighting", sighting_id, "live")
        write.set("sighting", sighting_id, **new)
        differing = _differing(one, *write.sightings([sighting_id]))
        if not differing:
            raise EditConflict(f"Sighting {sighting_id} is all that already, so nothing was changed.")
        write.what = f"Amended sighting {sighting_id} of {shown(one.individual)}: {differing}."
    return Done(write.event_id, write.what, one.individual_id, (sighting_id,))


def _clock(write: Write, one: Sighting, day: date | None) -> datetime | None:
    """The camera's, where it says this day: it does not while another stands, and does again once that is taken back."""
    before = (one.taken_at, *events.values_before(write.connection, "sighting", one.id, "taken_at"))
    return next((at for at in before if at is not None and at.date() == day), None)


def _differing(was: Sighting, now: Sighting) -> str:
    """What was and what is, in a person's words: `date from 2020-12-04 to 2025-05-01, viewpoint from unknown to "left"`."""

    def told(one: Sighting) -> dict[str, str]:
        place = f"{one.lat}, {one.lon}" if one.lat is not None and one.lon is not None else "unknown"
        viewpoint = shown(one.viewpoint) if one.viewpoint else "unknown"
        return {
            "date": str(one.taken_on or "unknown"),
            "place": place,
            "viewpoint": viewpoint,
            "encounter": shown(one.encounter),
        }

    before, after = told(was), told(now)
    return ", ".join(f"{what} from {before[what]} to {after[what]}" for what in before if before[what] != after[what])


def merge(catalogue: Catalogue, keep: int | str, other: int | str, *, who: str) -> Done:
    """Two that are one animal: the sightings of `other` go to `keep`, and `other` becomes a tombstone that says so."""
    with catalogue.write("merge", who=who, what="") as write:
        one, two = write.individual(keep), write.individual(other)
        if one.id == two.id:
            raise EditConflict(f"{called(one)} cannot be merged with itself; name two individuals.")
        _refuse_other_species(one, two.species, called(two))
        moved = write.sightings_of(two.id)
        write.rely("individual", one.id, "live")
        write.rely("individual", two.id, "species")
        write.set("individual", one.id, species=one.species or two.species)
        write.set("individual", two.id, live=False, merged_into=one.id)
        _move(write, moved, one.id)
        stale = learn_species(write, write.sightings_of(one.id), one.species or two.species)
        write.what = f"Merged {called(two)} into {called(one)}: {_counted(moved)} moved."
    return Done(write.event_id, write.what, one.id, stale)


def split(
    catalogue: Catalogue, individual: int | str, sighting_ids: Sequence[int], name: str | None = None, *, who: str
) -> Done:
    """One that is two animals: these sightings become a new individual's, named after it where no name is given."""
    with catalogue.write("split", who=who, what="") as write:
        one = write.individual(individual)
        chosen = write.sightings(sighting_ids)
        if not chosen:
            raise EditConflict(f"No sightings were named to split off from {called(one)}; name at least one.")
        if strangers := [s.id for s in chosen if s.individual_id != one.id]:
            raise EditConflict(f'Not of {called(one)}: sighting {listed(strangers)}; "reassign" moves sightings of others.')
        if len(chosen) == len(write.sightings_of(one.id)):
            raise EditConflict(f'These are all the sightings of {called(one)}; leave it at least one, or "rename" it.')
        write.rely("individual", one.id, "live")
        new = write.individual(write.add_individual(_named_after(write, one.name) if name is None else name, one.species))
        _move(write, [s.id for s in chosen], new.id)
        write.what = f"Split {_named(chosen)} from {called(one)} off as {called(new)}."
    return Done(write.event_id, write.what, new.id)


def _named_after(write: Write, name: str) -> str:
    """The first of "Kelp (2)", "Kelp (3)" … that is free."""
    names = (f"{name[: MAX_NAME - 10]} ({number})" for number in count(2))
    return next(name for name in names if write.individual_named(name) is None)


def reassign(catalogue: Catalogue, sighting_ids: Sequence[int], to: int | str, *, who: str) -> Done:
    """These sightings are of another individual."""
    with catalogue.write("reassign", who=who, what="") as write:
        one, chosen = write.individual(to), write.sightings(sighting_ids)
        if not chosen:
            raise EditConflict(f"No sightings were named to reassign to {called(one)}; name at least one.")
        if already := [s.id for s in chosen if s.individual_id == one.id]:
            raise EditConflict(f"Of {called(one)} already: sighting {listed(already)}; leave it out.")
        before = _owners(write, chosen)
        for owner in before:
            _refuse_other_species(one, owner.species, called(owner))
        write.rely_many("individual", [one.id, *(owner.id for owner in before if owner.live)], "live")
        _move(write, [s.id for s in chosen], one.id)
        stale = learn_species(write, [s.id for s in chosen], one.species)
        origin = ", ".join(called(owner) for owner in before)
        write.what = f"Reassigned {_named(chosen)} from {origin} to {called(one)}.{_left_empty(write, before)}"
    return Done(write.event_id, write.what, one.id, stale)


def delete_individual(catalogue: Catalogue, individual: int | str, *, who: str) -> Done:
    """With all its sightings; they become tombstones, and `undo` brings them back."""
    with catalogue.write("delete", who=who, what="") as write:
        one = write.individual(individual)
        gone = write.sightings_of(one.id)
        write.set_many("sighting", gone, live=False)
        write.set("individual", one.id, live=False)
        write.what = f"Deleted {called(one)} with {_counted(gone)}."
    return Done(write.event_id, write.what, one.id, tuple(gone))


def delete_sightings(catalogue: Catalogue, sighting_ids: Sequence[int], *, who: str) -> Done:
    """They become tombstones. An individual that has none left stays in the list."""
    with catalogue.write("delete", who=who, what="") as write:
        chosen = write.sightings(sighting_ids)
        if not chosen:
            raise EditConflict("No sightings were named to delete; name at least one.")
        gone, owners = [s.id for s in chosen], _owners(write, chosen)
        write.rely_many("individual", [owner.id for owner in owners if owner.live], "live")
        write.set_many("sighting", gone, live=False)
        origin = ", ".join(called(owner) for owner in owners)
        write.what = f"Deleted {_named(chosen)} of {origin}.{_left_empty(write, owners)}"
    return Done(write.event_id, write.what, None, tuple(gone))


def called(individual: Individual) -> str:
    return f'"{individual.name}" (id {individual.id})'


def _counted(sightings: Sequence[object]) -> str:
    return "1 sighting" if len(sightings) == 1 else f"{len(sightings):,} sightings"


def _named(sightings: Sequence[Sighting]) -> str:
    """With the first few numbers: whoever looks for one in the log finds it there."""
    numbers = listed([one.id for one in sightings])
    return f"sighting {numbers}" if len(sightings) == 1 else f"{_counted(sightings)} ({numbers})"


def _owners(write: Write, chosen: Sequence[Sighting]) -> list[Individual]:
    """Dead ones too: a sighting that damage has left with one is mended by these very edits."""
    return [individuals.by_id(write.connection, number) for number in dict.fromkeys(s.individual_id for s in chosen)]


def _move(write: Write, sighting_ids: Sequence[int], to: int) -> None:
    write.rely_many("sighting", sighting_ids, "live")
    write.set_many("sighting", sighting_ids, individual_id=to)


def learn_species(write: Write, sighting_ids: Sequence[int], species: str | None) -> tuple[int, ...]:
    """Those of which no species was known have it now, or a search among that species would not find them. Which they were."""
    if species is None:
        return ()
    lacking = tuple(s.id for s in write.sightings(sighting_ids) if s.species is None)
    if lacking:
        _set_species(write, lacking, species)
    return lacking


def _set_species(write: Write, sighting_ids: Sequence[int], species: str | None) -> None:
    """Of sightings because of whose they are: who takes that back first would leave them with another animal's species."""
    for field in ("live", "individual_id"):
        write.rely_many("sighting", sighting_ids, field)
    write.set_many("sighting", sighting_ids, species=species)


def _left_empty(write: Write, owners: Sequence[Individual]) -> str:
    empty = [called(one) for one in owners if one.live and not write.sightings_of(one.id)]
    return (
        f" No sighting is left of {', '.join(empty)}, which stays in the list; delete it if it is not wanted." if empty else ""
    )


def _refuse_other_species(one: Individual, species: str | None, whose: str) -> None:
    if one.species and species and one.species != species:
        raise EditConflict(
            f"{called(one)} is {one.species}, but {whose} is {species}; set the species first if one of them is wrong."
        )
