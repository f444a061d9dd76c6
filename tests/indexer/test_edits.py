from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from ledger import ENGINES, WHO, enrol, living, log, new_catalogue, tables

from catalog.catalogue import Catalogue
from catalog.errors import CatalogueRefused, EditConflict, NameRefused, NotKnown
from catalog.values import Change
from indexer import edits
from indexer.undo import undo

# Sightings: Muddy (1) has 1, 2, 3; Fleck (2) has 4, 5; Patch (3) has 6; Nobody (4) has none.


@pytest.fixture(params=ENGINES)
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    with new_catalogue(request.param, tmp_path) as opened:
        enrol(opened, "Muddy", ["m0", "m1", "m2"], "orca")
        enrol(opened, "Fleck", ["f0", "f1"])
        enrol(opened, "Patch", ["p0"], "beluga")
        enrol(opened, "Nobody", [])
        yield opened


def owners(catalogue: Catalogue) -> dict[int, int]:
    return living(catalogue)[1]


def test_renaming_changes_the_name_and_says_so(catalogue: Catalogue) -> None:
    done = edits.rename(catalogue, "Muddy", " Murky ", who=WHO)
    assert done == edits.Done(5, 'Renamed "Muddy" to "Murky" (id 1).', 1)
    assert catalogue.find_individual("Murky").id == 1
    event = catalogue.event(5)
    assert (event.who, event.verb, event.what) == (WHO, "rename", done.what)
    with pytest.raises(NotKnown):
        catalogue.find_individual("Muddy")


def test_amending_changes_name_and_species_in_one_event(catalogue: Catalogue) -> None:
    done = edits.amend(catalogue, "Fleck", who=WHO, name="Spot", species="minke")
    assert done == edits.Done(5, 'Amended "Fleck" (id 2): name "Spot", species "minke".', 2, (4, 5))
    assert {catalogue.sighting(number).species for number in (4, 5)} == {"minke"}
    assert edits.amend(catalogue, 2, who=WHO, species=None).what.endswith("species unknown.")
    with pytest.raises(EditConflict, match="all that already"):
        edits.amend(catalogue, 2, who=WHO, name="Spot", species=None)
    with pytest.raises(NameRefused):
        edits.amend(catalogue, 2, who=WHO, name="Muddy", species="orca")
    assert catalogue.individual(2).species is None


def test_amending_a_sighting_sets_what_is_known_beside_its_pixels(catalogue: Catalogue) -> None:
    done = edits.amend_sighting(catalogue, 4, {"viewpoint": "left", "lat": 1.0, "lon": 2.0, "encounter": "later"}, who=WHO)
    assert done.stale == (4,)
    one = catalogue.sighting(4)
    assert (one.viewpoint, one.lat, one.lon, one.encounter) == ("left", 1.0, 2.0, "later")
    assert done.what == (
        'Amended sighting 4 of "Fleck": place from unknown to 1.0, 2.0, viewpoint from unknown to "left", '
        'encounter from "Fleck" to "later".'
    )
    for said in ({"lat": 1.0}, {"individual_id": 1}):
        with pytest.raises(CatalogueRefused):
            edits.amend_sighting(catalogue, 4, said, who=WHO)
    with pytest.raises(EditConflict, match="all that already"):
        edits.amend_sighting(catalogue, 4, {"viewpoint": "left"}, who=WHO)


