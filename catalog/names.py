"""What things may be called, and which dates and places can be.

One rule each, for every way in: command, import, service. Refuses what cannot be shown, told apart or true; the
message says what was given (shortened) and what to give instead. Pure: whoever calls brings today's date.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from catalog.errors import NameRefused, ValueRefused

MAX_NAME = 200
MAX_LABEL = 200
FIRST_YEAR = 1826  # the oldest photograph that survives
_SHOWN = 40
_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, lone surrogates, line and paragraph separators
_BLANK = {"Cf", "Mn", "Me", "Zs", "Cn", "Co"}  # a name made of these alone shows nothing
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they reorder what is shown around them
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_ADDRESS = re.compile(r"(id|name):", re.IGNORECASE)


def shown(given: object) -> str:
    """What was given, quoted, on one line and short enough for a message."""
    text = given if isinstance(given, str) else str(given)
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_SHOWN])
    return f'"{safe}"' if len(text) <= _SHOWN else f'"{safe}…" ({len(text):,} characters)'


def storable(text: str) -> str:
    """Free text as a database takes it: a file name's undecodable bytes spelled out, no NUL (some cameras write them).

    >>> storable("IMG\\udcff.jpg")
    'IMG\\\\udcff.jpg'
    """
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Anything, as a screen may show it: what breaks the line, moves the cursor or reorders the line is spelled out.

    >>> one_line("a\\x1b[2J.jpg")
    'a\\\\x1b[2J.jpg'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _unshowable(c) else c for c in text)


def _unshowable(c: str) -> bool:
    return unicodedata.category(c) in _UNSHOWABLE or c in _TURNING


def listed(values: Sequence[object]) -> str:
    """The first few, for a message."""
    few = ", ".join(str(value) for value in values[:5])
    return few if len(values) <= 5 else f"{few} and {len(values) - 5:,} more"


def _flaw(text: str, limit: int) -> str | None:
    """Why it cannot be shown in a list, or None."""
    if len(text) > limit:
        return f"is {len(text):,} characters long; give at most {limit}"
    if text.isascii() and text.isprintable():  # nearly all of them; an import cleans five labels a sighting
        return None
    for c in text:
        if _unshowable(c):
            return f"holds the unprintable character U+{ord(c):04X}; leave it out"
    if text and all(unicodedata.category(c) in _BLANK for c in text):
        return "shows nothing; give letters or digits"
    return None


def folded(text: str) -> str:
    """As a search compares it: without the case of letters, however they were composed.

    >>> folded("Straße") == folded("STRASSE")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def clean_name(given: str) -> str:
    """The name as it is kept: Unicode NFC, without spaces around it.

    >>> clean_name("  Muddy ")
    'Muddy'
    """
    name = unicodedata.normalize("NFC", given).strip()
    if not name:
        raise NameRefused(f"An individual's name cannot be empty (given: {shown(given)}); give 1 to {MAX_NAME} characters.")
    if flaw := _flaw(name, MAX_NAME):
        raise NameRefused(f"The name {shown(given)} {flaw}.")
    if _ADDRESS.match(name):
        raise NameRefused(f'The name {shown(given)} begins like an address ("id:12", "name:Muddy"); choose another beginning.')
    return name


def clean_label(given: str | None, what: str) -> str | None:
    """A species, viewpoint, encounter or user as it is kept; blank is None. `what` names it in the message."""
    label = unicodedata.normalize("NFC", given or "").strip()
    if flaw := _flaw(label, MAX_LABEL):
        raise ValueRefused(f"The {what} {shown(given)} {flaw}.")
    return label or None


def required_label(given: str, what: str) -> str:
    label = clean_label(given, what)
    if label is None:
        raise ValueRefused(f"The {what} cannot be empty (given: {shown(given)}); give 1 to {MAX_LABEL} characters.")
    return label


def clean_place(lat: float | str | None, lon: float | str | None) -> tuple[float | None, float | None]:
    """Degrees north and east, both or neither; blank text is absent.

    >>> clean_place("-41.5", 174)
    (-41.5, 174.0)
    """
    north, east = _degrees(lat, "latitude", 90), _degrees(lon, "longitude", 180)
    if (north is None) != (east is None):
        have, lack = ("latitude", "longitude") if east is None else ("longitude", "latitude")
        raise ValueRefused(f"A {have} ({shown(lat if east is None else lon)}) came without its {lack}; give both or neither.")
    return north, east


def _degrees(given: float | str | None, what: str, limit: int) -> float | None:
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    try:
        value = float(given)
    except ValueError:
        raise ValueRefused(f'The {what} {shown(given)} is not a number; give decimal degrees such as "-41.5".') from None
    if not math.isfinite(value) or abs(value) > limit:
        raise ValueRefused(f"The {what} {shown(given)} cannot be; give degrees from -{limit} to {limit}.")
    return value


def clean_date(given: date | str | None, *, today: date | None = None) -> date | None:
    """A day as it is kept; blank text is absent. With `today`, a day after tomorrow is refused (the sea spans time zones).

    >>> clean_date("2021-07-03")
    datetime.date(2021, 7, 3)
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, str):
        text = given.strip()
        try:
            day = date.fromisoformat(text if _ISO.fullmatch(text) else "")
        except ValueError:
            raise ValueRefused(f'The date {shown(given)} is not a day; give it as "2021-07-03" (year-month-day).') from None
    else:
        day = given.date() if isinstance(given, datetime) else given
    if day.year < FIRST_YEAR:
        raise ValueRefused(f"The date {shown(given)} is older than photography; give a day from {FIRST_YEAR} on.")
    if today is not None and day > today + timedelta(days=1):
        raise ValueRefused(f"The date {shown(given)} is yet to come; today is {today}.")
    return day
