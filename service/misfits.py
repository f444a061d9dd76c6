"""What of a request does not fit its shape, in our words: where it is, what was expected, and what was given.

A field or a parameter that is not known is told with the nearest that is. The library's own words stay where they say enough.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

MOST = 20  # that are told of one request
IN_A_SENTENCE = 5  # of them, in `detail`
LONGEST = 60  # letters of what a client sent, in an answer
WORDS = {
    "missing": "it is missing",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "bool_parsing": "expected true or false",
    "model_attributes_type": "expected a JSON object, with the Content-Type application/json",
}
FIND = {("path", "individual_id"): "; give the individual's number: GET /v1/individuals?search= finds it"}


def nearest(name: str, known: Sequence[str]) -> str:
    """The hint beside a name that is not known."""
    near = difflib.get_close_matches(name[:LONGEST], known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(known) or 'none'}."


def misfit(error: ValidationError, shape: type[BaseModel]) -> RequestValidationError:
    """As the framework raises it for a body that it reads itself, with the fields that there are."""
    known = list(shape.model_fields)
    return RequestValidationError(
        [{**one, "known": known} for one in error.errors(include_url=False, include_context=False)[:MOST]]
    )


def told(errors: Sequence[Mapping[str, Any]], route: object) -> list[dict[str, str]]:
    """Each as `where` and `what`; `route` is the one that was asked, whose body the framework may have read."""
    known = _fields_of(route)
    return [{"where": _where(one["loc"]), "what": _what(one, one.get("known", known))} for one in errors[:MOST]]


def sentence(wrong: Sequence[Mapping[str, str]]) -> str:
    """The first few of them, for a person."""
    said = [f"{one['where']}: {one['what']}" for one in wrong[:IN_A_SENTENCE]] or ["body: unreadable"]
    if len(wrong) > IN_A_SENTENCE:
        said.append("and others, see `errors`")
    return " ".join(one if one.endswith(("?", ".")) else f"{one}." for one in said)


def _where(place: Sequence[str | int]) -> str:
    return ".".join(str(part)[:LONGEST] for part in place) or "body"


def _what(error: Mapping[str, Any], known: Sequence[str]) -> str:
    kind, place, given = error["type"], tuple(error["loc"]), error.get("input")
    if kind == "extra_forbidden":
        here = len(place) == (2 if place[0] == "body" else 1)  # and not within a field, whose own fields are others
        return "there is no such field" + (f": {nearest(str(place[-1]), known)}" if here else "")
    said = WORDS.get(kind) or str(error["msg"]).removeprefix("Value error, ")
    is_field = place not in ((), ("body",))  # what does not fit as a whole may be long
    if kind not in ("missing", "json_invalid") and is_field and isinstance(given, str | int | float):
        shown = f'"{given[:LONGEST]}"' if isinstance(given, str) else str(given).lower()[:LONGEST]
        said += f"; {shown} was given"
    return said + FIND.get(place, "")


def _fields_of(route: object) -> Sequence[str]:
    """Of the JSON body that the framework reads for a route."""
    body = route.dependant.body_params if isinstance(route, APIRoute) else []
    shape = body[0].field_info.annotation if len(body) == 1 else None
    return list(shape.model_fields) if isinstance(shape, type) and issubclass(shape, BaseModel) else []