def test_an_amended_day_takes_the_encounter_that_was_named_by_it_along_and_the_clock_comes_back_with_it(
    catalogue: Catalogue,
) -> None:
    at, other = datetime(2020, 12, 4, 9, 30), date(2021, 5, 1)
    with catalogue.write("test", who=WHO, what="") as write:
        label = write.encounter("individual 2 on 2020-12-04")
        write.set("sighting", 4, taken_on=at.date(), taken_at=at, encounter_id=label)
        write.set("sighting", 5, taken_on=at.date(), encounter_id=write.encounter("Harbour"))

    def amended(number: int, day: date | None) -> tuple[str, datetime | None]:
        edits.amend_sighting(catalogue, number, {"taken_on": day}, who=WHO)
        return catalogue.sighting(number).encounter, catalogue.sighting(number).taken_at

    assert amended(4, other) == ("individual 2 on 2021-05-01", None)
    assert catalogue.history(limit=1)[0].what == (
        'Amended sighting 4 of "Fleck": date from 2020-12-04 to 2021-05-01, '
        'encounter from "individual 2 on 2020-12-04" to "individual 2 on 2021-05-01".'
    )
    assert amended(4, at.date()) == ("individual 2 on 2020-12-04", at)
    assert amended(4, None) == (f"photo {catalogue.sighting(4).photo_sha256[:16]}", None)
    assert amended(5, other) == ("Harbour", None)
    told = edits.amend_sighting(catalogue, 5, {"taken_on": at.date(), "encounter": "Pier"}, who=WHO).what
    assert told.endswith('date from 2021-05-01 to 2020-12-04, encounter from "Harbour" to "Pier".')


def test_merging_moves_the_sightings_and_leaves_a_tombstone_that_tells(catalogue: Catalogue) -> None:
    done = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    assert done == edits.Done(5, 'Merged "Fleck" (id 2) into "Muddy" (id 1): 2 sightings moved.', 1, (4, 5))
    assert owners(catalogue) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 3}
    fleck = catalogue.individual(2)
    assert (fleck.live, fleck.merged_into, fleck.name) == (False, 1, "Fleck")
    assert {one.name: one.sightings for one in catalogue.individuals()} == {"Muddy": 5, "Patch": 1, "Nobody": 0}


def test_merging_gives_the_survivor_a_species_where_it_had_none(catalogue: Catalogue) -> None:
    done = edits.merge(catalogue, "Fleck", "Muddy", who=WHO)
    assert catalogue.individual(2).species == "orca"
    assert done.stale == (4, 5)
    assert {one.species for one in catalogue.sightings_of(2)} == {"orca"}
    undo(catalogue, done.event_id, who=WHO)
    assert [one.species for one in catalogue.sightings_of(2)] == [None, None]


def test_sightings_without_a_species_have_that_of_the_individual_they_come_to(catalogue: Catalogue) -> None:
    merged = edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    assert {one.species for one in catalogue.sightings_of(1)} == {"orca"}
    undo(catalogue, merged.event_id, who=WHO)
    assert edits.reassign(catalogue, [4], "Patch", who=WHO).stale == (4,)
    assert (catalogue.sighting(4).species, catalogue.sighting(5).species) == ("beluga", None)


def test_splitting_makes_a_new_individual_of_the_same_species(catalogue: Catalogue) -> None:
    done = edits.split(catalogue, 1, [3, 1, 3], "Shadow", who=WHO)
    assert done == edits.Done(5, 'Split 2 sightings (3, 1) from "Muddy" (id 1) off as "Shadow" (id 5).', 5)
    assert owners(catalogue) == {1: 5, 2: 1, 3: 5, 4: 2, 5: 2, 6: 3}
    assert catalogue.find_individual("Shadow").species == "orca"


def test_who_is_split_off_without_a_name_is_named_after_the_one_that_it_was_taken_for(catalogue: Catalogue) -> None:
    first, second = edits.split(catalogue, 1, [3], who=WHO), edits.split(catalogue, "Muddy", [1], who=WHO)
    named = [catalogue.find_individual(done.individual_id or 0).name for done in (first, second)]
    assert named == ["Muddy (2)", "Muddy (3)"]
    long = edits.rename(catalogue, "Fleck", "a" * 200, who=WHO)
    done = edits.split(catalogue, long.individual_id or 0, [4], who=WHO)
    assert catalogue.find_individual(done.individual_id or 0).name == "a" * 190 + " (2)"


def test_reassigning_moves_sightings_of_several(catalogue: Catalogue) -> None:
    done = edits.reassign(catalogue, [4, 1], "Nobody", who=WHO)
    assert done.what == 'Reassigned 2 sightings (4, 1) from "Fleck" (id 2), "Muddy" (id 1) to "Nobody" (id 4).'
    assert owners(catalogue) == {1: 4, 2: 1, 3: 1, 4: 4, 5: 2, 6: 3}


