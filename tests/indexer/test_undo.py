"""Taking events back. The law behind it: what stands is what the events that stand would have made on their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ledger import ENGINES, WHO, enrol, living, log, new_catalogue, tables

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueRefused, EditConflict, NotKnown
from indexer import edits
from indexer.undo import undo

# Sightings: Muddy (1) has 1, 2, 3; Fleck (2) has 4, 5; Patch (3) has 6. Events 1, 2, 3 enrolled them.


@pytest.fixture(params=ENGINES)
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    with new_catalogue(request.param, tmp_path) as opened:
        enrol(opened, "Muddy", ["m0", "m1", "m2"], "orca")
        enrol(opened, "Fleck", ["f0", "f1"])
        enrol(opened, "Patch", ["p0"], "beluga")
        yield opened


EDITS: dict[str, Callable[[Catalogue], edits.Done]] = {
    "rename": lambda c: edits.rename(c, "Muddy", "Murky", who=WHO),
    "set species": lambda c: edits.set_species(c, "Muddy", "minke", who=WHO),
    "merge": lambda c: edits.merge(c, "Muddy", "Fleck", who=WHO),
    "merge that gives the species": lambda c: edits.merge(c, "Fleck", "Muddy", who=WHO),
    "split": lambda c: edits.split(c, "Muddy", [1, 3], "Shadow", who=WHO),
    "reassign": lambda c: edits.reassign(c, [4, 5], "Patch", who=WHO),
    "delete an individual": lambda c: edits.delete_individual(c, "Muddy", who=WHO),
    "delete sightings": lambda c: edits.delete_sightings(c, [1, 4, 5], who=WHO),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_then_its_undo_changes_nothing_and_the_undo_of_that_does_it_again(
    catalogue: Catalogue, edit: Callable[[Catalogue], edits.Done]
) -> None:
    before, lived = tables(catalogue), living(catalogue)
    done = edit(catalogue)
    after = tables(catalogue)
    assert after != before
    back = undo(catalogue, done.event_id, who=WHO)
    made = {row[0] for row in after[0]} - {row[0] for row in before[0]}  # a split's new individual stays as a tombstone
    assert [row for row in tables(catalogue)[0] if row[0] not in made] == before[0]
    assert tables(catalogue)[1] == before[1]
    assert living(catalogue) == lived
    again = undo(catalogue, back.event_id, who=WHO)
    assert tables(catalogue) == after
    assert again.what == f"Did event {done.event_id} again ({catalogue.event(done.event_id).verb}): {done.what}"
    undo(catalogue, again.event_id, who=WHO)
    assert living(catalogue) == lived
    assert catalogue.check().is_well()


def test_undo_of_a_merge_brings_back_exactly_what_was(catalogue: Catalogue) -> None:
    before = tables(catalogue)
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    done = undo(catalogue, merged.event_id, who="Ben")
    assert tables(catalogue) == before
    assert done.what == 'Undid event 4 (merge): Merged "Fleck" (id 2) into "Muddy" (id 1): 2 sightings moved.'
    assert done.stale == (4, 5)  # which had learned their species
    event = catalogue.event(done.event_id)
    assert (event.who, event.verb, event.undoes) == ("Ben", "undo", merged.event_id)


def test_what_was_enrolled_after_a_merge_stays_where_it_is(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    enrol(catalogue, "Muddy", ["m3"], "orca")
    undo(catalogue, merged.event_id, who=WHO)
    assert living(catalogue)[1] == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 1}


def test_undo_of_an_enrolment_leaves_tombstones_and_frees_name_and_photos(catalogue: Catalogue) -> None:
    done = undo(catalogue, 1, who=WHO)
    assert done.stale == (1, 2, 3)
    assert living(catalogue) == ({2: ("Fleck", None), 3: ("Patch", "beluga")}, {4: 2, 5: 2, 6: 3})
    assert len(tables(catalogue)[1]) == 6
    enrol(catalogue, "Muddy", ["m0"])
    assert living(catalogue)[1] == {4: 2, 5: 2, 6: 3, 7: 4}


def test_the_index_is_told_which_sightings_to_look_at_again(catalogue: Catalogue) -> None:
    gone = edits.delete_sightings(catalogue, [2, 5], who=WHO)
    assert undo(catalogue, gone.event_id, who=WHO).stale == (2, 5)
    species = edits.set_species(catalogue, "Patch", "narwhal", who=WHO)
    assert undo(catalogue, species.event_id, who=WHO).stale == (6,)
    moved = edits.reassign(catalogue, [6], "Fleck", who=WHO)
    assert undo(catalogue, moved.event_id, who=WHO).stale == ()


def test_an_undo_that_later_events_contradict_is_refused_and_names_them(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    edits.rename(catalogue, "Patch", "Spot", who=WHO)
    moved = edits.split(catalogue, "Muddy", [4], "Shadow", who=WHO)
    before = (tables(catalogue), log(catalogue))
    with pytest.raises(EditConflict) as refused:
        undo(catalogue, merged.event_id, who=WHO)
    said = str(refused.value)
    assert said.startswith(
        "Event 4 (merge) cannot be undone: what it changed was changed or built on since. Nothing was changed."
    )
    assert f"event {moved.event_id} (split): {moved.what}" in said
    assert "Spot" not in said
    assert (tables(catalogue), log(catalogue)) == before
    undo(catalogue, moved.event_id, who=WHO)
    undo(catalogue, merged.event_id, who=WHO)


def test_a_later_event_on_other_fields_stands_in_nobodys_way(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    edits.delete_sightings(catalogue, [4], who=WHO)
    edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    undo(catalogue, merged.event_id, who=WHO)
    assert living(catalogue)[1] == {1: 1, 2: 1, 3: 1, 5: 2, 6: 3}
    assert catalogue.sighting(4).individual_id == 2


def test_events_that_cancel_each_other_are_in_nobodys_way(catalogue: Catalogue) -> None:
    enrolled = enrol(catalogue, "Fleck", ["f2"])
    first = edits.delete_sightings(catalogue, [7], who=WHO)
    back = undo(catalogue, first.event_id, who=WHO)
    again = undo(catalogue, back.event_id, who=WHO)
    with pytest.raises(EditConflict, match=rf"\n  event {first.event_id} \(delete\)[^\n]*$"):
        undo(catalogue, enrolled.event_id, who=WHO)
    undo(catalogue, again.event_id, who=WHO)
    undo(catalogue, enrolled.event_id, who=WHO)
    assert 7 not in living(catalogue)[1]


def test_an_undo_of_something_earlier_is_a_later_event_like_any_other(catalogue: Catalogue) -> None:
    first = edits.rename(catalogue, "Muddy", "Second", who=WHO)
    second = edits.rename(catalogue, "Second", "Third", who=WHO)
    back = undo(catalogue, second.event_id, who=WHO)
    undo(catalogue, first.event_id, who=WHO)
    with pytest.raises(
        EditConflict, match=r"Event 6 \(undo\) cannot be undone.*\n  event 7 \(undo\): Undid event 4 \(rename\)"
    ):
        undo(catalogue, back.event_id, who=WHO)


def test_an_undo_that_only_rested_on_the_same_stands_in_nobodys_way(catalogue: Catalogue) -> None:
    renamed = edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    gone = edits.delete_individual(catalogue, "Murky", who=WHO)
    undo(catalogue, renamed.event_id, who=WHO)
    undo(catalogue, gone.event_id, who=WHO)
    assert catalogue.find_individual("Muddy").id == 1


def test_history_of_an_individual_tells_what_was_undone_for_it(catalogue: Catalogue) -> None:
    more = enrol(catalogue, "Muddy", ["m3"])
    back = undo(catalogue, more.event_id, who=WHO)
    again = undo(catalogue, back.event_id, who=WHO)
    assert [event.id for event in catalogue.history("individual", 1)] == [again.event_id, back.event_id, more.event_id, 1]
    assert [event.id for event in catalogue.history("individual", 1, limit=2, before=again.event_id)] == [5, 4]
    assert [event.id for event in catalogue.history("individual", 2)] == [2]


def test_an_enrolment_that_was_built_on_cannot_be_undone(catalogue: Catalogue) -> None:
    more = enrol(catalogue, "Muddy", ["m3"])
    with pytest.raises(EditConflict, match=rf"event {more.event_id} \(enrol\): Enrolled 1 of"):
        undo(catalogue, 1, who=WHO)
    undo(catalogue, more.event_id, who=WHO)
    undo(catalogue, 1, who=WHO)


def test_a_name_in_use_again_stands_in_the_way(catalogue: Catalogue) -> None:
    renamed = edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    other = edits.rename(catalogue, "Fleck", "Muddy", who=WHO)
    with pytest.raises(
        EditConflict, match=rf'the name "Muddy" is now that of individual 2.*\n  event {other.event_id} \(rename\)'
    ):
        undo(catalogue, renamed.event_id, who=WHO)
    gone = edits.delete_individual(catalogue, "Patch", who=WHO)
    new = enrol(catalogue, "Patch", ["other"])
    with pytest.raises(
        EditConflict, match=rf'the name "Patch" is now that of individual 4.*\n  event {new.event_id} \(enrol\)'
    ):
        undo(catalogue, gone.event_id, who=WHO)


def test_a_photo_enrolled_again_stands_in_the_way(catalogue: Catalogue) -> None:
    gone = edits.delete_sightings(catalogue, [6], who=WHO)
    new = enrol(catalogue, "Fleck", ["p0"])
    with pytest.raises(
        EditConflict, match=rf"photo of sighting 6 is enrolled anew, as sighting 7.*\n  event {new.event_id} \(enrol\)"
    ):
        undo(catalogue, gone.event_id, who=WHO)
    undo(catalogue, new.event_id, who=WHO)
    undo(catalogue, gone.event_id, who=WHO)
    assert living(catalogue)[1][6] == 3


def test_a_sighting_is_not_brought_back_to_an_individual_that_is_gone(catalogue: Catalogue) -> None:
    gone = edits.delete_sightings(catalogue, [4], who=WHO)
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    with pytest.raises(
        EditConflict, match=rf"sighting 4 would be left with individual 2.*\n  event {merged.event_id} \(merge\)"
    ):
        undo(catalogue, gone.event_id, who=WHO)
    undo(catalogue, merged.event_id, who=WHO)
    undo(catalogue, gone.event_id, who=WHO)
    assert living(catalogue)[1] == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3}


def test_doing_again_is_refused_where_what_it_rested_on_is_no_longer_so(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    back = undo(catalogue, merged.event_id, who=WHO)
    species = edits.set_species(catalogue, "Muddy", "minke", who=WHO)
    with pytest.raises(
        EditConflict, match=rf"what event 4 \(merge\) rested on was changed since.*\n  event {species.event_id} \(set"
    ):
        undo(catalogue, back.event_id, who=WHO)


def test_doing_again_asks_only_for_what_changed_since_the_undo(catalogue: Catalogue) -> None:
    renamed = edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    edits.delete_individual(catalogue, "Murky", who=WHO)
    back = undo(catalogue, renamed.event_id, who=WHO)
    assert catalogue.individual(1).name == "Muddy"
    undo(catalogue, back.event_id, who=WHO)
    assert catalogue.individual(1).name == "Murky"


def test_what_has_been_undone_cannot_be_undone_again_but_what_was_done_again_can(catalogue: Catalogue) -> None:
    renamed = edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    back = undo(catalogue, renamed.event_id, who=WHO)
    with pytest.raises(EditConflict, match=rf"Event 4 \(rename\) has been undone already, by event {back.event_id}; undo that"):
        undo(catalogue, renamed.event_id, who=WHO)
    again = undo(catalogue, back.event_id, who=WHO)
    with pytest.raises(
        EditConflict, match=rf"Event {back.event_id} \(undo\) has been undone already, by event {again.event_id}"
    ):
        undo(catalogue, back.event_id, who=WHO)
    undo(catalogue, renamed.event_id, who=WHO)
    assert catalogue.find_individual("Muddy").id == 1


def test_history_marks_what_does_not_stand(catalogue: Catalogue) -> None:
    renamed = edits.rename(catalogue, "Muddy", "Murky", who=WHO)
    back = undo(catalogue, renamed.event_id, who=WHO)
    assert [(e.id, e.undone, e.undone_by) for e in catalogue.history(limit=2)] == [(back.event_id, False, None), (4, True, 5)]
    again = undo(catalogue, back.event_id, who=WHO)
    assert [(e.id, e.undone, e.undone_by) for e in catalogue.history(limit=3)] == [
        (again.event_id, False, None),
        (back.event_id, True, 6),
        (4, False, 5),
    ]
    assert [event.id for event in catalogue.history("individual", 1)] == [6, 5, 4, 1]


def test_an_event_that_is_not_there_or_changed_nothing_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(NotKnown, match="There is no event 99"):
        undo(catalogue, 99, who=WHO)
    with catalogue.write("look", who=WHO, what="") as write:
        write.rely("individual", 1, "name")
    with pytest.raises(EditConflict, match=r"Event 4 \(look\) changed nothing"):
        undo(catalogue, 4, who=WHO)


def test_a_long_list_of_later_events_is_cut_short(catalogue: Catalogue) -> None:
    for i in range(15):
        enrol(catalogue, "Muddy", [f"more{i}"])
    with pytest.raises(EditConflict, match=r"\n  event 18 \(enrol\)[\s\S]*\n  and 5 more$"):
        undo(catalogue, 1, who=WHO)


# The law, on random histories. The model knows nothing of fields or conflicts: it can only do an edit to a plain
# dictionary. After each step the catalogue must hold what a model holds that has done the standing edits, in order.


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
