"""The law behind undo, on random histories: what stands is what the events that stand would have made on their own.

The model knows nothing of fields or conflicts: it can only do an edit to a plain dictionary. After each step the catalogue must
hold what a model holds that has done the standing edits, in order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ledger import ENGINES, WHO, enrol, log, new_catalogue, tables

from catalog.errors import CatalogueRefused
from indexer import edits
from indexer.undo import undo


@dataclass(frozen=True)
class World:
    names: dict[int, str]
    species: dict[int, str | None]
    owner: dict[int, int]


@dataclass(frozen=True)
class Act:
    """One edit, with the ids that it got, so that it can be done again without the catalogue."""

    verb: str
    individual: int = 0
    other: int = 0
    sightings: tuple[int, ...] = ()
    name: str = ""
    species: str | None = None


def do(world: World, act: Act) -> World:
    names, species, owner = dict(world.names), dict(world.species), dict(world.owner)
    match act.verb:
        case "enrol":
            if act.individual not in names:
                names[act.individual], species[act.individual] = act.name, act.species
            owner |= dict.fromkeys(act.sightings, act.individual)
        case "rename":
            names[act.individual] = act.name
        case "set species":
            species[act.individual] = act.species
        case "merge":
            del names[act.other]
            species[act.individual] = species[act.individual] or species[act.other]
            del species[act.other]
            owner = {sighting: act.individual if whose == act.other else whose for sighting, whose in owner.items()}
        case "split":
            names[act.other], species[act.other] = act.name, act.species
            owner |= dict.fromkeys(act.sightings, act.other)
        case "reassign":
            owner |= dict.fromkeys(act.sightings, act.individual)
        case "delete":
            if act.individual:
                del names[act.individual], species[act.individual]
            owner = {s: whose for s, whose in owner.items() if s not in act.sightings and whose != act.individual}
    return World(names, species, owner)


NAMES = st.sampled_from([f"N{i}" for i in range(6)])
SPECIES = st.sampled_from([None, "orca", "beluga"])


def has_individuals(machine: Histories) -> bool:
    return bool(machine.now.names)


def has_sightings(machine: Histories) -> bool:
    return bool(machine.now.owner)


def has_events(machine: Histories) -> bool:
    return bool(machine.before)


class Histories(RuleBasedStateMachine):
    engine = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.catalogue = new_catalogue(self.engine, Path(self.folder.name))
        self.acts: dict[int, Act] = {}  # by event
        self.undoes: dict[int, int] = {}
        self.now = World({}, {}, {})
        self.before: dict[int, Any] = {}  # the whole tables before each event
        self.look()

    def teardown(self) -> None:
        self.catalogue.close()
        self.folder.cleanup()

    def look(self) -> None:
        self.tables, self.log = tables(self.catalogue), log(self.catalogue)

    def stands(self, event: int) -> bool:
        return not any(undone == event and self.stands(later) for later, undone in self.undoes.items())

    def world(self) -> World:
        """What the standing edits make, on their own."""
        world = World({}, {}, {})
        for event in sorted(self.acts):
            if self.stands(event):
                world = do(world, self.acts[event])
        return world

    def attempt(self, edit: Callable[[], edits.Done]) -> edits.Done | None:
        """A refusal changes nothing at all."""
        try:
            done = edit()
        except CatalogueRefused as refused:
            self.refusal = str(refused)
            assert (tables(self.catalogue), log(self.catalogue)) == (self.tables, self.log)
            return None
        if done.event_id:  # or it changed nothing
            self.before[done.event_id] = self.tables
        return done

    def acted(self, done: edits.Done | None, act: Callable[[edits.Done], Act]) -> None:
        if done is not None and done.event_id:
            self.acts[done.event_id] = act(done)
            self.now = self.world()

    @staticmethod
    def some(data: st.DataObject, values: Any) -> Any:
        return data.draw(st.sampled_from(sorted(values)))

    @rule(name=NAMES, photos=st.lists(st.integers(0, 11), max_size=3, unique=True), species=SPECIES)
    def enrol(self, name: str, photos: list[int], species: str | None) -> None:
        done = self.attempt(lambda: enrol(self.catalogue, name, [f"p{i}" for i in photos], species))
        self.acted(done, lambda d: Act("enrol", d.individual_id or 0, 0, d.stale, name, species))

    @precondition(has_individuals)
    @rule(data=st.data(), name=NAMES)
    def rename(self, data: st.DataObject, name: str) -> None:
        one = self.some(data, self.now.names)
        done = self.attempt(lambda: edits.rename(self.catalogue, one, name, who=WHO))
        self.acted(done, lambda _: Act("rename", one, name=name))

    @precondition(has_individuals)
    @rule(data=st.data(), species=SPECIES)
    def set_species(self, data: st.DataObject, species: str | None) -> None:
        one = self.some(data, self.now.names)
        done = self.attempt(lambda: edits.set_species(self.catalogue, one, species, who=WHO))
        self.acted(done, lambda _: Act("set species", one, species=species))

    @precondition(has_individuals)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        one, other = (self.some(data, self.now.names) for _ in range(2))
        done = self.attempt(lambda: edits.merge(self.catalogue, one, other, who=WHO))
        self.acted(done, lambda _: Act("merge", one, other))

    @precondition(has_sightings)
    @rule(data=st.data(), name=NAMES)
    def split(self, data: st.DataObject, name: str) -> None:
        one = self.some(data, set(self.now.owner.values()))
        own = sorted(sighting for sighting, owner in self.now.owner.items() if owner == one)
        chosen = data.draw(st.lists(st.sampled_from(own), unique=True))
        done = self.attempt(lambda: edits.split(self.catalogue, one, chosen, name, who=WHO))
        assert done is None or 0 < len(chosen) < len(own)
        species = self.now.species[one]
        self.acted(done, lambda d: Act("split", one, d.individual_id or 0, tuple(chosen), name, species))

    @precondition(has_sightings)
    @rule(data=st.data())
    def reassign(self, data: st.DataObject) -> None:
        one, chosen = self.some(data, self.now.names), {self.some(data, self.now.owner) for _ in range(2)}
        done = self.attempt(lambda: edits.reassign(self.catalogue, sorted(chosen), one, who=WHO))
        self.acted(done, lambda _: Act("reassign", one, sightings=tuple(chosen)))

    @precondition(has_individuals)
    @rule(data=st.data())
    def delete_individual(self, data: st.DataObject) -> None:
        one = self.some(data, self.now.names)
        done = self.attempt(lambda: edits.delete_individual(self.catalogue, one, who=WHO))
        assert done is not None, self.refusal
        self.acted(done, lambda d: Act("delete", one, sightings=d.stale))

    @precondition(has_sightings)
    @rule(data=st.data())
    def delete_sightings(self, data: st.DataObject) -> None:
        chosen = {self.some(data, self.now.owner) for _ in range(2)}
        done = self.attempt(lambda: edits.delete_sightings(self.catalogue, sorted(chosen), who=WHO))
        assert done is not None, self.refusal
        self.acted(done, lambda d: Act("delete", sightings=d.stale))

    @precondition(has_events)
    @rule(data=st.data())
    def undo_any(self, data: st.DataObject) -> None:
        self.take_back(self.some(data, [*self.acts, *self.undoes]))

    @precondition(has_events)
    @rule()
    def undo_the_last(self) -> None:
        """Nothing can contradict it. Only what it made stays, as tombstones; all else is as it was."""
        last = max(self.before)
        assert self.take_back(last), self.refusal
        for now, then in zip(tables(self.catalogue), self.before[last], strict=True):
            kept = {row[0] for row in then}
            assert [row for row in now if row[0] in kept] == then
            assert not any(row[-1] if len(row) > 5 else row[4] for row in now if row[0] not in kept)

    def take_back(self, event: int) -> bool:
        done = self.attempt(lambda: undo(self.catalogue, event, who=WHO))
        if done is None:
            return False
        assert self.stands(event)
        self.undoes[done.event_id] = self.catalogue.event(done.event_id).undoes or 0
        assert not self.stands(event)
        self.now = self.world()
        return True

    @invariant()
    def what_lives_is_what_the_standing_edits_make(self) -> None:
        individuals, sightings = tables(self.catalogue)
        alive = {row[0]: (row[1], row[2]) for row in individuals if row[4]}
        seen = [row for row in sightings if row[-1]]
        assert alive == {number: (name, self.now.species[number]) for number, name in self.now.names.items()}
        assert {row[0]: row[1] for row in seen} == self.now.owner
        assert len({name for name, _ in alive.values()}) == len(alive)
        assert len({(row[3], row[4]) for row in seen}) == len(seen)  # photo and box
        assert all(row[1] in alive for row in seen)

    @invariant()
    def the_log_only_grows(self) -> None:
        then = self.log
        self.look()
        assert all(now[: len(past)] == past for now, past in zip(self.log, then, strict=True))
        undone = {event.id for event in self.catalogue.history(limit=1000) if event.undone}
        assert undone == {event for event in [*self.acts, *self.undoes] if not self.stands(event)}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_stands_is_what_the_standing_edits_would_have_made_on_their_own(engine: str) -> None:
    machine = type("Machine", (Histories,), {"engine": engine})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=40))