def test_an_individual_whose_last_sighting_leaves_stays_and_is_said_to_be_empty(catalogue: Catalogue) -> None:
    said = 'No sighting is left of "Fleck" (id 2), which stays in the list; delete it if it is not wanted.'
    assert edits.reassign(catalogue, [4, 5], "Muddy", who=WHO).what.endswith(f'to "Muddy" (id 1). {said}')
    done = edits.delete_sightings(catalogue, [6], who=WHO)
    assert done.what == f'Deleted sighting 6 of "Patch" (id 3). {said.replace("Fleck", "Patch").replace("2", "3")}'
    assert {one.name: one.sightings for one in catalogue.individuals()} == {"Muddy": 5, "Fleck": 0, "Patch": 0, "Nobody": 0}


def test_deleting_an_individual_takes_its_sightings_along(catalogue: Catalogue) -> None:
    done = edits.delete_individual(catalogue, "Muddy", who=WHO)
    assert done == edits.Done(5, 'Deleted "Muddy" (id 1) with 3 sightings.', 1, (1, 2, 3))
    assert owners(catalogue) == {4: 2, 5: 2, 6: 3}
    assert "Muddy" not in {one.name for one in catalogue.individuals()}
    enrol(catalogue, "Muddy", ["m0"])  # the name and the photo are free again
    assert owners(catalogue)[7] == 5


def test_deleting_sightings_leaves_the_individual(catalogue: Catalogue) -> None:
    done = edits.delete_sightings(catalogue, [2, 4], who=WHO)
    assert done == edits.Done(5, 'Deleted 2 sightings (2, 4) of "Muddy" (id 1), "Fleck" (id 2).', None, (2, 4))
    assert owners(catalogue) == {1: 1, 3: 1, 5: 2, 6: 3}


def test_setting_the_species_takes_along_the_sightings_that_had_it(catalogue: Catalogue) -> None:
    with catalogue.write("correct", who=WHO, what="") as write:
        write.set("sighting", 2, species="minke")
        write.set("sighting", 3, species=None)
    done = edits.set_species(catalogue, "Muddy", "beluga", who=WHO)
    assert done == edits.Done(6, 'Set the species of "Muddy" (id 1) from orca to beluga.', 1, (1, 3))
    assert [one.species for one in catalogue.sightings_of(1)] == ["beluga", "minke", "beluga"]
    assert edits.set_species(catalogue, "Muddy", None, who=WHO).what.endswith("from beluga to unknown.")


def test_an_edit_records_what_it_rests_on(catalogue: Catalogue) -> None:
    edits.merge(catalogue, "Muddy", "Fleck", who=WHO)
    assert set(catalogue.changes_of(5)) == {
        Change("individual", 1, "live", True, True),
        Change("individual", 1, "species", "orca", "orca"),
        Change("individual", 2, "species", None, None),
        Change("individual", 2, "live", True, False),
        Change("individual", 2, "merged_into", None, 1),
        *(Change("sighting", number, "live", True, True) for number in (4, 5)),
        *(Change("sighting", number, "individual_id", 2, 1) for number in (4, 5)),
        *(Change("sighting", number, "species", None, "orca") for number in (4, 5)),
    }
    assert [event.id for event in catalogue.history("individual", 1)] == [5, 1]
    assert [event.id for event in catalogue.history("sighting", 4)] == [5, 2]


def nothing(_: Catalogue) -> None:
    pass


def deleted(catalogue: Catalogue) -> None:
    edits.delete_individual(catalogue, "Fleck", who=WHO)


def merged(catalogue: Catalogue) -> None:
    edits.merge(catalogue, "Muddy", "Fleck", who=WHO)


