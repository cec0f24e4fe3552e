from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from steelyard.registry.database import MIGRATIONS, Database
from steelyard.registry.releases import Releases
from steelyard.registry.versions import RECOMMENDED, Registry, utc_now
from steelyard.schema.errors import NotFoundError, StoreError
from steelyard.schema.runs import VersionRecord


def fitted(candidate: str = "linear", **more: Any) -> VersionRecord:
    values: dict[str, Any] = {
        "component": "intent",
        "candidate": candidate,
        "version": 0,
        "dataset": "d1",
        "inputs": "i1",
        "artefact": "a1",
        "folder": "models/intent/linear/1",
        "code_version": "0.1.0",
        "seed": 7,
        "seconds": 1.5,
        "metrics": {"accuracy": 0.9},
        "created": "2026-11-01T00:00:00+00:00",
    }
    return VersionRecord(**{**values, **more})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state" / "registry.sqlite")


def test_versions_count_from_one_for_each_candidate(registry: Registry) -> None:
    assert [registry.add(fitted()).version for _ in range(3)] == [1, 2, 3]
    assert registry.add(fitted("knn")).version == 1
    assert registry.add(fitted(component="other")).version == 1


def test_a_version_comes_back_as_it_was_stored(registry: Registry) -> None:
    stored = registry.add(fitted(metrics={"accuracy": 0.1 + 0.2, "recall": 1.0}))
    assert registry.get("intent", "linear") == stored
    assert registry.versions() == [stored]


def test_the_newest_version_is_meant_unless_one_is_named(registry: Registry) -> None:
    first, second = registry.add(fitted()), registry.add(fitted())
    assert registry.get("intent", "linear") == second
    assert registry.get("intent", "linear", 1) == first


def test_versions_can_be_listed_for_one_component(registry: Registry) -> None:
    mine, other = registry.add(fitted()), registry.add(fitted(component="answer", created="2026-10-01T00:00:00+00:00"))
    assert registry.versions() == [other, mine]
    assert registry.versions("intent") == [mine]
    assert registry.versions("nothing") == []


@pytest.mark.parametrize(
    ("candidate", "version", "remedy"),
    [
        ("linaer", None, "Did you mean 'linear'?"),
        ("linear", 9, "Did you mean 'linear'?"),
        ("zzz", None, "Run `steelyard train intent/zzz` first."),
    ],
)
def test_what_is_not_registered_names_the_nearest(registry: Registry, candidate, version, remedy) -> None:
    registry.add(fitted())
    with pytest.raises(NotFoundError) as caught:
        registry.get("intent", candidate, version)
    assert caught.value.remedy == remedy
    assert caught.value.code == "registry.unknown_version"


def test_unchanged_inputs_are_found_and_changed_ones_are_not(registry: Registry) -> None:
    registry.add(fitted())
    newest = registry.add(fitted())
    registry.add(fitted(inputs="i2"))
    assert registry.by_inputs("intent", "linear", "i1") == newest
    assert registry.by_inputs("intent", "linear", "i3") is None
    assert registry.by_inputs("intent", "knn", "i1") is None


def test_an_alias_moves_and_versions_stay(registry: Registry) -> None:
    first, second = registry.add(fitted()), registry.add(fitted("knn"))
    assert registry.alias("intent", RECOMMENDED) is None
    registry.point("intent", RECOMMENDED, first)
    assert registry.alias("intent", RECOMMENDED) == first
    registry.point("intent", RECOMMENDED, second)
    assert registry.alias("intent", RECOMMENDED) == second
    assert {one.candidate: one for one in registry.versions()} == {"linear": first, "knn": second}
    assert registry.alias("answer", RECOMMENDED) is None


