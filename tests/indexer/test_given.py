"""What is said of a photo: what is understood, what is refused, and who wins where sources disagree."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from encoder.values import Box, Taken
from errors import FlukeprintError
from indexer.given import Given, bound, crop, day, day_in, given, moment


@pytest.mark.parametrize(
    "text", ["2019-08-05", "2019-08-05 17:20:11", "2019-08-05T17:20", "2019:08:05", "20190805", " 2019-08-05 "]
)
def test_a_day_is_read_as_tables_and_cameras_write_it(text: str) -> None:
    assert day(text) == date(2019, 8, 5)


@pytest.mark.parametrize("text", ["2019-02-31", "05/08/2019", "yesterday", "2019-08-055", "nan", "1700-01-01"])
def test_what_is_no_day_is_refused_with_the_form_that_is(text: str) -> None:
    with pytest.raises(FlukeprintError, match=r"date|day") as refusal:
        day(text)
    assert text[:10] in str(refusal.value)


def test_a_day_that_is_yet_to_come_is_refused() -> None:
    later = date.today() + timedelta(days=30)
    with pytest.raises(FlukeprintError, match="yet to come"):
        day(str(later))
    assert bound(f"{later:%Y%m%d}") == later  # but it may end a season that is asked about


@drawn(st.text())
def test_a_day_is_read_or_refused_whatever_is_written(text: str) -> None:
    try:
        found = day(text)
    except FlukeprintError:
        return
    assert found is None or isinstance(found, date)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("2019-08-05/a.jpg", date(2019, 8, 5)),
        ("2018/IMG_20190805_1720.jpg", date(2019, 8, 5)),
        ("20180101/x-2019.08.05.jpg", date(2019, 8, 5)),
        ("whale-12345678.jpg", None),
        ("a/2019-02-31.jpg", None),
        ("2019-08-05/DSC_20991107.jpg", date(2019, 8, 5)),  # a number; the day would be yet to come
    ],
)
def test_a_day_in_a_name_is_found_the_deepest_first(path: str, found: date | None) -> None:
    assert day_in(path) == found


@pytest.mark.parametrize(("text", "box"), [("10,20,300,200", Box(10, 20, 300, 200)), ("[1.0, 2.0, 3.5, 4]", Box(1, 2, 3, 4))])
def test_a_box_is_read_as_people_and_tables_write_it(text: str, box: Box) -> None:
    assert crop(text) == box


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "-1,0,5,5", "0,0,0,5", "nan,0,5,5", "1,2,3,4,5"])
def test_what_is_no_box_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(FlukeprintError, match="10,20,300,200"):
        crop(text)


@pytest.mark.parametrize("text", [None, "", "-"])
def test_no_box_is_the_whole_photo(text: str | None) -> None:
    assert crop(text) is None


@pytest.mark.parametrize(("lat", "lon"), [("nan", "1"), ("91", "0"), ("0", "181"), ("1", None), ("x", "y"), ("inf", "0")])
def test_what_is_no_place_is_refused(lat: str, lon: str | None) -> None:
    with pytest.raises(FlukeprintError, match=r"latitude|longitude"):
        given(lat=lat, lon=lon)


def test_the_equator_is_a_place() -> None:
    assert (given(lat="0", lon="0").lat, given(lat=0.0, lon=0.0).lon) == (0.0, 0.0)


def test_what_is_given_wins_over_the_camera_and_the_camera_over_nothing() -> None:
    taken = Taken(at=datetime(2020, 1, 2, 3, 4), lat=1.0, lon=2.0)
    assert Given().or_from(taken) == Given(taken_on=date(2020, 1, 2), lat=1.0, lon=2.0)
    said = Given(taken_on=date(2019, 1, 1), lat=5.0, lon=6.0)
    assert said.or_from(taken) == said


def test_the_cameras_clock_is_kept_only_where_it_agrees_with_the_day() -> None:
    taken = Taken(at=datetime(2020, 1, 2, 3, 4))
    assert moment(taken, date(2020, 1, 2)) == taken.at
    assert moment(taken, date(2019, 1, 1)) is None
