"""The control plane: the truth about who may see what and what was erased. An index only follows it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from steelyard.corpus import control_layout as layout
from steelyard.corpus.control_seal import check_changes, put_change
from steelyard.corpus.database import Database
from steelyard.corpus.directory import Closures, Membership
from steelyard.corpus.patterns import is_plain, matches
from steelyard.schema.control import AccessDelta, ControlChange, DocumentRule, Effect, Erasure, OperatorRule, RuleStep
from steelyard.schema.errors import UserError
from steelyard.schema.scope import NOBODY, Access, Scope, principal

_PUT_EFFECTIVE = (
    "INSERT INTO effective VALUES (:document, :allow, :deny, :epoch) ON CONFLICT DO UPDATE SET "
    "allow = :allow, deny = :deny, epoch = :epoch WHERE allow <> :allow OR deny <> :deny"
)


class Control:
    """Access and erasure of one workspace in an SQLite file, safe for many threads and processes; a change is there or not.

    Every change moves `epoch` up and adds a line to the history. It is not versioned and no rollback touches it: all generations are
    searched under what it says now. Losing the file means that nobody sees anything until the rules are read again, and that what
    operators said is gone: it belongs into the backup.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path, layout.MIGRATIONS)
        self._closures: Closures | None = None
        self._guard = Lock()

    def close(self) -> None:
        """Close the file's connections."""
        self._database.close()

    # What searches ask

    def epoch(self) -> int:
        """The number of the newest change; 0 before the first. It never falls, also not when an older copy is put back and changed.

        One read of the last entry of an index: cheap enough for every query.
        """
        row = self._connection.execute("SELECT max(epoch) FROM change").fetchone()
        return int(row[0] or 0)

    def access(self, document: str) -> Access:
        """Who may see a document now; nobody when no rule names it."""
        row = self._connection.execute("SELECT allow, deny FROM effective WHERE document = ?", (document,)).fetchone()
        return layout.access(*row) if row else NOBODY

    def all_access(self) -> dict[str, Access]:
        """Who may see each document now, in document order."""
        rows = self._connection.execute("SELECT document, allow, deny FROM effective ORDER BY document")
        return {document: layout.access(allow, deny) for document, allow, deny in rows}

    def permits(self, document: str, version: str, scope: Scope) -> bool:
        """Whether `scope` may see this version of a document now."""
        with self._reading() as connection:
            row = connection.execute("SELECT allow, deny FROM effective WHERE document = ?", (document,)).fetchone()
            gone = self._is_erased(connection, document, version)
        # A document without a rule takes the same way as one whose rule forbids it.
        rule = layout.access(*row) if row is not None else NOBODY
        return rule.permits(self.resolve(scope)) and not gone

    def since(self, epoch: int) -> AccessDelta:
        """What a store that stands at `epoch` must follow. One that is ahead (an older file was put back) is told everything."""
        with self._reading() as connection:
            now = int(connection.execute("SELECT max(epoch) FROM change").fetchone()[0] or 0)
            rows = connection.execute(
                "SELECT document, allow, deny FROM effective WHERE epoch > ?", (epoch if epoch <= now else -1,)
            )
            access = {document: layout.access(allow, deny) for document, allow, deny in rows}
            withheld = connection.execute("SELECT document, version FROM erasure WHERE version <> ''").fetchall()
        return AccessDelta(epoch=now, access=access, withheld=frozenset(withheld))

    def resolve(self, scope: Scope, epoch: int | None = None) -> Scope:
        """The asker with every group that holds the asker or one of the asker's groups, however deep, as the directory is now.

        `epoch` is what `epoch()` just said, to spare asking twice.
        """
        now = self.epoch() if epoch is None else epoch
        closures = self._closures
        if closures is None or closures.epoch != now:
            with self._guard, self._reading() as connection:
                read = int(connection.execute("SELECT max(epoch) FROM change").fetchone()[0] or 0)
                pairs = connection.execute('SELECT "group", member FROM membership').fetchall()
                closures = self._closures = Closures(read, pairs)
        return closures.resolve(scope)

    def digest(self) -> str:
        """The hash of who may see what now, groups included: equal when nothing of that differs, whatever the way to it."""
        query = "SELECT document, allow, deny FROM effective ORDER BY document"
        said = [*self._connection.execute(query).fetchall(), *self.groups()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    # Rules that files state

    def put_rules(self, rules: Mapping[str, DocumentRule], *, by: str = "ingest", why: str = "") -> dict[str, Access]:
        """Take over what the files say of these documents; the documents whose access that changed, with what they had before.

        Documents that are not named keep their rules, so what was withdrawn stays closed to whom it was closed. Nothing changed:
        no line in the history, and the epoch stays.
        """
        # Compared as they are stored: most documents of a source share one rule, and reading it back twenty thousand times would
        # take longer than the rest of an ingest.
        rows = self._database.named("SELECT document, allow, deny, steps FROM rule", "document", rules.keys())
        known = {document: tuple(row) for document, *row in rows}
        fresh = {document: rule for document, rule in rules.items() if known.get(document) != layout.packed_rule(rule)}
        if not fresh:
            return {}
        before = {document: self.access(document) for document in fresh}
        with self._change("rules", "", by, why, {"documents": len(fresh)}) as step:
            step.connection.executemany(
                "INSERT OR REPLACE INTO rule VALUES (?, ?, ?, ?)",
                [(document, *layout.packed_rule(rule)) for document, rule in fresh.items()],
            )
            self._refresh(step, fresh.keys().__contains__, fresh.keys())
        return {document: access for document, access in before.items() if self.access(document) != access}

    def touch(self, documents: Iterable[str]) -> None:
        """Let every store take over the access of these documents again: for rows written while another change was on its way."""
        with self._change("touch", "", "ingest", "", {}) as step:
            step.connection.executemany(
                "UPDATE effective SET epoch = ? WHERE document = ?", [(step.epoch, name) for name in documents]
            )

    def rule(self, document: str) -> DocumentRule | None:
        """What the files say of a document; None when they never said anything."""
        row = self._connection.execute("SELECT allow, deny, steps FROM rule WHERE document = ?", (document,)).fetchone()
        return _document_rule(row) if row else None

    def documents(self) -> list[str]:
        """Every document that a rule names, in order."""
        return [row[0] for row in self._connection.execute("SELECT document FROM rule ORDER BY document")]

    # What operators say

    def would_change(self, pattern: str, name: str, effect: Effect) -> list[str]:
        """The documents of today whose access `say` with the same words would change.

        Raises:
            UserError: as `say`.
        """
        who = _known(pattern, name)
        erased = {one.document for one in self.erasures() if not one.version}
        said = {(rule.pattern, rule.principal): rule for rule in self.operator_rules()}
        moment = datetime.now(UTC)
        said[pattern, who] = OperatorRule(pattern=pattern, principal=who, effect=effect, at=moment, by="", why="")
        found = []
        for document in self.documents():
            rule = self.rule(document) if matches(pattern, document) and document not in erased else None
            if rule is not None and with_operators(rule.access, list(said.values()), document) != self.access(document):
                found.append(document)
        return found

    def say(self, pattern: str, name: str, effect: Effect, *, by: str, why: str = "") -> list[str]:
        """Allow or deny a principal for the documents that `pattern` names, those to come included; which of today's changed.

        It takes the place of what was said of the same pattern and principal. Deny beats allow whoever said it.

        Raises:
            UserError: the name is that of nobody, or the pattern is empty.
        """
        who = _known(pattern, name)
        with self._change(effect, pattern, by, why, {"principal": who}) as step:
            step.connection.execute(
                "INSERT OR REPLACE INTO operator VALUES (?, ?, ?, ?, ?, ?)", (pattern, who, effect, step.at, by, why)
            )
            return self._refresh(step, lambda document: matches(pattern, document))

    def take_back(self, pattern: str, name: str | None = None, *, by: str, why: str = "") -> int:
        """Forget what operators said of a pattern, of one principal or of all; how many words that were."""
        who = None if name is None else _known(pattern, name)
        with self._change("reset", pattern, by, why, {"principal": who}) as step:
            done = step.connection.execute(
                "DELETE FROM operator WHERE pattern = ? AND (? IS NULL OR principal = ?)", (pattern, who, who)
            )
            self._refresh(step, lambda document: matches(pattern, document))
            return done.rowcount

    def operator_rules(self, document: str | None = None) -> list[OperatorRule]:
        """What operators said and did not take back, oldest first; of one document, or all."""
        query = "SELECT pattern, principal, effect, at, by, why FROM operator ORDER BY at, pattern, principal"
        found = [layout.operator_rule(row) for row in self._connection.execute(query)]
        return [rule for rule in found if document is None or matches(rule.pattern, document)]

    # Groups

    def put_directory(self, origin: str, members: Iterable[Membership], *, by: str = "sync", why: str = "") -> bool:
        """Take over who is in which group by one origin (a file, an identity source), all of it; whether that changed anything."""
        wanted = {(str(one.group), one.member) for one in members}
        query = 'SELECT "group", member FROM membership WHERE origin = ?'
        known = set(self._connection.execute(query, (origin,)).fetchall())
        if wanted == known:
            return False
        detail = {"added": sorted(wanted - known), "removed": sorted(known - wanted)}
        with self._change("groups", origin, by, why, detail) as step:
            step.connection.execute("DELETE FROM membership WHERE origin = ?", (origin,))
            step.connection.executemany(
                "INSERT INTO membership VALUES (?, ?, ?)", [(group, member, origin) for group, member in sorted(wanted)]
            )
        return True

    def groups(self) -> list[tuple[str, str, str]]:
        """(group, member, origin) of the whole directory, in order."""
        query = 'SELECT "group", member, origin FROM membership ORDER BY "group", member, origin'
        return list(self._connection.execute(query))

    # Erasure

    def erase(
        self, *, documents: Iterable[str] = (), versions: Iterable[tuple[str, str]] = (), by: str, why: str = ""
    ) -> int:
        """Close these documents, and these (document, version) pairs, to everyone in every generation; the epoch from which it holds.

        "" as the document of a pair stands for any document with these bytes. What is named here is not taken in again by ingest, and
        no operator's word opens it. The bytes themselves are removed by whoever called.
        """
        pairs = [(document, "") for document in documents] + list(versions)
        detail = {"documents": [document for document, version in pairs if not version]}
        with self._change("erase", "", by, why, detail | {"versions": [one for one in pairs if one[1]]}) as step:
            step.connection.executemany(
                "INSERT OR IGNORE INTO erasure VALUES (?, ?, ?, ?, ?)",
                [(document, version, step.at, by, why) for document, version in pairs],
            )
            named = {document for document, version in pairs if not version}
            for document in named:
                values = {"document": document, "allow": "[]", "deny": "[]", "epoch": step.epoch}
                step.connection.execute(_PUT_EFFECTIVE, values)
            return step.epoch

    def lift(self, pairs: Iterable[tuple[str, str]], *, by: str, why: str = "") -> None:
        """Let these (document, version) pairs, as `erasures` names them, be taken in again; their documents get their rules back."""
        named = list(pairs)
        with self._change("lift", "", by, why, {"versions": named}) as step:
            step.connection.executemany("DELETE FROM erasure WHERE document = ? AND version = ?", named)
            self._refresh(step, {document for document, _ in named}.__contains__)

    def erasures(self) -> list[Erasure]:
        """What must not come back, oldest first."""
        query = "SELECT document, version, at, by, why FROM erasure ORDER BY at, document, version"
        return [layout.erasure(row) for row in self._connection.execute(query)]

    def is_erased(self, document: str, version: str) -> bool:
        """Whether this version of this document must not come back."""
        return self._is_erased(self._connection, document, version)

    @staticmethod
    def _is_erased(connection: sqlite3.Connection, document: str, version: str) -> bool:
        query = "SELECT 1 FROM erasure WHERE (document, version) IN (VALUES (?, ''), (?, ?), ('', ?)) LIMIT 1"
        return connection.execute(query, (document, document, version, version)).fetchone() is not None

    # History

    def history(self, subject: str | None = None, limit: int = 1000) -> list[ControlChange]:
        """The newest changes, oldest first: of one subject (a pattern, a document, an origin of groups), or all."""
        query = (
            "SELECT epoch, at, by, kind, subject, why, detail FROM change WHERE ? IS NULL OR subject = ? "
            "ORDER BY epoch DESC LIMIT ?"
        )
        rows = self._connection.execute(query, (subject, subject, limit)).fetchall()
        return [layout.change(row) for row in reversed(rows)]

    def verify_history(self) -> tuple[int, str, tuple[str, ...], frozenset[str]]:
        """See `control_seal.check_changes`."""
        with self._reading() as connection:
            return check_changes(connection)

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._database.connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file for several reads."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    @contextmanager
    def _change(self, kind: str, subject: str, by: str, why: str, detail: Mapping[str, Any]) -> Iterator[_Step]:
        """One change with its line in the history, in one transaction."""
        with self._database.transaction() as connection:
            newest = int(connection.execute("SELECT max(epoch) FROM change").fetchone()[0] or 0)
            # The clock keeps epochs rising also after an older copy of the file was put back; stores never take two for one.
            epoch = max(newest + 1, time.time_ns() // 1000)
            at = layout.stamp(datetime.now(UTC))
            put_change(connection, (epoch, at, by, kind, subject, why, json.dumps(detail, ensure_ascii=False)))
            yield _Step(connection, epoch, at)

    def _refresh(
        self, step: _Step, concerned: Callable[[str], bool], names: Collection[str] | None = None
    ) -> list[str]:
        """Work out again who may see the documents that are concerned, `names` if given; which of them changed."""
        connection = step.connection
        said = [
            layout.operator_rule(row)
            for row in connection.execute("SELECT pattern, principal, effect, at, by, why FROM operator ORDER BY at")
        ]
        erased = {row[0] for row in connection.execute("SELECT document FROM erasure WHERE version = ''")}
        changed = []
        for document, *row in self._database.named("SELECT document, allow, deny FROM rule", "document", names):
            if not concerned(document):
                continue
            access = NOBODY if document in erased else with_operators(layout.access(*row), said, document)
            values = {
                "document": document,
                "allow": layout.packed(access.allow),
                "deny": layout.packed(access.deny),
                "epoch": step.epoch,
            }
            if connection.execute(_PUT_EFFECTIVE, values).rowcount:
                changed.append(document)
        return changed


@dataclass(frozen=True)
class _Step:
    """A change under way."""

    connection: sqlite3.Connection
    epoch: int
    at: str


def with_operators(access: Access, said: Sequence[OperatorRule], document: str) -> Access:
    """A document's rule with what operators said of it: both their allows and their denies are added."""
    own = [rule for rule in said if matches(rule.pattern, document)]
    if not own:
        return access
    allow = {rule.principal for rule in own if rule.effect == "allow"} | set(access.allow)
    deny = {rule.principal for rule in own if rule.effect == "deny"} | set(access.deny)
    return Access(allow=tuple(sorted(allow)), deny=tuple(sorted(deny)))


def operator_step(rule: OperatorRule) -> RuleStep:
    """An operator's word as one of the steps that lead to a document's access."""
    reason = f": {rule.why}" if rule.why else ""
    where = f"{rule.by}, {rule.at:%Y-%m-%d %H:%M} UTC{reason}" + (
        "" if is_plain(rule.pattern) else f" ({rule.pattern})"
    )
    names = (rule.principal,)
    allow, deny = (names, ()) if rule.effect == "allow" else (None, names)
    return RuleStep(kind="operator", where=where, allow=allow, deny=deny)


def _document_rule(row: Sequence[str]) -> DocumentRule:
    return DocumentRule(access=layout.access(row[0], row[1]), steps=layout.unpacked_steps(row[2]))


def _known(pattern: str, name: str) -> str:
    who = principal(name)
    if who is None or not pattern.strip():
        raise UserError(
            f"{name!r} is nobody's name." if who is None else "the pattern names no document.",
            remedy="Write user:NAME, GROUP or SOURCE:GROUP; and a document or a pattern such as docs/**.",
            code="access.bad_name",
        )
    return who
