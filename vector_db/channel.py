"""Waiting at a worker's socket, from either end."""

from __future__ import annotations

import select
from multiprocessing.connection import Connection


def polling(channel: Connection) -> select.poll:
    """For waiting until something can be read, or its other end is gone. `Connection.poll` makes a selector each time."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    return poll