Step = Callable[[Catalogue], object]
REFUSED: list[tuple[Step, Step, type[CatalogueRefused], str]] = [
    (nothing, lambda c: edits.rename(c, "Muddy", "Muddy ", who=WHO), NameRefused, r'"Muddy" \(id 1\) has that name already'),
    (nothing, lambda c: edits.rename(c, "Muddy", "Fleck", who=WHO), NameRefused, 'The name "Fleck" is taken by individual 2'),
    (nothing, lambda c: edits.rename(c, "Muddy", "", who=WHO), NameRefused, "cannot be empty"),
    (nothing, lambda c: edits.rename(c, 99, "New", who=WHO), NotKnown, "There is no individual 99"),
    (nothing, lambda c: edits.set_species(c, "Muddy", "orca", who=WHO), EditConflict, "has that species already"),
    (nothing, lambda c: edits.merge(c, 1, "Muddy", who=WHO), EditConflict, r'"Muddy" \(id 1\) cannot be merged with itself'),
    (
        nothing,
        lambda c: edits.merge(c, 1, 3, who=WHO),
        EditConflict,
        r'"Muddy" \(id 1\) is orca, but "Patch" \(id 3\) is beluga',
    ),
    (nothing, lambda c: edits.merge(c, "Muddy", "Nemo", who=WHO), NotKnown, 'There is no individual "Nemo"'),
    (deleted, lambda c: edits.merge(c, "Muddy", "Fleck", who=WHO), NotKnown, r'\("Fleck"\) has been deleted'),
    (merged, lambda c: edits.merge(c, "Fleck", "Muddy", who=WHO), NotKnown, "has been merged into individual 1"),
    (merged, lambda c: edits.merge(c, "Muddy", 2, who=WHO), NotKnown, "has been merged into individual 1"),
    (nothing, lambda c: edits.split(c, "Muddy", [], "New", who=WHO), EditConflict, "No sightings were named to split off"),
    (nothing, lambda c: edits.split(c, "Muddy", [3, 2, 1], "New", who=WHO), EditConflict, "These are all the sightings of"),
    (nothing, lambda c: edits.split(c, 1, [1, 4], "New", who=WHO), EditConflict, r'Not of "Muddy" \(id 1\): sighting 4;'),
    (nothing, lambda c: edits.split(c, "Muddy", [99], "New", who=WHO), NotKnown, "There is no sighting 99"),
    (
        nothing,
        lambda c: edits.split(c, "Muddy", [1], "Fleck", who=WHO),
        NameRefused,
        'The name "Fleck" is taken by individual 2',
    ),
    (nothing, lambda c: edits.reassign(c, [], "Fleck", who=WHO), EditConflict, "No sightings were named to reassign"),
    (
        nothing,
        lambda c: edits.reassign(c, [1, 4], 2, who=WHO),
        EditConflict,
        r'Of "Fleck" \(id 2\) already: sighting 4; leave it',
    ),
    (nothing, lambda c: edits.reassign(c, [6], "Muddy", who=WHO), EditConflict, r'is orca, but "Patch" \(id 3\) is beluga'),
    (nothing, lambda c: edits.reassign(c, [1], 99, who=WHO), NotKnown, "There is no individual 99"),
    (deleted, lambda c: edits.reassign(c, [4], 1, who=WHO), EditConflict, "Already deleted: sighting 4;"),
    (nothing, lambda c: edits.delete_individual(c, "Nemo", who=WHO), NotKnown, 'There is no individual "Nemo"'),
    (deleted, lambda c: edits.delete_individual(c, 2, who=WHO), NotKnown, "has been deleted"),
    (nothing, lambda c: edits.delete_sightings(c, [], who=WHO), EditConflict, "No sightings were named to delete"),
    (deleted, lambda c: edits.delete_sightings(c, [4, 1], who=WHO), EditConflict, "Already deleted: sighting 4;"),
]


@pytest.mark.parametrize(("prepare", "attempt", "error", "says"), REFUSED, ids=[says for _, _, _, says in REFUSED])
def test_a_refused_edit_says_why_and_changes_nothing_at_all(
    catalogue: Catalogue, prepare: Step, attempt: Step, error: type[CatalogueRefused], says: str
) -> None:
    prepare(catalogue)
    before = (tables(catalogue), log(catalogue), catalogue.counts())
    with pytest.raises(error, match=says):
        attempt(catalogue)
    assert (tables(catalogue), log(catalogue), catalogue.counts()) == before
