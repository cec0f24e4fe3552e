"""Every access check of the package, broken one at a time, is noticed by the fast access tests."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from access_checks import CHECKS
from access_mutations import Mutant, mutants_of

CHECKED = {
    "schema.scope": ["Scope.principals", "Access.permits", "principal"],
    "corpus.access": ["effective", "known"],
    "corpus.file_rules": ["FileRules.rule", "FileRules._rule", "FileRules.withdrawn", "FileRules.again", "_holds"],
    "corpus.enforcing": ["narrowed", "catch_up", "Enforcing.close", "Enforcing.settle", "Enforcing.open"],
    "corpus.control": [
        *("Control." + name for name in ("epoch", "access", "permits", "since", "resolve", "put_rules", "say")),
        *("Control." + name for name in ("take_back", "put_directory", "erase", "_is_erased", "_refresh")),
        "with_operators",
    ],
    "corpus.directory": ["Closures.__init__", "Closures.resolve", "Closures._closure"],
    "corpus.library": ["Library.read", "Library.cited", "Library._stored"],
    "corpus.ingest": ["_erased"],
    "components.enforcement": [
        "EnforcedStore." + name
        for name in ("_ready", "dense", "lexical", "pool", "named", "similarities", "passages", "restrict")
    ],
    "stores.rows": ["Rows.view", "Rows.restricted", "Rows.in_force"],
    "stores.memory": ["MemoryStore.restrict"],
    "stores.snapshot": ["Snapshot.named", "Snapshot.similarities"],
    "stores.lance": ["LanceStore.restrict", "LanceStore._settle"],
    "stores.lance_access": ["AccessMark.note", "AccessMark.read", "AccessMark.settle", "write_access"],
    "stores.lance_table": ["visible"],
    "schema.callers": ["Caller.may", "ApiKey.state", "ApiKey.caller"],
    "metrics.answers": ["leaks"],
    "registry.keys": [
        *("Keys." + name for name in ("identify", "active", "revoke", "rotate")),
        *("_checked_groups", "_checked_roles"),
    ],
    "server.access_matrix": ["role_of"],
    "server.callers": ["asked_scope"],
    "server.door": ["Door._admit"],
    "server.identity": [
        *("Identity." + name for name in ("identify", "of_session", "_of_token", "_anonymous")),
        "_shown",
    ],
    "server.sessions": ["Sessions.read", "Sessions.check_csrf"],
    "server.tokens": ["Tokens._caller", "Tokens._groups", "Tokens._roles"],
    "server.routes_parts": ["_scope"],
    "server.routes_feedback": ["_is_theirs"],
    "server.pages.ask_room": ["Asking.scope", "tries"],
    "server.pages.ask_routes": ["_is_theirs"],
}
"""Every place that compares principals, denies, epochs, erasures or scopes."""

AGAIN = "the directory is read once more than needed, and says the same"
WORDING = "the words of the remedy"
KEPT = "how much is remembered, not what is seen"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("server.access_matrix:role_of", "drop MATRIX.get((method, path))"): "rows of HEAD ask for what those of GET do",
    ("corpus.control:Control.resolve", "negate epoch is None"): AGAIN,
    (
        "corpus.control:Control.resolve",
        "drop connection.execute('SELECT max(epoch) FROM change').fetchone()[0]",
    ): AGAIN,
    ("corpus.control:Control.resolve", "turn max(epoch) into min(epoch)"): AGAIN,
    ("corpus.directory:Closures.resolve", "leave out self._known.move_to_end(scope)"): KEPT,
    ("corpus.directory:Closures.resolve", "leave out self._known.popitem(last=False)"): KEPT,
    ("stores.rows:Rows.view", "leave out self._views.move_to_end(key)"): KEPT,
    ("stores.rows:Rows.view", "leave out self._views.popitem(last=False)"): KEPT,
    (
        "stores.lance:LanceStore._settle",
        "leave out table.checkout_latest()",
    ): "LanceDB updates the latest rows unasked, today",
    (
        "registry.keys:Keys.identify",
        "drop row is None",
    ): "a secret that there is not is compared with zeros, and is not the same",
    ("registry.keys:Keys.identify", "negate if found.successor"): WORDING,
    ("registry.keys:Keys.rotate", "negate if old.successor"): WORDING,
    ("server.identity:Identity.of_session", "drop session.key_id is None"): "there is no key of no id",
    ("server.pages.ask_room:Asking.scope", "drop None"): "an empty name is nobody's",
    ("stores.lance_access:AccessMark.settle", "leave out self.open = False"): "the same access is written once more",
}
"""Changes that no test can notice, because nothing that anybody sees depends on them: function and change, with the reason."""

PATIENCE_S = 3.0
"""Processor time after which a mutant that goes round for ever counts as noticed; the longest check takes a third of it."""


def checks_of(module: str) -> list:
    own = CHECKS.get(module) or CHECKS.get(
        "stores.lance" if module.startswith("stores.lance") else module.split(".")[0]
    )
    assert own, module
    return own


def mutants() -> Iterator[Mutant]:
    for module, names in CHECKED.items():
        for name in names:
            yield from mutants_of(f"{module}:{name}")


@contextmanager
def impatient() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError

    # Processor time, not the clock's: a busy machine must not make a check look as if it had noticed something.
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def noticed(mutant: Mutant, folder: Path) -> str | None:
    """The first check that fails with the mutant alive; None when all pass."""
    for number, check in enumerate(checks_of(mutant.place.partition(":")[0])):
        own = folder / str(number)
        own.mkdir(parents=True)
        try:
            with mutant.alive(), impatient():
                check(own)
        except Exception:
            return check.__name__
    return None


@pytest.mark.parametrize("module", CHECKED)
def test_the_fast_access_checks_pass_as_the_package_is(module: str, tmp_path: Path) -> None:
    for number, check in enumerate(checks_of(module)):
        own = tmp_path / str(number)
        own.mkdir()
        check(own)


@pytest.mark.slow
def test_every_broken_access_check_is_noticed(tmp_path: Path, capsys) -> None:
    begin = time.monotonic()
    survived, count, excused = [], 0, set()
    for number, mutant in enumerate(mutants()):
        key = (mutant.place, mutant.what)
        if key in EQUIVALENT:
            excused.add(key)
            continue
        count += 1
        if noticed(mutant, tmp_path / str(number)) is None:
            survived.append(f"{mutant.place}: {mutant.what}\n    {mutant.line}")
    with capsys.disabled():
        print(  # noqa: T201
            f"\naccess mutants: {count} broken checks, {len(survived)} unnoticed, {len(excused)} without effect, "
            f"{time.monotonic() - begin:.0f} s"
        )
    assert not survived, "\n".join(survived)
    assert excused == EQUIVALENT.keys()
