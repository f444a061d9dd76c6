"""What can go wrong between a client and the rooms.

ServiceError
├── StartRefused          the service cannot be started as it is set
├── NotLetIn              no key, or one that opens nothing
├── NotAllowed            a key of too small a role
├── HostRefused           asked under a name, or from a page, that is not ours
├── RequestRefused        what was sent cannot be read or understood
│   ├── UploadRefused     no photos, too many, or an archive that will not be opened
│   └── KeyMisused        an Idempotency-Key that belongs to another request
├── TooLarge              more bytes than are taken
├── TooSlow               a request that does not come to its end
├── Busy                  every place is taken; try again
├── TooOften              more requests a minute than are taken
├── StillAtIt             the first try of this request is not finished
├── LooksAlike            a photo to be enrolled shows another individual, it seems
├── NotInstalled          a part that is an extra is not installed, or its file not in place
├── Leaving               the service is stopping
└── ClientGone            nobody waits for the answer any more
"""

from __future__ import annotations

from typing import Any

from errors import FlukeprintError


class ServiceError(FlukeprintError):
    """The request was not done. `more` stands beside the message in the answer."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.more = more


class StartRefused(ServiceError):
    """The service cannot be started as it is set."""


class NotLetIn(ServiceError):
    """No key was sent, or one that is not known, revoked or expired."""


class NotAllowed(ServiceError):
    """The key's role does not include this."""


class HostRefused(ServiceError):
    """The Host or Origin is none that this service answers to."""


class RequestRefused(ServiceError):
    """What was sent cannot be read, or makes no sense."""


class UploadRefused(RequestRefused):
    """No photos, too many, or an archive that is unsafe to open."""


class KeyMisused(RequestRefused):
    """The Idempotency-Key was used for another request, or is none."""


class TooLarge(ServiceError):
    """More bytes than are taken."""


class TooSlow(ServiceError):
    """The request did not come to its end in time."""


class Busy(ServiceError):
    """Every place is taken."""


class TooOften(ServiceError):
    """More requests a minute than are taken."""


class StillAtIt(ServiceError):
    """The first try of this request is still being worked on."""


class LooksAlike(ServiceError):
    """A photo to be enrolled looks like another individual's."""


class NotInstalled(ServiceError):
    """An extra that is not installed, or its model file is not in place."""


class Leaving(ServiceError):
    """The service is stopping; ask another, or ask again in a moment."""


class ClientGone(ServiceError):
    """Nobody waits for the answer any more; its work was dropped."""
