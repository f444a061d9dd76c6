"""The process that lays a copy of a shard out anew, which takes seconds to minutes and lets nothing else run meanwhile.

    python -P -m vector_db.edge_build OWNER SHARD DIMENSION LAYOUT

It works at the lowest priority, so that searches keep their pace, and dies with its owner, who waits for it in the
thread that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import cast

from vector_db.edge_shard import build
from vector_db.growth import Layout

PR_SET_PDEATHSIG = 1


def _die_with(owner: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:  # it went before we asked
        sys.exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(int(sys.argv[1]))
    os.nice(19)
    build(Path(sys.argv[2]), int(sys.argv[3]), cast(Layout, sys.argv[4]))


if __name__ == "__main__":
    main()
