"""A filter in plain conditions, and facts as a payload and back."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_db.conditions import HAIR, Among, AnyBox, Around, Between, Equal, NotAmong, conditions, facts_of, payload_of
from vector_db.errors import FactRefused
from vector_db.port import NO_FILTER, Facts, Filter, GeoBox, Place, Radius

places = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180))
facts = st.builds(
    Facts,
    species=st.none() | st.text(),
    viewpoint=st.none() | st.text(),
    taken=st.none() | st.dates(),
    place=st.none() | places,
)


@given(facts=facts)
def test_facts_come_back_from_a_payload(facts: Facts) -> None:
    found = facts_of(payload_of(facts))
    assert (found.species, found.viewpoint, found.taken) == (facts.species, facts.viewpoint, facts.taken)
    if facts.place is None:
        assert found.place is None
    else:
        assert found.place is not None
        assert abs(found.place.lat - facts.place.lat) <= HAIR
        assert abs(found.place.lon - facts.place.lon) <= HAIR


def test_poles_and_the_antimeridian_come_back_exactly() -> None:
    for place in (Place(90.0, 180.0), Place(-90.0, -180.0)):
        assert facts_of(payload_of(Facts(place=place))).place == place


def test_absent_facts_are_absent_keys() -> None:
    assert payload_of(Facts()) == {}
    assert facts_of(None) == facts_of({}) == Facts()


def test_a_day_is_a_number_that_a_person_can_read() -> None:
    assert payload_of(Facts(taken=date(2024, 5, 1)))["taken"] == 20240501


def test_no_filter_is_no_condition() -> None:
    assert conditions(NO_FILTER) == ()
    assert NO_FILTER.is_empty()
    assert not Filter(species="orca").is_empty()


def test_every_part_of_a_filter_is_a_condition() -> None:
    where = Filter(
        species="orca",
        viewpoint="left",
        after=date(2020, 1, 1),
        before=date(2021, 12, 31),
        near=Radius(Place(1.0, 2.0), 3.0),
        within=GeoBox(0.0, 1.0, 2.0, 3.0),
        among=frozenset({8, 3}),
        exclude=frozenset({9, 4}),
    )
    species, viewpoint, days, near, within, among, without = conditions(where)
    assert species == Equal("species", "orca")
    assert viewpoint == Equal("viewpoint", "left")
    assert days == Between("taken", 20200101, 20211231)
    assert isinstance(near, Around)
    assert near.metres == pytest.approx(3000, abs=0.01)
    assert isinstance(within, AnyBox)
    assert len(within.boxes) == 1
    assert among == Among((3, 8))
    assert without == NotAmong((4, 9))


def test_a_filter_by_no_id_lets_nothing_through() -> None:
    assert conditions(Filter(among=frozenset())) == (Among(()),)


def test_a_box_across_the_antimeridian_is_two_that_do_not_cross_it() -> None:
    (condition,) = conditions(Filter(within=GeoBox(-10.0, 170.0, 10.0, -170.0)))
    assert isinstance(condition, AnyBox)
    western, eastern = condition.boxes
    assert (western.west, eastern.east) == (pytest.approx(170), pytest.approx(-170))
    assert western.west < western.east < 180
    assert -180 < eastern.west < eastern.east


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (Filter(near=Radius(Place(91.0, 0.0), 1.0)), "latitude 91.0"),
        (Filter(near=Radius(Place(float("nan"), 0.0), 1.0)), "latitude nan"),
        (Filter(near=Radius(Place(0.0, -180.5), 1.0)), "longitude -180.5"),
        (Filter(near=Radius(Place(0.0, 0.0), -1.0)), "radius of -1.0 km"),
        (Filter(near=Radius(Place(0.0, 0.0), float("inf"))), "radius of inf km"),
        (Filter(near=Radius(Place(0.0, 0.0), float("nan"))), "radius of nan km"),
        (Filter(within=GeoBox(5.0, 0.0, 4.0, 1.0)), "south before north"),
        (Filter(within=GeoBox(0.0, 0.0, 90.5, 1.0)), "latitude 90.5"),
        (Filter(within=GeoBox(0.0, float("nan"), 1.0, 1.0)), "longitude nan"),
        (Filter(exclude=frozenset({-1})), "id is -1"),
        (Filter(among=frozenset({-1})), "id is -1"),
        (Filter(species="\ud800"), "cannot be written"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_in_words(where: Filter, says: str) -> None:
    with pytest.raises(FactRefused, match=says):
        conditions(where)


@pytest.mark.parametrize("facts", [Facts(place=Place(0.0, float("inf"))), Facts(species="\udfff"), Facts(viewpoint="a\ud800")])
def test_facts_that_cannot_be_are_refused(facts: Facts) -> None:
    with pytest.raises(FactRefused):
        payload_of(facts)
