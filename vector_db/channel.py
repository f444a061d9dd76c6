"""Waiting at a worker's socket, from either end."""

from __future__ import annotations

import os
import select
import socket
import struct
from multiprocessing.connection import Connection


def polling(channel: Connection) -> select.poll:
    """For waiting until something can be read, or its other end is gone. `Connection.poll` makes a selector each time."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    return poll


def give_up_sending_after(channel: Connection, seconds: float) -> None:
    """A `send` that the other end takes nothing of for so long raises BlockingIOError; without this it waits for ever."""
    interval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))  # a timeval
    with socket.socket(fileno=os.dup(channel.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
