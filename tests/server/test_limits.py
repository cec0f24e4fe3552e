"""Rate limits: what a caller gets is what the settings say, counted over every process of the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.schema.errors import LimitError
from steelyard.server.limits import PROBES, SLOTS, RateLimit


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, caller: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limit.take(caller)
            count += 1
        except LimitError:
            pass
    return count


def test_a_burst_then_the_rate(tmp_path: Path) -> None:
    clock = Clock()
    limit = RateLimit(tmp_path / "limits", per_minute=60, burst=5, clock=clock)
    assert taken(limit, "k1", 9) == 5
    with pytest.raises(LimitError) as caught:
        limit.take("k1")
    assert caught.value.retry_after_s == pytest.approx(1.0)  # 60 a minute is one a second
    clock.now += 1.0
    assert taken(limit, "k1", 9) == 1
    clock.now += 2.5
    assert taken(limit, "k1", 9) == 2
    clock.now += 3600.0
    assert taken(limit, "k1", 9) == 5  # a full bucket holds no more than the burst
    limit.close()


def test_callers_do_not_share_a_bucket(tmp_path: Path) -> None:
    limit = RateLimit(tmp_path / "limits", per_minute=60, burst=3, clock=Clock())
    assert taken(limit, "k1", 5) == taken(limit, "k2", 5) == taken(limit, "anonymous:\ud800", 5) == 3
    limit.close()


def test_no_rate_is_no_limit(tmp_path: Path) -> None:
    limit = RateLimit(tmp_path / "limits", per_minute=0, burst=1)
    assert taken(limit, "k1", 500) == 500
    limit.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
    st.integers(1, 8),
    st.sampled_from([6.0, 60.0, 600.0]),
)
def test_over_any_time_no_caller_gets_more_than_burst_and_rate(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[float], burst: int, rate: float
) -> None:
    clock = Clock()
    limit = RateLimit(tmp_path_factory.mktemp("limit") / "limits", per_minute=rate, burst=burst, clock=clock)
    got = 0
    for pause in pauses:
        clock.now += pause
        got += taken(limit, "k1", 3)
    limit.close()
    assert got <= burst + sum(pauses) * rate / 60 + 1e-6


def test_a_clock_that_began_again_locks_nobody_out(tmp_path: Path) -> None:
    before = RateLimit(tmp_path / "limits", per_minute=60, burst=2, clock=Clock(1_000_000.0))
    assert taken(before, "k1", 5) == 2
    before.close()
    after = RateLimit(tmp_path / "limits", per_minute=60, burst=2, clock=Clock(10.0))
    assert taken(after, "k1", 5) == 2
    after.close()


def test_many_callers_are_remembered_and_the_least_busy_is_forgotten_first(tmp_path: Path) -> None:
    clock = Clock()
    limit = RateLimit(tmp_path / "limits", per_minute=60, burst=10, clock=clock)
    assert taken(limit, "busy", 99) == 10
    for number in range(SLOTS * 2):
        limit.take(f"passing-{number}")
    assert taken(limit, "busy", 1) == 0
    assert PROBES < SLOTS
    limit.close()


WORKER = """
import sys
from pathlib import Path
from steelyard.schema.errors import LimitError
from steelyard.server.limits import RateLimit
limit = RateLimit(Path(sys.argv[1]), per_minute=0.001, burst=300)
count = 0
for _ in range(400):
    try:
        limit.take("k1")
        count += 1
    except LimitError:
        pass
print(count)
"""


def test_several_processes_together_give_what_one_would(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "limits")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    counts = [int(worker.communicate(timeout=120)[0]) for worker in workers]
    assert sum(counts) == 300  # 3 x 400 were tried; at 0.001 a minute none is added meanwhile
