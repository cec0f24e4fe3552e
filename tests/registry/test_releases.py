"""Releases: numbered, immutable, one transaction each; the history agrees with every table."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from test_versions import fitted

from steelyard.registry.artefacts import artefact_hash, file_hashes, verify_artefact
from steelyard.registry.releases import Releases, check_alias
from steelyard.registry.requests import RequestLog
from steelyard.registry.versions import Registry
from steelyard.schema.errors import ModelError, NotFoundError, UserError
from steelyard.schema.releases import Gate, Release, RequestTrace
from steelyard.schema.runs import VersionRecord

PASSED = Gate(component="intent", metric="leaks", passed=True, detail="none")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry.sqlite", who="ada")


def make(registry: Registry, record: VersionRecord, **more: object) -> Release:
    values = {"generation": 3, "pinned": False, "gates": [PASSED], "forced": False, "why": "better", "evidence": {}}
    return Releases(registry).make({record.component: record}, **{**values, **more})


def test_releases_count_from_one_and_know_what_was_before(registry: Registry) -> None:
    releases = Releases(registry)
    assert releases.in_force() is None
    first, second = make(registry, registry.add(fitted())), make(registry, registry.add(fitted()))
    assert [(one.number, one.previous) for one in (first, second)] == [(1, None), (2, 1)]
    assert releases.in_force() == second
    assert releases.get(1) == first
    assert releases.all() == [first, second]
    assert second.versions == {"intent": ("linear", 2)}
    assert (second.who, second.why, second.generation) == ("ada", "better", 3)


def test_a_rollback_moves_one_pointer_and_a_second_goes_further_back(registry: Registry) -> None:
    releases = Releases(registry)
    one, two, three = (make(registry, registry.add(fitted())) for _ in range(3))
    assert releases.roll_back(why="wrong labels") == (two, three)
    assert releases.roll_back() == (one, two)
    assert releases.roll_back(3) == (three, one)
    assert releases.in_force() == three
    assert [entry.what for entry in registry.history()][-3:] == ["release.rolled_back"] * 3
    assert registry.verify().whole


def test_what_cannot_be_rolled_back_says_why(registry: Registry) -> None:
    releases = Releases(registry)
    with pytest.raises(UserError, match="nothing was released"):
        releases.roll_back()
    make(registry, registry.add(fitted()))
    with pytest.raises(UserError, match="none before it"):
        releases.roll_back()
    with pytest.raises(UserError, match="in force already"):
        releases.roll_back(1)
    with pytest.raises(NotFoundError, match="no release 9"):
        releases.roll_back(9)


@pytest.mark.parametrize("table", ["versions", "releases", "release_versions", "production", "history"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET {} = {}"])
def test_nothing_registered_can_be_changed(registry: Registry, table: str, statement: str) -> None:
    make(registry, registry.add(fitted()))
    connection = sqlite3.connect(registry.database.path)
    column = next(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement.format(table, column, column))
    connection.close()


TAMPERED = {
    "UPDATE versions SET artefact = 'other' WHERE version = 1": "version intent/linear@1: artefact",
    "UPDATE versions SET metrics = '{}' WHERE version = 2": "version intent/linear@2: metrics",
    "DELETE FROM versions WHERE version = 2": "version intent/linear@2: it was registered and is gone",
    "UPDATE release_versions SET version = 1 WHERE release = 2": "release 2: it is not what was released",
    "UPDATE releases SET forced = 1 WHERE number = 1": "release 1: it is not what was released",
    "DELETE FROM releases WHERE number = 2": "release 2: it was made and is gone",
    "INSERT INTO production (release, moved) VALUES (1, 'now')": "production: its moves",
    "UPDATE aliases SET version = 1": "alias stable of intent",
    "INSERT INTO versions SELECT component, candidate, 9, dataset, inputs, artefact, folder, code_version, seed, seconds, metrics, "
    "created, files, parity, cost_usd FROM versions WHERE version = 1": "version intent/linear@9: the history knows nothing",
}


@pytest.mark.parametrize(("statement", "found"), TAMPERED.items())
def test_an_edit_around_the_guards_disagrees_with_the_history(registry: Registry, statement: str, found: str) -> None:
    make(registry, registry.add(fitted()))
    second = registry.add(fitted())
    make(registry, second)
    registry.point("intent", "stable", second)
    assert registry.verify().whole
    connection = sqlite3.connect(registry.database.path)
    guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    connection.executescript("".join(f"DROP TRIGGER {name};" for name, _ in guards))
    connection.execute(statement)
    connection.executescript("".join(f"{sql};" for _, sql in guards))  # put back, as a careful hand would
    connection.commit()
    connection.close()
    assert any(line.startswith(found) for line in registry.verify().broken), registry.verify().broken


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_releases import make
from steelyard.registry import database
from steelyard.registry.versions import Registry
from steelyard.registry.releases import Releases
registry = Registry(Path({path!r}), who="ada")
record = registry.get("intent", "linear", 2)
seen = 0
begin = database._begin
def counted(connection):
    def one(statement):
        global seen
        seen += 1
        if seen == int(sys.argv[1]):
            os.kill(os.getpid(), 9)
    begin(connection)
    connection.set_trace_callback(one)
database._begin = counted
make(registry, record) if sys.argv[2] == "release" else Releases(registry).roll_back(1)
print(seen)
"""


