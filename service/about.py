"""What the service says of itself: bundles, counts, feedback, health, and what it measures."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import Request
from starlette.responses import JSONResponse, Response

from catalog.errors import NotKnown, ValueRefused
from catalog.values import Feedback
from service import schemas
from service.document import gives
from service.house import caller_of, house_of
from service.retries import Attempt, Reply, fingerprint, once
from service.route import role, router
from service.watching import tell_lanes

routes = router("service")
COUNTS = {"schema": {"type": "string"}, "example": 'flukeprint_photos_total{outcome="enrolled"} 180.0\n'}


@routes.post(
    "/v1/feedback",
    operation_id="feedback_give",
    summary="Whether an answer was right, so that accuracy in use can be counted",
    status_code=201,
    response_model=schemas.Feedback,
    responses=gives(NotKnown, ValueRefused),
    openapi_extra=role("viewer"),
)
async def feedback_give(request: Request, asked: schemas.FeedbackAsked) -> Response:
    house, caller = house_of(request), caller_of(request)

    def work(attempt: Attempt) -> Reply:
        kept = house.desk.add_feedback(
            asked.identification_id,
            asked.verdict,
            who=caller.name,
            individual=asked.individual_id,
            remark=asked.remark,
            token=attempt.token,
        )
        return Reply(_feedback_json(kept), 201)

    return await once(request, fingerprint(asked), work, lambda number: Reply(_feedback_json(house.desk.feedback(number)), 201))


@routes.get(
    "/v1/bundles",
    operation_id="bundle_list",
    summary="The encoder bundles that this catalogue has vectors of",
    response_model=schemas.Bundles,
    openapi_extra=role("viewer"),
)
async def bundle_list(request: Request) -> Response:
    house = house_of(request)
    found = await house.gate.books.run(house.station.catalogue.bundles)
    rows = [
        asdict(one) | {"first_used": one.first_used.isoformat(), "in_use": one.id == house.station.bundle_id} for one in found
    ]
    return JSONResponse({"bundles": rows})


@routes.get(
    "/v1/stats",
    operation_id="stats",
    summary="How much is known, and how often the answers were right",
    response_model=schemas.Stats,
    openapi_extra=role("viewer"),
)
async def stats(request: Request) -> Response:
    house = house_of(request)

    def read() -> dict[str, object]:
        counts = asdict(house.station.catalogue.counts())
        del counts["tombstones"], counts["vectors"]
        return counts | {"feedback": house.desk.verdicts()}

    return JSONResponse(await house.gate.books.run(read))


@routes.get(
    "/healthz",
    operation_id="health",
    summary="Alive",
    response_model=schemas.Alive,
    openapi_extra=role("anyone"),
)
async def health() -> Response:
    return JSONResponse({"alive": True})


@routes.get(
    "/readyz",
    operation_id="ready",
    summary="Ready to answer: encoder, catalogue and index, each by name",
    response_model=schemas.Ready,
    responses={503: {"description": "Not ready: `reason` says why.", "model": schemas.Ready}},
    openapi_extra=role("anyone"),
)
async def ready(request: Request) -> Response:
    house = house_of(request)
    parts = await request.app.state.readiness.told()
    well = all(part["ready"] for part in parts.values()) and not house.leaving
    return JSONResponse({"ready": well} | parts, 200 if well else 503)


@routes.get(
    "/metrics",
    operation_id="metrics",
    summary="What is counted, in Prometheus' text",
    response_class=Response,
    responses={200: {"description": "The counts.", "content": {"text/plain": COUNTS}}},
    openapi_extra=role("viewer", counted=False),  # who watches must see most when others ask much
)
async def metrics(request: Request) -> Response:
    house = house_of(request)
    tell_lanes(house)
    return Response(house.measures.text(), media_type="text/plain; version=0.0.4")


def _feedback_json(one: Feedback) -> dict[str, object]:
    return asdict(one) | {"at": one.at.isoformat()}
