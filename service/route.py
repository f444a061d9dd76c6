"""The one place where a route's role is enforced, and where what cannot be taken is refused before its body is read.

A route says its role once, as `x-role` in its description, and whether it needs the model, as `x-encodes`. One that says
no role is no route: the service does not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from inspect import signature
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from catalog.values import Role
from service.errors import Leaving, NotAllowed
from service.forms import refuse_unknown
from service.house import house_of

Who = Role | Literal["anyone"]
Answering = Callable[[Request], Coroutine[Any, Any, Response]]


class GuardedRoute(APIRoute):
    """A route behind its role."""

    def get_route_handler(self) -> Answering:
        alone = _takes_the_request_alone(self.endpoint)
        answering = self.endpoint if alone else super().get_route_handler()
        said = self.openapi_extra or {}
        if "x-role" not in said:
            raise ValueError(f"the route {self.path} does not say its role")
        who: Who = said["x-role"]
        encodes: bool = said.get("x-encodes", False)
        counted: bool = said.get("x-counted", True)
        known = [parameter.alias for parameter in self.dependant.query_params]
        reads_them = alone and "POST" in (self.methods or ())  # with the form that they stand beside, as `forms.py` does

        async def guarded(request: Request) -> Response:
            house = house_of(request)
            if house.leaving and who != "anyone":
                raise Leaving("The service is stopping: nothing new is begun. Ask again in a moment.")
            if who != "anyone":
                if counted:
                    house.rates.take(f"address {request.client.host if request.client else 'unknown'}")
                caller = await house.keyring.caller(request)
                if counted:
                    house.rates.take(caller.id)
                if not caller.may(who):
                    raise NotAllowed(f'This needs the role "{who}", and the key "{caller.name}" has "{caller.role}".')
                request.state.caller = caller
                if request.query_params and not reads_them:
                    refuse_unknown(request.query_params, known)
            place = house.gate.encode.reserve() if encodes else None
            request.state.place = place
            try:
                return await answering(request)
            except asyncio.CancelledError:  # by the server, when the time to leave is over
                if not house.leaving:
                    raise
                told = (
                    "The service stopped before this was answered; what was begun may still be done. Send it again, as it was."
                )
                raise Leaving(told) from None
            finally:
                if place is not None:
                    place.give_back()

        return guarded


def _takes_the_request_alone(endpoint: Callable[..., Any]) -> bool:
    """And reads it itself: then there is nothing that the framework would look for in it, which costs as much as the route."""
    return list(signature(endpoint).parameters) == ["request"]


def router(tag: str) -> APIRouter:
    return APIRouter(route_class=GuardedRoute, tags=[tag])


def encoding(routes: APIRouter) -> list[APIRoute]:
    """Those that run the model for whoever waits."""
    return [one for one in routes.routes if isinstance(one, APIRoute) and (one.openapi_extra or {}).get("x-encodes")]


def role(who: Who, *, encodes: bool = False, counted: bool = True, **more: Any) -> dict[str, Any]:
    """A route's `openapi_extra`: who may ask, whether it runs the model and counts for the rate, and what else there is."""
    return {"x-role": who, "x-encodes": encodes, "x-counted": counted} | more
