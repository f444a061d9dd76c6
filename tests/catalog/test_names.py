from __future__ import annotations

import unicodedata
from datetime import date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.errors import CatalogueRefused, NameRefused, ValueRefused
from catalog.names import (
    MAX_NAME,
    clean_date,
    clean_label,
    clean_name,
    clean_place,
    required_label,
    shown,
)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("  Muddy ", "Muddy"),
        ("Ka\u0308thi", "Käthi"),
        ("065", "065"),
        ("白鯨", "白鯨"),
        ("a" * 200, "a" * 200),
        ("O'Neil \u2013 2", "O'Neil \u2013 2"),
    ],
)
def test_a_name_is_kept_without_spaces_around_it_and_composed(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


@pytest.mark.parametrize(
    ("given_name", "says"),
    [
        ("", "cannot be empty"),
        (" \u00a0\n", "cannot be empty"),
        ("x" * 10_000, "is 10,000 characters long; give at most 200"),
        ("a\tb", "U+0009"),
        ("a\x00b", "U+0000"),
        ("a\ud800", "U+D800"),
        ("\u202egnp.exe", "U+202E"),
        ("\u200b\u200b", "shows nothing"),
        ("id:12", "begins like an address"),
        ("Name:Muddy", "begins like an address"),
    ],
)
def test_a_name_that_cannot_be_shown_or_told_apart_is_refused(given_name: str, says: str) -> None:
    with pytest.raises(NameRefused, match=says.replace("+", r"\+")) as refused:
        clean_name(given_name)
    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()


@given(st.text(max_size=250))
@example("\u0344" * 150)  # composing makes it longer
@example(" \u0301x")
def test_a_name_is_either_refused_or_clean_for_good(text: str) -> None:
    try:
        name = clean_name(text)
    except NameRefused:
        return
    assert 1 <= len(name) <= MAX_NAME
    assert clean_name(name) == name == unicodedata.normalize("NFC", name)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)


def test_a_blank_label_is_absent_and_a_required_one_refused() -> None:
    assert clean_label("  ", "species") is None
    assert clean_label(None, "species") is None
    assert clean_label(" orca ", "species") == "orca"
    with pytest.raises(ValueRefused, match=r"The encounter cannot be empty \(given: \"  \"\)"):
        required_label("  ", "encounter")
    with pytest.raises(ValueRefused, match=r"The viewpoint .* U\+0007"):
        clean_label("left\a", "viewpoint")


@pytest.mark.parametrize(
    ("lat", "lon", "kept"),
    [
        (None, None, (None, None)),
        ("", " ", (None, None)),
        ("-41.5", 174, (-41.5, 174.0)),
        (90, -180, (90.0, -180.0)),
        (0, 0, (0.0, 0.0)),
    ],
)
def test_a_place_is_kept_in_degrees(
    lat: float | str | None, lon: float | str | None, kept: tuple[float | None, float | None]
) -> None:
    assert clean_place(lat, lon) == kept


@pytest.mark.parametrize(
    ("lat", "lon", "says"),
    [
        (float("nan"), 0, 'latitude "nan" cannot be; give degrees from -90 to 90'),
        (0, float("inf"), 'longitude "inf" cannot be; give degrees from -180 to 180'),
        (90.1, 0, 'latitude "90.1" cannot be'),
        (0, -181, 'longitude "-181" cannot be'),
        ("north", 0, 'latitude "north" is not a number'),
        ("41,5", 0, 'latitude "41,5" is not a number'),
        (1.5, None, 'A latitude ."1.5". came without its longitude'),
        (None, "3", 'A longitude ."3". came without its latitude'),
    ],
)
def test_a_place_that_cannot_be_is_refused(lat: float | str | None, lon: float | str | None, says: str) -> None:
    with pytest.raises(ValueRefused, match=says):
        clean_place(lat, lon)


@given(st.floats() | st.text(max_size=8), st.floats() | st.text(max_size=8))
def test_a_place_is_refused_or_inside_the_globe(lat: float | str, lon: float | str) -> None:
    try:
        north, east = clean_place(lat, lon)
    except ValueRefused:
        return
    assert (north is None and east is None) or (
        north is not None and east is not None and abs(north) <= 90 and abs(east) <= 180
    )


def test_a_day_is_read_from_text_a_date_or_a_moment() -> None:
    day = date(2021, 7, 3)
    assert clean_date(" 2021-07-03 ") == clean_date(day) == clean_date(datetime(2021, 7, 3, 23, 59)) == day
    assert clean_date(None) is None
    assert clean_date("") is None


@pytest.mark.parametrize(
    ("given_day", "says"),
    [
        ("3.7.2021", 'The date "3.7.2021" is not a day; give it as "2021-07-03"'),
        ("20210703", "is not a day"),
        ("2021-02-30", "is not a day"),
        ("2021-W27-6", "is not a day"),
        ("1700-01-01", "older than photography"),
        ("2021-07-05", "yet to come; today is 2021-07-03"),
    ],
)
def test_a_day_that_cannot_be_is_refused(given_day: str, says: str) -> None:
    with pytest.raises(ValueRefused, match=says):
        clean_date(given_day, today=date(2021, 7, 3))


def test_a_day_begun_further_east_is_not_yet_to_come() -> None:
    assert clean_date("2021-07-04", today=date(2021, 7, 3)) == date(2021, 7, 4)


@given(st.text(max_size=300))
def test_what_was_given_is_shown_on_one_short_line(text: str) -> None:
    said = shown(text)
    assert said.isprintable()
    assert len(said) < 500


def test_every_refusal_is_one_that_a_person_can_mend() -> None:
    assert issubclass(NameRefused, CatalogueRefused)
    assert issubclass(ValueRefused, CatalogueRefused)
