"""`/v1/individuals` and `/v1/events`: who is known, and every correction to who is who."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from starlette.responses import JSONResponse, Response

from catalog.catalogue import Catalogue
from catalog.errors import EditConflict, NameRefused, NotKnown, ValueRefused
from catalog.names import clean_label
from catalog.values import EventRow, Sighting
from indexer import edits
from indexer.edits import Done
from indexer.undo import undo
from service import schemas
from service.document import gives
from service.errors import NotAllowed, RequestRefused
from service.house import caller_of, house_of
from service.retries import Reply, fingerprint, once
from service.route import role, router
from service.shape import NUMBER

routes = router("individuals")
IndividualId = Annotated[int, Path(ge=1, le=NUMBER)]
EventId = Annotated[int, Path(ge=1, le=NUMBER)]
EDITS = gives(NotKnown, EditConflict, NameRefused, ValueRefused)


@routes.get(
    "/v1/individuals",
    operation_id="individual_list",
    summary="The known individuals, page by page",
    response_model=schemas.Individuals,
    responses=gives(ValueRefused),
    openapi_extra=role("viewer"),
)
async def individual_list(
    request: Request,
    search: Annotated[str | None, Query(max_length=200, description="A part of the name.")] = None,
    species: Annotated[str | None, Query(max_length=200)] = None,
    sort: Literal["name", "id", "sightings", "encounters"] = "name",
    order: Literal["asc", "desc"] = "asc",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=NUMBER)] = 0,
) -> Response:
    house = house_of(request)
    kind = clean_label(species, "species")

    def read() -> dict[str, object]:
        found, total = house.station.catalogue.page_of_individuals(
            search, kind, limit=limit, offset=offset, order=sort, descending=order == "desc"
        )
        return {"individuals": [asdict(one) for one in found], "total": total, "limit": limit, "offset": offset}

    return JSONResponse(await house.gate.books.run(read))


@routes.get(
    "/v1/individuals/{individual_id}",
    operation_id="individual_get",
    summary="One individual with its sightings",
    response_model=schemas.IndividualWhole,
    responses=gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def individual_get(request: Request, individual_id: IndividualId) -> Response:
    house = house_of(request)

    def read() -> dict[str, object]:
        summary, sightings = house.station.catalogue.whole_individual(individual_id)
        return asdict(summary) | {"sightings": [sighting_json(one) for one in sightings]}

    return JSONResponse(await house.gate.books.run(read))


@routes.patch(
    "/v1/individuals/{individual_id}",
    operation_id="individual_amend",
    summary="Another name or species",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("editor"),
)
async def individual_amend(request: Request, individual_id: IndividualId, asked: schemas.IndividualAmended) -> Response:
    said = asked.model_dump(exclude_unset=True)
    if not said or ("name" in said and said["name"] is None):
        raise RequestRefused("Nothing to change was sent: give name, species or both; a name cannot be null.")
    return await edited(request, said, lambda books, who: edits.amend(books, individual_id, who=who, **said))


@routes.delete(
    "/v1/individuals/{individual_id}",
    operation_id="individual_delete",
    summary="Delete an individual with its sightings; an undo brings them back",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("admin"),
)
async def individual_delete(request: Request, individual_id: IndividualId) -> Response:
    return await edited(request, None, lambda books, who: edits.delete_individual(books, individual_id, who=who))


@routes.post(
    "/v1/individuals/{individual_id}/merge",
    operation_id="individual_merge",
    summary="Two individuals are one: the other's sightings go to this one",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("editor"),
)
async def individual_merge(request: Request, individual_id: IndividualId, asked: schemas.MergeAsked) -> Response:
    return await edited(
        request, asked, lambda books, who: edits.merge(books, individual_id, asked.other, who=who), individual_id
    )


@routes.post(
    "/v1/individuals/{individual_id}/split",
    operation_id="individual_split",
    summary="Some sightings of this individual are another animal, which is new",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("editor"),
)
async def individual_split(request: Request, individual_id: IndividualId, asked: schemas.SplitAsked) -> Response:
    return await edited(
        request, asked, lambda books, who: edits.split(books, individual_id, asked.sightings, asked.name, who=who)
    )


@routes.post(
    "/v1/individuals/{individual_id}/reassign",
    operation_id="individual_reassign",
    summary="Sightings of others are of this individual",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("editor"),
)
async def individual_reassign(request: Request, individual_id: IndividualId, asked: schemas.ReassignAsked) -> Response:
    return await edited(
        request, asked, lambda books, who: edits.reassign(books, asked.sightings, individual_id, who=who), individual_id
    )


@routes.get(
    "/v1/individuals/{individual_id}/history",
    operation_id="individual_history",
    summary="What happened to this individual, the newest first",
    response_model=schemas.Events,
    responses=gives(NotKnown),
    openapi_extra=role("viewer"),
)
async def individual_history(
    request: Request,
    individual_id: IndividualId,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, le=NUMBER, description="Older than this event.")] = None,
) -> Response:
    house = house_of(request)

    def read() -> dict[str, object]:
        books = house.station.catalogue
        books.individual(individual_id)
        found = books.history("individual", individual_id, limit=limit, before=before)
        return {"events": [event_json(event) for event in found]}

    return JSONResponse(await house.gate.books.run(read))


@routes.get(
    "/v1/events",
    operation_id="event_list",
    summary="What happened in the catalogue, the newest first",
    response_model=schemas.Events,
    openapi_extra=role("viewer"),
    tags=["events"],
)
async def event_list(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, le=NUMBER, description="Older than this event.")] = None,
) -> Response:
    house = house_of(request)
    found = await house.gate.books.run(lambda: house.station.catalogue.history(limit=limit, before=before))
    return JSONResponse({"events": [event_json(event) for event in found]})


@routes.post(
    "/v1/events/{event_id}/undo",
    operation_id="event_undo",
    summary="Take an event back, whatever it was; an admin, where it deletes an individual again",
    response_model=schemas.Done,
    responses=EDITS,
    openapi_extra=role("editor"),
    tags=["events"],
)
async def event_undo(request: Request, event_id: EventId) -> Response:
    caller = caller_of(request)

    def take_back(books: Catalogue, who: str) -> Done:
        if not caller.may("admin") and _deletes_again(books, event_id):
            raise NotAllowed(f'To undo event {event_id} deletes an individual, which needs the role "admin".')
        return undo(books, event_id, who=who)

    return await edited(request, event_id, take_back)


def _deletes_again(books: Catalogue, event_id: int) -> bool:
    """Whether it brought back an individual that had been deleted, and not one that had been merged."""
    changes = books.changes_of(event_id)
    merged = {change.entity_id for change in changes if change.entity == "individual" and change.field == "merged_into"}
    return any(
        change.entity == "individual" and change.field == "live" and change.before is False and change.after is True
        for change in changes
        if change.entity_id not in merged
    )


async def edited(request: Request, asked: object, edit: Callable[[Catalogue, str], Done], about: int | None = None) -> Response:
    """One edit, done once; a retry whose first answer was lost is told from the event."""
    house, caller = house_of(request), caller_of(request)

    def again(event_id: int) -> Reply:
        books = house.station.catalogue
        event, number = books.event(event_id), about
        if event.verb == "split":  # then it is about the one that it made
            number = next(one.entity_id for one in books.changes_of(event_id) if one.entity == "individual" and one.changed)
        return Reply({"event_id": event_id, "what": event.what, "individual_id": number})

    def work(books: Catalogue) -> Reply:
        done = edit(books, caller.name)
        return Reply({"event_id": done.event_id, "what": done.what, "individual_id": done.individual_id})

    return await once(request, fingerprint(asked), lambda attempt: work(attempt.books), again)


def sighting_json(one: Sighting) -> dict[str, object]:
    return asdict(one) | {"taken_on": one.taken_on and str(one.taken_on), "taken_at": one.taken_at and one.taken_at.isoformat()}


def event_json(event: EventRow) -> dict[str, object]:
    return asdict(event) | {"at": event.at.isoformat()}
