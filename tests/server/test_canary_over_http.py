"""A canary and a shadow in a serving process: who is answered by what, and that nobody is harmed by either."""

from __future__ import annotations

import threading
from time import monotonic, sleep

import pytest

from steelyard.schema.watching import WHOLE_REQUEST
from workspace.tiny import steelyard

TEXT = "How do I renew my membership?"
PATIENCE_S = 30.0


def route(door, key: str = "staff") -> dict:
    done = door.call("POST", "/api/route", {"text": TEXT}, key=key)
    assert done.status_code == 200, done.text
    return done.json()


def waited(condition) -> bool:
    """Whether it became true in time; versions on trial are loaded beside the requests."""
    until = monotonic() + PATIENCE_S
    while monotonic() < until:
        if condition():
            return True
        sleep(0.02)
    return False


def answering(door) -> tuple[str, int]:
    return next(
        (one, version) for name, one, version in door.site.running.current.get().in_force.versions if name == "intent"
    )


@pytest.fixture
def other(door) -> str:
    """A version of the router that does not answer in production."""
    candidate = next(name for name in ("knn", "linear", "majority") if name != answering(door)[0])
    return f"intent/{candidate}@1"


@pytest.fixture(autouse=True)
def nothing_left_running(door):
    yield
    for kind in ("canary", "shadow"):
        trial = door.site.running.parts.trials.running(kind)
        if trial is not None:
            door.site.running.parts.trials.end(trial.number, "ended", "test")


def noted(door, trial: int) -> list[dict]:
    door.site.observer.recorder.flush()
    return door.site.running.parts.operations.trial_rows(trial, 0.0, 9e9)


def test_a_canary_answers_its_share_and_every_answer_is_one_sides_own(door, other) -> None:
    trial = door.site.workspace.start_trial("canary", [other], share=0.5, split_by="request")
    candidate = other.split("/")[1].split("@")[0]
    assert waited(lambda: route(door)["candidate"] == candidate)
    answers = [route(door)["candidate"] for _ in range(60)]
    assert 10 <= answers.count(candidate) <= 50
    assert set(answers) == {candidate, answering(door)[0]}
    rows = [row for row in noted(door, trial.number) if row["component"] == WHOLE_REQUEST]
    assert {row["arm"] for row in rows} == {"production", "canary"}
    door.site.workspace.stop_trial("canary")
    assert {route(door)["candidate"] for _ in range(20)} == {answering(door)[0]}


def test_a_caller_stays_on_one_side(door, other) -> None:
    trial = door.site.workspace.start_trial("canary", [other], share=0.5)
    splitter = door.site.observer.splitter
    assert waited(
        lambda: bool(route(door)) and "canary" in splitter._loaded and splitter._loaded["canary"].trial == trial
    )
    for key in ("staff", "both", "ask"):
        assert len({route(door, key)["candidate"] for _ in range(15)}) == 1


def test_a_canary_that_breaks_harms_nobody_and_its_failures_are_counted(door, other, monkeypatch) -> None:
    trial = door.site.workspace.start_trial("canary", [other], share=0.5, split_by="request")
    splitter = door.site.observer.splitter
    assert waited(
        lambda: bool(route(door)) and "canary" in splitter._loaded and splitter._loaded["canary"].trial == trial
    )
    broken = splitter._loaded["canary"].pipeline

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("weights are gone")

    monkeypatch.setattr(broken, "route", fails, raising=False)
    assert {route(door)["candidate"] for _ in range(40)} == {answering(door)[0]}
    failures = [row for row in noted(door, trial.number) if row["error"] is not None]
    assert failures
    assert all(row["arm"] == "canary" for row in failures)


def test_requests_at_the_same_time_never_mix_the_two_sides(door, other) -> None:
    door.site.workspace.start_trial("canary", [other], share=0.5, split_by="request")
    candidate = other.split("/")[1].split("@")[0]
    assert waited(lambda: route(door)["candidate"] == candidate)
    wrong: list[object] = []

    def ask_often() -> None:
        for _ in range(15):
            done = door.call("POST", "/api/respond", {"text": TEXT}, key="staff")
            parts = {one["component"]: one["candidate"] for one in done.json()["component_trace"]}
            if done.status_code != 200 or parts["intent"] not in (candidate, answering(door)[0]):
                wrong.append(done.text)

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_shadow_is_compared_and_answers_nobody(door, folder, other) -> None:
    trial = door.site.workspace.start_trial("shadow", [other], share=1.0)
    assert waited(
        lambda: (
            route(door)["candidate"] == answering(door)[0]
            and bool(door.site.running.parts.trials.compared(trial.number))
        )
    )
    assert {route(door)["candidate"] for _ in range(20)} == {answering(door)[0]}
    assert waited(lambda: door.site.running.parts.trials.compared(trial.number)["intent"]["compared"] >= 5)
    shown = steelyard("-w", str(folder), "shadow", "status")
    assert shown.returncode == 0, shown.stderr
    assert "agrees" in shown.stdout
    door.site.observer.recorder.flush()
    shadowed = door.site.running.parts.operations.aggregates(0.0, 9e9, by=("component", "arm"), arms=("shadow",))
    assert [one.component for one in shadowed] == ["intent"]


def test_commands_begin_show_and_end_a_canary_and_say_what_is_wrong(door, folder, other) -> None:
    begun = steelyard("-w", str(folder), "canary", "start", other, "--share", "0.1")
    assert begun.returncode == 0, begun.stderr
    assert "canary" in begun.stdout
    assert "10%" in begun.stdout
    again = steelyard("-w", str(folder), "canary", "start", other)
    assert again.returncode == 2
    assert "runs already" in again.stderr
    assert "trials.running" in again.stderr
    assert "learning" in steelyard("-w", str(folder), "canary", "status").stdout
    assert steelyard("-w", str(folder), "canary", "stop").returncode == 0
    wrong = steelyard("-w", str(folder), "canary", "start", other, "--share", "0.9")
    assert (wrong.returncode, "trials.bad_share" in wrong.stderr) == (2, True)
    kinds = [entry.what for entry in door.site.workspace.history()]
    assert kinds[-2:] == ["canary.started", "canary.ended"]
