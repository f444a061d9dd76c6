"""Processes that write at once, and processes that die: all of a write, or none of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filling import BUNDLE

from catalog.open import open_catalogue

HERE = Path(__file__).parent
KILLS = int(os.environ.get("FLUKEPRINT_TEST_KILLS", "10"))

WRITER = """
import sys
from catalog.open import open_catalogue
from filling import BUNDLE, DIMENSION, see, vector
with open_catalogue(sys.argv[1]) as catalogue:
    catalogue.register_bundle(BUNDLE, sha256="ab" * 32, dimension=DIMENSION)
    print("ready", flush=True)
    for turn in range(int(sys.argv[3])):
        with catalogue.write("enrol", who=sys.argv[2], what=f"turn {turn}") as write:
            one = write.add_individual(f"{sys.argv[2]} {turn}")
            for i in range(8):
                sighting = see(write, one, f"encounter {turn}", f"{sys.argv[2]} {turn} {i}.jpg")
                write.add_vector(sighting, BUNDLE, vector(sighting), 1.0)
            write.connection.in_transaction()  # sent, not yet committed
        print(write.event_id, flush=True)
"""


def writer(address: str, who: str, turns: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, address, who, str(turns)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        cwd=HERE.parent.parent,
    )


def test_processes_that_write_at_once_lose_nothing(address: str) -> None:
    open_catalogue(address).close()
    writers = [writer(address, f"writer {i}", 25) for i in range(3)]
    told = [process.communicate(timeout=120) for process in writers]
    assert [error for _, error in told] == [""] * 3
    acknowledged = [int(line) for output, _ in told for line in output.split()[1:]]
    with open_catalogue(address) as catalogue:
        assert sorted(acknowledged) == list(range(1, 76))
        assert catalogue.counts().sightings == 75 * 8
        assert catalogue.check(BUNDLE).is_well()
        assert [event.id for event in catalogue.history(limit=100)] == list(range(75, 0, -1))


@pytest.mark.faults
def test_a_process_killed_at_any_moment_leaves_whole_writes_and_every_acknowledged_one(address: str) -> None:
    draw = random.Random(7)
    open_catalogue(address).close()
    acknowledged: list[int] = []
    for number in range(KILLS):
        process = writer(address, f"writer {number}", 100_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged += [int(process.stdout.readline()) for _ in range(draw.randrange(4))]
        time.sleep(draw.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        output, error = process.communicate(timeout=30)
        assert (process.returncode, error) == (-signal.SIGKILL, "")
        acknowledged += [int(line) for line in output.split("\n")[:-1]]  # the last line may be cut short
    with open_catalogue(address) as catalogue:
        counts = catalogue.counts()
        events = {event.id for event in catalogue.history(limit=10**6)}
        assert acknowledged
        assert set(acknowledged) <= events
        assert counts.individuals == counts.events
        assert counts.sightings == counts.photos == counts.vectors[BUNDLE] == 8 * counts.events
        assert catalogue.check(BUNDLE).is_well()
