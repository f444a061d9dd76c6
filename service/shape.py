"""What every shape of the API rests on: its base, its numbers, and how a box is written.

The shapes are for the API's description and for reading requests; the values are made in the rooms below. Beside
`settings.py` they are the one place that uses pydantic. Each has an example, which a test reads.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from catalog.names import MAX_LABEL

NUMBER = 2**63 - 1  # the largest id that a database counts to
LABEL = MAX_LABEL  # characters of a name, a species, an encounter
Id = int
BOX = r"^(-|[0-9]{1,5},[0-9]{1,5},[1-9][0-9]{0,4},[1-9][0-9]{0,4})$"
Boxes = Annotated[list[str], Field(json_schema_extra={"items": {"type": "string", "pattern": BOX}})]


def _day(given: Any) -> Any:
    """Numbers would be taken for seconds since 1970."""
    if type(given) is date or (isinstance(given, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", given, re.ASCII)):
        return given
    raise ValueError('give a day as "2021-07-03" (year-month-day)')


Day = Annotated[date, BeforeValidator(_day)]


class Shape(BaseModel):
    """Requests with fields that are not known are refused: a typing error must not pass for a default."""

    model_config = ConfigDict(extra="forbid")


def shown(**example: Any) -> ConfigDict:
    """A shape's `model_config`: what it looks like, for its description."""
    return ConfigDict(json_schema_extra={"example": example})