def test_every_use_of_a_holdout_is_counted_for_each_candidate(registry: Registry) -> None:
    linear, knn = registry.add(fitted()), registry.add(fitted("knn"))
    assert registry.note_holdout_use("d1", linear, 186) == 1
    assert registry.note_holdout_use("d1", registry.add(fitted()), 186) == 2  # a new version scores the same rows again
    assert registry.note_holdout_use("d1", knn, 186) == 1
    assert registry.note_holdout_use("d2", linear, 200) == 1
    assert registry.holdout_uses("intent", "d1") == {"linear": 2, "knn": 1}
    assert registry.holdout_uses("intent", "d3") == {}
    assert registry.holdout_uses("answer", "d1") == {}


def test_names_are_data_and_never_sql(registry: Registry) -> None:
    nasty = "x'; DROP TABLE versions; --"
    stored = registry.add(fitted(nasty, component=nasty))
    assert registry.get(nasty, nasty) == stored
    assert registry.alias(nasty, nasty) is None
    assert registry.versions() == [stored]


def test_a_failing_change_leaves_nothing_behind(registry: Registry, tmp_path: Path) -> None:
    kept = registry.add(fitted())
    registry.point("intent", RECOMMENDED, kept)
    database = Database(tmp_path / "state" / "registry.sqlite")

    def change_halfway() -> None:
        with database.connect() as connection:
            connection.execute("DELETE FROM aliases")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        change_halfway()
    assert registry.alias("intent", RECOMMENDED) == kept


def test_opening_again_applies_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    Registry(path).add(fitted())
    assert len(Registry(path).versions()) == 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


def test_the_time_is_utc_to_the_second() -> None:
    assert utc_now().endswith("+00:00")
    assert "." not in utc_now()


ADD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_versions import fitted
from steelyard.registry.versions import Registry
registry = Registry(Path({path!r}))
for number in range({count}):
    stored = registry.add(fitted(inputs=f"{{sys.argv[1]}}-{{number}}"))
    registry.point("intent", "recommended", stored)
    registry.note_holdout_use("d1", stored, 10)
"""


def start(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    script = ADD.format(tests=str(Path(__file__).parent), path=str(path), count=count)
    return subprocess.Popen([sys.executable, "-c", script, name], stderr=subprocess.PIPE)


def test_two_processes_write_at_the_same_time_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    both = [start(path, name, 12) for name in ("one", "two")]  # also the first opening, with its migrations, is a race
    for process in both:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error.decode()
    versions = Registry(path).versions()
    assert sorted(one.version for one in versions) == list(range(1, 25))
    assert {one.inputs for one in versions} == {f"{name}-{number}" for name in ("one", "two") for number in range(12)}
    assert Registry(path).holdout_uses("intent", "d1") == {"linear": 24}


def test_waiting_has_an_end(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add(fitted())
    monkeypatch.setattr("steelyard.registry.database.WAIT_S", 0.1)
    other = sqlite3.connect(tmp_path / "state" / "registry.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        registry.add(fitted())
    assert caught.value.code == "registry.locked"
    other.execute("ROLLBACK")
    other.close()
    assert registry.add(fitted()).version == 2


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreError) as caught:
        Registry(path).versions()
    assert caught.value.code == "registry.damaged"
    assert str(path) in caught.value.where
    assert path.read_bytes().startswith(b"this is no database")


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_versions import fitted
from steelyard.registry.database import Database
from steelyard.registry.versions import Registry
Registry(Path({path!r})).add(fitted())
with Database(Path({path!r})).connect() as connection:
    connection.execute("UPDATE aliases SET version = 1")
    connection.execute("DELETE FROM holdout_uses")
    connection.execute("INSERT INTO production (release, moved) VALUES (1, 'now')")
    os.kill(os.getpid(), 9)
"""


def test_a_killed_process_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = Registry(path)
    registry.add(fitted())
    kept = registry.add(fitted())
    registry.point("intent", RECOMMENDED, kept)
    registry.note_holdout_use("d1", kept, 10)
    script = KILL.format(tests=str(Path(__file__).parent), path=str(path))
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -9
    assert registry.alias("intent", RECOMMENDED) == kept
    assert registry.holdout_uses("intent", "d1") == {"linear": 1}
    assert Releases(registry).in_force() is None
    assert registry.add(fitted()).version == 4  # the lock of the killed process is gone
