"""The threads that compute answers: in turn, nothing lost, and messages that wait are embedded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from threading import Event, Lock

import pytest

from steelyard.server.crew import TOGETHER, Crew

PATIENCE_S = 60.0


class Desk:
    """A crew of one thread that stands still until `go`, with what it was given to embed and the order in which it ran."""

    def __init__(self, *, uses: bool = True, broken: bool = False) -> None:
        self.together: list[list[str]] = []
        self.ran: list[str] = []
        self.go = Event()
        self._broken = broken
        self._lock = Lock()
        self.crew = Crew(1, embed=self._embed, used=lambda _: uses)

    def _embed(self, messages: Sequence[str]) -> None:
        self.together.append(list(messages))
        if self._broken:
            raise ValueError("the encoder is gone")

    def ask(self, message: str, kind: str = "search") -> Future[str]:
        def answer() -> str:
            with self._lock:
                self.ran.append(message)
            return message.upper()

        return self.crew.submit(answer, message=message, kind=kind)

    def hold(self) -> None:
        """Keep the thread busy, so that what is asked from now on waits; the kind of what was asked before is known by then."""
        begun = Event()

        def stand() -> None:
            begun.set()
            assert self.go.wait(PATIENCE_S)

        self.crew.submit(stand)
        assert begun.wait(PATIENCE_S)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.go.set()
    made.crew.close()


def test_calls_that_wait_are_answered_in_turn_and_their_messages_are_embedded_together(desk: Desk) -> None:
    assert desk.ask("first").result(PATIENCE_S) == "FIRST"
    assert desk.together == []  # nobody else waited
    desk.hold()
    messages = ["a", "bb", "a much longer message", "cc", "d", "ee"]
    asked = [desk.ask(message) for message in messages]
    desk.go.set()
    assert [one.result(PATIENCE_S) for one in asked] == [message.upper() for message in messages]
    assert sorted(message for some in desk.together for message in some) == sorted(messages)
    assert desk.together[0] == ["a", "d", "bb", "cc"]  # the oldest, and of those that wait the ones nearest in length
    assert all(len(some) <= TOGETHER for some in desk.together)
    assert sorted(desk.ran) == sorted(["first", *messages])


def test_a_kind_of_call_that_embedded_nothing_is_not_embedded_ahead() -> None:
    desk = Desk(uses=False)
    desk.ask("first").result(PATIENCE_S)
    desk.hold()
    asked = [desk.ask(message) for message in ("a", "b", "c")]
    desk.go.set()
    assert [one.result(PATIENCE_S) for one in asked] == ["A", "B", "C"]
    assert desk.together == []
    desk.crew.close()


def test_other_kinds_are_judged_by_themselves(desk: Desk) -> None:
    desk.ask("first").result(PATIENCE_S)
    desk.hold()
    asked = [desk.ask("a"), desk.ask("b", kind="lexical search"), desk.ask("c")]
    desk.go.set()
    assert [one.result(PATIENCE_S) for one in asked] == ["A", "B", "C"]
    assert desk.together == [["a", "c"]]


def test_an_encoder_that_fails_ahead_fails_nobody() -> None:
    desk = Desk(broken=True)
    desk.ask("first").result(PATIENCE_S)
    desk.hold()
    asked = [desk.ask(message) for message in ("a", "b")]
    desk.go.set()
    assert [one.result(PATIENCE_S) for one in asked] == ["A", "B"]
    assert desk.together == [["a", "b"]]
    desk.crew.close()


def test_a_call_that_was_given_up_is_not_run_and_an_error_reaches_only_its_caller(desk: Desk) -> None:
    desk.hold()
    given_up, other = desk.ask("given up"), desk.ask("other")

    def fail() -> str:
        raise KeyError("mine")

    failing = desk.crew.submit(fail)
    assert given_up.cancel()
    desk.go.set()
    assert other.result(PATIENCE_S) == "OTHER"
    with pytest.raises(KeyError, match="mine"):
        failing.result(PATIENCE_S)
    assert desk.ran == ["other"]
    assert desk.ask("after").result(PATIENCE_S) == "AFTER"


def test_an_answer_is_given_when_what_it_waits_for_has_ended_and_fails_with_it(desk: Desk) -> None:
    kept: Future[None] = Future()
    lost: Future[None] = Future()
    given = desk.crew.submit_lasting(lambda: ("answer", kept))
    withheld = desk.crew.submit_lasting(lambda: ("answer", lost))
    assert desk.ask("after").result(PATIENCE_S) == "AFTER"  # the thread does not wait for it
    assert not given.done()
    kept.set_result(None)
    assert given.result(PATIENCE_S) == "answer"
    lost.set_exception(OSError("the disk is full"))
    with pytest.raises(OSError, match="full"):
        withheld.result(PATIENCE_S)


def test_closing_runs_what_waits_and_takes_nothing_more(desk: Desk) -> None:
    desk.hold()
    asked = [desk.ask(message) for message in "abc"]
    desk.go.set()
    desk.crew.close()
    assert [one.result(0) for one in asked] == ["A", "B", "C"]
    with pytest.raises(RuntimeError, match="closed"):
        desk.ask("late")
