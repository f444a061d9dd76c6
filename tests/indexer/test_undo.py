"""Taking events back. The law behind it: what stands is what the events that stand would have made on their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger import ENGINES, WHO, enrol, living, log, new_catalogue, tables

from catalog.catalogue import Catalogue
from catalog.errors import EditConflict, NotKnown
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
    with pytest.raises(EditConflict, match=rf" event {first.event_id} \(delete\)[^\n]*$"):
        undo(catalogue, enrolled.event_id, who=WHO)
    undo(catalogue, again.event_id, who=WHO)
    undo(catalogue, enrolled.event_id, who=WHO)
    assert 7 not in living(catalogue)[1]


def test_an_undo_of_something_earlier_is_a_later_event_like_any_other(catalogue: Catalogue) -> None:
    first = edits.rename(catalogue, "Muddy", "Second", who=WHO)
    second = edits.rename(catalogue, "Second", "Third", who=WHO)
    back = undo(catalogue, second.event_id, who=WHO)
    undo(catalogue, first.event_id, who=WHO)
    with pytest.raises(EditConflict, match=r"Event 6 \(undo\) cannot be undone.* event 7 \(undo\): Undid event 4 \(rename\)"):
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
        EditConflict, match=rf'the name "Muddy" is now that of individual 2.* event {other.event_id} \(rename\)'
    ):
        undo(catalogue, renamed.event_id, who=WHO)
    gone = edits.delete_individual(catalogue, "Patch", who=WHO)
    new = enrol(catalogue, "Patch", ["other"])
    with pytest.raises(EditConflict, match=rf'the name "Patch" is now that of individual 4.* event {new.event_id} \(enrol\)'):
        undo(catalogue, gone.event_id, who=WHO)


def test_a_photo_enrolled_again_stands_in_the_way(catalogue: Catalogue) -> None:
    gone = edits.delete_sightings(catalogue, [6], who=WHO)
    new = enrol(catalogue, "Fleck", ["p0"])
    with pytest.raises(
        EditConflict, match=rf"photo of sighting 6 is enrolled anew, as sighting 7.* event {new.event_id} \(enrol\)"
    ):
        undo(catalogue, gone.event_id, who=WHO)
    undo(catalogue, new.event_id, who=WHO)
    undo(catalogue, gone.event_id, who=WHO)
    assert living(catalogue)[1][6] == 3


def test_a_sighting_is_not_brought_back_to_an_individual_that_is_gone(catalogue: Catalogue) -> None:
    gone = edits.delete_sightings(catalogue, [4], who=WHO)
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    with pytest.raises(EditConflict, match=rf"sighting 4 would be left with individual 2.* event {merged.event_id} \(merge\)"):
        undo(catalogue, gone.event_id, who=WHO)
    undo(catalogue, merged.event_id, who=WHO)
    undo(catalogue, gone.event_id, who=WHO)
    assert living(catalogue)[1] == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3}


def test_doing_again_is_refused_where_what_it_rested_on_is_no_longer_so(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    back = undo(catalogue, merged.event_id, who=WHO)
    species = edits.set_species(catalogue, "Muddy", "minke", who=WHO)
    with pytest.raises(
        EditConflict, match=rf"what event 4 \(merge\) rested on was changed since.* event {species.event_id} \(set"
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
    with pytest.raises(EditConflict, match=r" event 18 \(enrol\)[\s\S]*; and 5 more$"):
        undo(catalogue, 1, who=WHO)


def test_what_a_species_rests_on_is_whose_the_sightings_are(catalogue: Catalogue) -> None:
    moved = edits.reassign(catalogue, [4], "Muddy", who=WHO)  # which it learns the species of
    named = edits.set_species(catalogue, "Muddy", "minke", who=WHO)
    with pytest.raises(EditConflict, match=f"from the top: event {named.event_id} "):
        undo(catalogue, moved.event_id, who=WHO)
    amended = edits.amend(catalogue, "Muddy", species="sei", who=WHO)
    undo(catalogue, amended.event_id, who=WHO)
    undo(catalogue, named.event_id, who=WHO)
    undo(catalogue, moved.event_id, who=WHO)
    assert catalogue.sightings([4])[4].species is None


def test_a_refusal_is_one_line(catalogue: Catalogue) -> None:
    split = edits.split(catalogue, "Muddy", [1], "Shadow", who=WHO)
    edits.rename(catalogue, "Shadow", "Shade", who=WHO)
    edits.reassign(catalogue, [1], "Muddy", who=WHO)
    with pytest.raises(EditConflict) as refused:
        undo(catalogue, split.event_id, who=WHO)
    assert "\n" not in str(refused.value)
