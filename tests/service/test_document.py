"""The OpenAPI document is whole, and what the service does is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.app import make_app
from service.problems import TABLE
from settings import read_settings

DOCUMENT: dict[str, Any] = make_app(read_settings({}, data_dir="unused")).openapi()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (f"{method.upper()} {path}", told) for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()
]


def schema(reference: dict[str, Any]) -> dict[str, Any]:
    name = reference.get("$ref", "").rpartition("/")[2]
    return SCHEMAS[name] if name else reference


@pytest.mark.parametrize(("name", "told"), OPERATIONS)
def test_every_route_shows_a_request_a_success_and_its_errors(name: str, told: dict[str, Any]) -> None:
    assert told["summary"]
    for content in told.get("requestBody", {}).get("content", {}).values():
        assert {"example", "examples"} & set(content) or "example" in schema(content["schema"]), name
    success = [answer for status, answer in told["responses"].items() if status.startswith("2")]
    assert success
    for content in success[0].get("content", {}).values():
        shape = schema(content["schema"])
        assert "example" in content or "example" in schema(shape.get("items", shape)), name
    for status, answer in told["responses"].items():
        if int(status) >= 400:
            (content,) = answer["content"].values()
            assert {"example", "examples"} & set(content) or "example" in schema(content["schema"]), (name, status)
    if told["x-role"] != "anyone":
        assert {"401", "403", "413", "422", "429", "503"} <= set(told["responses"]) or name == "POST /match"


def test_every_kind_of_problem_that_a_request_can_meet_is_listed() -> None:
    answers = [answer for _, told in OPERATIONS for answer in told["responses"].values()]
    listed = {
        slug for answer in answers for content in answer.get("content", {}).values() for slug in content.get("examples", ())
    }
    assert {kind.slug for kind in TABLE.values()} - listed == {"settings"}  # which are read before anything listens
    assert set(DOCUMENT["components"]["responses"]) == {"no-such-route", "method-not-allowed"}


@pytest.mark.parametrize("name", [name for name, shape in SCHEMAS.items() if "example" in shape])
def test_every_example_is_one(name: str) -> None:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(SCHEMAS[name]["example"])


def test_every_number_in_an_address_has_an_example() -> None:
    numbers = [one for _, told in OPERATIONS for one in told.get("parameters", ()) if one["in"] == "path"]
    assert len(numbers) > 15
    assert [one["name"] for one in numbers if "example" not in one] == []


def test_the_links_lead_to_operations_that_exist() -> None:
    known = {told["operationId"] for _, told in OPERATIONS}
    links = [
        link for _, told in OPERATIONS for answer in told["responses"].values() for link in answer.get("links", {}).values()
    ]
    assert len(links) > 8
    assert {link["operationId"] for link in links} <= known


def test_every_route_stands_in_the_docs(root: Path) -> None:
    page = (root / "docs/service.md").read_text("utf-8")
    assert [name for name, _ in OPERATIONS if name.partition(" ")[2] not in page] == []