@pytest.mark.parametrize("action", ["release", "rollback"])
def test_a_kill_at_any_statement_leaves_the_old_release_or_the_new(tmp_path: Path, action: str) -> None:
    import shutil

    begun = tmp_path / "begun.sqlite"
    registry = Registry(begun, who="ada")
    for _ in range(2):
        make(registry, registry.add(fitted()))
    outcomes = []
    for at in range(1, 40):
        path = tmp_path / f"{at}.sqlite"
        shutil.copy(begun, path)
        script = KILL.format(tests=str(Path(__file__).parent), path=str(path))
        done = subprocess.run([sys.executable, "-c", script, str(at), action], check=False, capture_output=True)
        after = Registry(path, who="ada")
        found = Releases(after).in_force()
        assert found is not None
        assert after.verify().whole, after.verify().broken
        outcomes.append(found.number)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr.decode()
    new = 3 if action == "release" else 1
    assert done.returncode == 0
    assert outcomes[-1] == new
    assert len(outcomes) > 5
    assert set(outcomes[:-1]) <= {2, new}
    assert outcomes[0] == 2


def test_a_flipped_byte_is_found_and_its_file_named(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "one"
    (folder / "sub").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "sub" / "weights.safetensors").write_bytes(bytes(1000))
    files = file_hashes(folder)
    record = fitted(folder="models/one", files=files, artefact=artefact_hash(files))
    verify_artefact(tmp_path, record)
    for name in files:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ModelError, match=f"{name} was changed"):
            verify_artefact(tmp_path, record)
        (folder / name).write_bytes(whole)
    (folder / "more.json").write_text("{}")
    with pytest.raises(ModelError, match=r"more\.json was added"):
        verify_artefact(tmp_path, record)
    (folder / "more.json").unlink()
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        verify_artefact(tmp_path, record)


@pytest.mark.parametrize("name", ["production", "recommended", "", "a b", "7", "x/y", "x@y"])
def test_aliases_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        check_alias(name)


def test_a_request_leads_to_its_versions_and_keeps_no_text_unless_told(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.sqlite")
    with pytest.raises(NotFoundError):
        log.get("abcdef123456")
    trace = RequestTrace(
        id="abcdef123456", at="now", component="answer", candidate="rag-bm25", version=2, release=4, generation=7, dataset="d1"
    )  # fmt: skip
    log.note(trace)
    assert log.get("abcdef123456") == trace
    assert log.get("abcdef") == trace
    for unknown in ("abc", "%", "abcdeg"):
        with pytest.raises(NotFoundError):
            log.get(unknown)
