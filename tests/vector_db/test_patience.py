"""How often a failing server is tried again, with a clock that does not run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_db.patience import Again, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patience(clock: Clock, *, retries: int = 4, give_up_s: float = 60.0, chance: float = 0.0) -> Patience:
    return Patience(retries, 0.5, 8.0, give_up_s, clock.time, clock.sleep, lambda: chance)


class Failing:
    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


def test_waits_are_doubled_up_to_the_longest() -> None:
    clock = Clock()
    assert patience(clock, retries=6).call(Failing(6, Again())) == "done"
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_after_the_last_try_it_gives_up() -> None:
    clock, action = Clock(), Failing(99, Again())
    with pytest.raises(Again):
        patience(clock).call(action)
    assert action.calls == 5


def test_what_cannot_pass_is_not_tried_again() -> None:
    clock, action = Clock(), Failing(1, KeyError("no"))
    with pytest.raises(KeyError):
        patience(clock).call(action)
    assert (action.calls, clock.slept) == (1, [])


def test_the_wait_that_a_server_names_is_kept() -> None:
    clock = Clock()
    assert patience(clock).call(Failing(1, Again(7.0))) == "done"
    assert clock.slept == [7.0]


def test_no_try_begins_after_the_time_to_give_up() -> None:
    clock, action = Clock(), Failing(99, Again(30.0))
    with pytest.raises(Again):
        patience(clock, retries=50).call(action)
    assert clock.now <= 60
    assert action.calls == 3


@given(tried=st.integers(0, 60), chance=st.floats(0, 1, exclude_max=True))
def test_chance_shortens_a_wait_by_at_most_half(tried: int, chance: float) -> None:
    full = min(8.0, 0.5 * 2.0**tried)
    assert full / 2 <= patience(Clock(), chance=chance).backoff(tried) <= full
