"""The pipeline in force: swapped whole, when it is loaded, and kept where the next cannot be."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event

import pytest

from steelyard.schema.errors import ModelError
from steelyard.schema.serving import InForce
from steelyard.serving import current as current_file
from steelyard.serving.current import Current
from steelyard.serving.pipeline import Pipeline
from steelyard.serving.pulse import Pulse


class World:
    """What should answer, and how loading it goes."""

    def __init__(self) -> None:
        self.release = 1
        self.beat = 0
        self.broken = False
        self.loads = 0
        self.gate = Event()
        self.gate.set()

    def move(self, release: int) -> None:
        self.release = release
        self.beat += 1

    def wanted(self) -> InForce:
        return InForce(release=self.release, generation=0, versions=())

    def load(self, wanted: InForce) -> Pipeline:
        assert self.gate.wait(60)
        self.loads += 1
        if self.broken:
            raise ModelError("a file is damaged.", code="models.damaged")
        return Pipeline(wanted, {}, search=None, placed=lambda one: one, cpu_hour_usd=0.0)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def current(world: World) -> Current:
    return Current(lambda: world.beat, world.wanted, world.load)


def settled(current: Current, release: int | None) -> Pipeline:
    """The pipeline, once the one of `release` answers."""
    tries = Event()
    for _ in range(600):
        found = current.get()
        if found.in_force.release == release and not current._loading:
            return found
        tries.wait(0.1)
    raise AssertionError(f"release {release} never answered")


def test_nothing_is_loaded_twice_while_nothing_changes(world: World, current: Current) -> None:
    first = current.get()
    assert all(current.get() is first for _ in range(100))
    assert world.loads == 1


def test_what_began_on_a_pipeline_keeps_it_and_the_next_gets_the_new_one(world: World, current: Current) -> None:
    first = current.get()
    world.move(2)
    second = settled(current, 2)
    assert first.in_force.release == 1
    assert second is not first
    assert current.swaps == 1


def test_while_the_new_one_loads_the_old_one_answers(
    world: World, current: Current, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_file, "PATIENCE_S", 0.01)
    first = current.get()
    world.gate.clear()
    world.move(2)
    assert all(current.get() is first for _ in range(5))
    world.gate.set()
    settled(current, 2)
    assert world.loads == 2


def test_a_release_that_cannot_be_loaded_changes_nothing_and_is_tried_again(
    world: World, current: Current, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = current.get()
    world.broken = True
    world.move(2)
    current.get()
    tries = Event()
    while current._loading or current.failure is None:
        tries.wait(0.01)
    assert current.get() is first
    assert "damaged" in (current.failure or "")
    world.broken = False
    monkeypatch.setattr(current, "_retry_at", 0.0)
    settled(current, 2)
    assert current.failure is None


def test_the_pulse_sees_every_commit_of_another_connection_and_a_file_put_back(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    pulse = Pulse((path,))
    absent = pulse.read()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (x)")
    made = pulse.read()
    assert made != absent
    assert pulse.read() == made
    for number in range(3):
        with sqlite3.connect(path) as other:
            other.execute("INSERT INTO t VALUES (?)", (number,))
        now = pulse.read()
        assert now != made
        made = now
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert pulse.read() != made
    pulse.close()
    other.close()
