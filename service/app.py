"""The application: routes, what stands around them, and the lifespan that opens and closes what they use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from service import about, asking, batches, document, enrolling, field, individuals, predecessor, problems, sightings
from service.border import Border
from service.frame import Frame
from service.house import open_house
from service.jobs import Worker, sweep
from service.measures import Measures
from service.pages import Pages
from service.places import listed
from service.readiness import Readiness
from service.route import encoding
from service.traces import open_traces
from service.watching import Watcher
from settings import Settings

VERSION = "0.1.0"
ROOMS = (asking, enrolling, individuals, sightings, batches, predecessor, field, about)


def make_app(settings: Settings) -> FastAPI:
    """Costs nothing: what is heavy is opened when it starts."""
    measures = Measures(settings.metrics_dir)
    traces = open_traces(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = open_house(settings, measures, traces)
        try:
            house = await asyncio.to_thread(opened.__enter__)
        except Exception as error:
            app.state.start_failure = error
            raise
        app.state.house, app.state.worker = house, Worker(house)
        app.state.listeners, app.state.forms = 0, 0
        app.state.watcher, app.state.readiness = Watcher(house), Readiness(house)
        await asyncio.to_thread(sweep, house)
        work = {asyncio.create_task(app.state.worker.run()), asyncio.create_task(app.state.watcher.run())}
        try:
            yield
        finally:
            house.leave()
            app.state.worker.wake()
            app.state.watcher.wake()
            await asyncio.wait(work)  # the row that is begun breaks off after its photo
            await asyncio.to_thread(opened.__exit__, None, None, None)
            measures.leave()
            if traces is not None:
                await asyncio.to_thread(traces.close)

    app = FastAPI(
        title="Flukeprint", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.measures, app.state.traces = measures, traces
    app.state.pages = listed(settings.cors_origins)
    app.state.private = str(settings.data_dir)  # no answer names it
    for room in ROOMS:
        app.include_router(room.routes)
    problems.install(app, [one for room in ROOMS for one in room.routes.routes])
    document.install(app)
    app.add_middleware(Border, settings=settings, encoding=[one for room in ROOMS for one in encoding(room.routes)])
    return app


def framed(app: FastAPI) -> ASGIApp:
    """As it is served: with the frame outermost, and pages' headers next, so that an answer to what failed has them too."""
    inner = Pages(app, app.state.pages) if app.state.pages else app
    return Frame(inner, app.state.measures, app.state.traces)
