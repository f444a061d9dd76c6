"""What may be done next with an answer: the links of the API's description, from what was made to the routes that take it.

A link says where in an answer, or in its request, another route's number is found. Where a list is empty there is nothing to
follow, which is for the client to see.
"""

from __future__ import annotations

from typing import Any

Link = dict[str, Any]
OF_INDIVIDUAL = ("get", "history", "amend", "enrol_further", "merge", "split", "reassign", "delete")
OF_SIGHTING = ("get", "photo", "thumbnail", "amend", "delete")
OF_JOB = ("get", "result", "events", "cancel")


def to(operation: str, body: dict[str, Any] | None = None, **parameters: str) -> Link:
    """In OpenAPI's words; `body` holds what is known of the request's."""
    return {"operationId": operation, "parameters": parameters} | ({"requestBody": body} if body else {})


def individual(where: str) -> dict[str, Link]:
    return {f"individual_{name}": to(f"individual_{name}", individual_id=where) for name in OF_INDIVIDUAL}


def sighting(where: str) -> dict[str, Link]:
    links = {f"sighting_{name}": to(f"sighting_{name}", sighting_id=where) for name in OF_SIGHTING}
    return links | {"similar": to("similar", {"sighting": where})}


def job(where: str) -> dict[str, Link]:
    return {f"job_{name}": to(f"job_{name}", job_id=where) for name in OF_JOB}


THIS, HERE, JOB = "$request.path.individual_id", "$request.path.sighting_id", "$request.path.job_id"
MADE, FIRST = "$response.body#/individual_id", "$response.body#/photos/0/sighting_id"
UNDO = {"undo": to("event_undo", event_id="$response.body#/event_id")}
# Only what every such answer has: a list may be empty, and a link that leads nowhere is none.
LINKS: dict[tuple[str, str], dict[str, Link]] = {
    ("post", "/v1/identify"): {
        "feedback": to("feedback_give", {"identification_id": "$response.body#/identification_id"}),
    },
    ("post", "/v1/individuals"): UNDO
    | individual(MADE)
    | sighting(FIRST)
    | {"split_first": to("individual_split", {"sightings": [FIRST]}, individual_id=MADE)},
    ("post", "/v1/individuals/{individual_id}/sightings"): UNDO | sighting(FIRST),
    ("get", "/v1/individuals/{individual_id}"): individual(THIS),
    ("patch", "/v1/individuals/{individual_id}"): UNDO | individual(THIS),
    ("delete", "/v1/individuals/{individual_id}"): UNDO,
    ("post", "/v1/individuals/{individual_id}/merge"): UNDO,
    ("post", "/v1/individuals/{individual_id}/split"): UNDO
    | individual(MADE)
    | {"back": to("individual_reassign", {"sightings": "$request.body#/sightings"}, individual_id=THIS)},
    ("post", "/v1/individuals/{individual_id}/reassign"): UNDO,
    ("post", "/v1/events/{event_id}/undo"): UNDO,
    ("get", "/v1/sightings/{sighting_id}"): sighting(HERE),
    ("patch", "/v1/sightings/{sighting_id}"): UNDO | sighting(HERE),
    ("delete", "/v1/sightings/{sighting_id}"): UNDO,
    ("post", "/v1/batches"): job("$response.body#/id"),
    ("get", "/v1/jobs/{job_id}"): job(JOB),
    ("post", "/v1/jobs/{job_id}/cancel"): job(JOB),
}
