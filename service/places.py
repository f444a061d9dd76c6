"""Which addresses are this machine's own, and which names a service on them answers to.

A page of another site may make a browser on this machine ask us: by our address, which its `Origin` gives away, or by a
name of its own that it lets point here, which the `Host` gives away.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from service.errors import HostRefused
from settings import Settings

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
MOST_SHOWN = 100  # letters of a Host that is refused


def is_own(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listed(text: str | None) -> frozenset[str]:
    return frozenset(part.strip().lower().rstrip("/") for part in (text or "").split(",") if part.strip())


class Places:
    """The names and origins of one service."""

    def __init__(self, settings: Settings) -> None:
        self._own = is_own(settings.host)
        also = {name.strip("[]") for name in listed(settings.allowed_hosts)}
        self._hosts = OWN_NAMES | {settings.host.strip("[]")} | also if self._own or also else frozenset()
        self.origins = listed(settings.cors_origins)

    def check(self, host: str, origin: str | None, site: str | None) -> None:
        """`site` is what a browser says in Sec-Fetch-Site."""
        if self._hosts and _name(f"//{host}") not in self._hosts:
            raise HostRefused(
                f'This service does not answer to the Host "{host[:MOST_SHOWN]}", but to {", ".join(sorted(self._hosts))}. '
                "To let another in, set FLUKEPRINT_ALLOWED_HOSTS to its name."
            )
        if origin is not None and origin.lower() not in self.origins and _place(origin) != host.lower():
            raise HostRefused("A page of another site asked, which this service does not answer: see FLUKEPRINT_CORS_ORIGINS.")
        if origin is None and site == "cross-site" and self._own:
            raise HostRefused("A page of another site asked, which this service does not answer: see FLUKEPRINT_CORS_ORIGINS.")


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as http://[x], which a browser never sends
        return None


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
