"""How long calls take together: played through as the job makes them, at the pace that was seen."""

from itertools import pairwise

import numpy as np
import pytest

from steelyard.models.call_ledger import Call, CallLedger
from steelyard.models.rehearsal import Asked
from steelyard.schema.generation import Message, TokenUse
from steelyard.workspace.pacing import Course, Taken, server_pace, taken_by
from steelyard.workspace.sampling import _spread

ALIKE = np.array([2.0])


def entered(ledger, number, *, seconds, read=100, written=10, purpose="train intent/zero-shot", outcome="answered"):
    ledger.add(
        Call(
            key=number.to_bytes(8, "big"), generator="openai:m", model="m", purpose=purpose, characters=4 * read,
            use=TokenUse(input=read, output=written), seconds=seconds, usd=seconds / 100, outcome=outcome,
        ),
        None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("course", "at_once", "seconds"),
    [
        (Course(groups=(8,)), 4, 4.0),  # two rounds of four, 2 s each
        (Course(groups=(5,)), 4, 4.0),  # the fifth waits for one of the first four
        (Course(groups=(4, 4)), 8, 4.0),  # a group begins when the one before is answered
        (Course(alone=3), 8, 6.0),  # one by one, whatever may be in flight
        (Course(measured=3 + 8), 4, 6.0 + 4.0),  # the first three warm up, one by one
        (Course(groups=(4,), measured=3, fitting_s=1.5, measuring_s=0.3), 4, 1.5 + 2.0 + 6.0 + 0.3),
        (Course(fitting_s=0.25), 4, 0.25),  # no call is left to make
    ],
)
def test_a_course_takes_what_its_calls_take_in_their_order(course, at_once, seconds) -> None:
    assert course.seconds(ALIKE, at_once) == pytest.approx(seconds)


def test_work_of_this_machine_is_not_done_side_by_side() -> None:
    # A hundred calls of 0.1 s, fifty in flight; but each prediction works for 0.2 s here.
    course = Course(measured=103, measuring_s=103 * 0.2)
    assert course.seconds(np.array([0.1]), 50) == pytest.approx(3 * 0.3 + 100 * 0.2)


def test_uneven_calls_take_longer_together_than_their_mean_tells() -> None:
    uneven = np.array([0.5, 0.5, 0.5, 2.5])
    groups = Course(groups=(8,) * 20)
    assert groups.seconds(uneven, 8) > 1.5 * groups.seconds(np.array([1.0]), 8)
    assert groups.seconds(uneven, 8) == groups.seconds(uneven, 8)  # and it is the same every time


def test_the_speed_of_a_server_is_learned_from_earlier_calls_and_guessed_without(tmp_path) -> None:
    ledger = CallLedger(tmp_path / "calls.sqlite")
    assert server_pace(ledger, "openai:m").calls == 0
    for number in range(40):
        read, written = 100 + 50 * (number % 7), 10 + 5 * (number % 3)
        entered(ledger, number, seconds=0.3 + 0.001 * read + 0.02 * written, read=read, written=written)
    entered(ledger, 99, seconds=60.0, outcome="failed")
    pace = server_pace(ledger, "openai:m")
    assert (pace.calls, pace.call_s) == (40, pytest.approx(0.3))
    assert (pace.read_s, pace.written_s) == (pytest.approx(0.001), pytest.approx(0.02))
    # Ten calls of 200 tokens read and 20 written: 0.3 + 0.2 + 0.4 s each.
    assert pace.each_s(TokenUse(input=2_000, output=200), 10) == pytest.approx(np.full(40, 0.9))
    assert server_pace(ledger, "openai:another").calls == 0


def test_the_first_call_of_all_is_left_out_and_failures_take_their_time(tmp_path) -> None:
    ledger = CallLedger(tmp_path / "calls.sqlite")
    entered(ledger, 1, seconds=9.0)
    entered(ledger, 2, seconds=1.0)
    entered(ledger, 3, seconds=3.0, outcome="failed")
    entered(ledger, 4, seconds=5.0, purpose="train intent/few-shot")
    assert taken_by(ledger, ("train intent/zero-shot",)).seconds.tolist() == [1.0, 3.0]


def test_a_sample_is_sure_once_its_means_are() -> None:
    assert Taken(seconds=np.ones(2), usd=np.ones(2)).error == np.inf
    assert Taken(seconds=np.ones(9), usd=np.zeros(9)).error == 0.0
    # Standard deviation 2 / sqrt(3) around 2: by sqrt(4) and the mean.
    assert Taken(seconds=np.array([1.0, 1.0, 3.0, 3.0]), usd=np.ones(4)).error == pytest.approx(1 / 12**0.5)


@pytest.mark.parametrize("count", [1, 10, 97])
def test_every_beginning_of_a_sample_is_spread_over_the_job(count) -> None:
    waiting = [
        Asked(messages=(Message(role="user", content=str(at)),), max_tokens=1, schema=None) for at in range(count)
    ]
    order = [int(one.messages[0].content) for one in _spread(waiting)]
    assert sorted(order) == list(range(count))
    for size in (10, 30):
        places = [0, *sorted(order[:size]), count]
        assert max(after - before for before, after in pairwise(places)) <= 3 * count / size + 2
