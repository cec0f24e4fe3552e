"""The layout of the control plane's file: numbered migrations, and how rows become records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from steelyard.schema.control import ControlChange, DocumentRule, Erasure, OperatorRule, RuleStep
from steelyard.schema.scope import Access

MIGRATIONS = (
    # 1. `rule` is what the files say of a document; `operator` what people said by command; `erasure` what must not come back.
    # `effective` is what follows from the three, with the epoch at which it last changed. `membership` says which group holds which
    # user or group. `change` is the history: only ever added to, its newest epoch is the state of the whole file.
    """
    CREATE TABLE change (
        epoch INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        by TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        why TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TRIGGER change_stays BEFORE UPDATE ON change BEGIN SELECT RAISE(ABORT, 'history is only added to'); END;
    CREATE TRIGGER change_remains BEFORE DELETE ON change BEGIN SELECT RAISE(ABORT, 'history is only added to'); END;
    CREATE INDEX change_subject ON change (subject);
    CREATE TABLE rule (
        document TEXT PRIMARY KEY,
        allow TEXT NOT NULL,
        deny TEXT NOT NULL,
        steps TEXT NOT NULL
    );
    CREATE TABLE operator (
        pattern TEXT NOT NULL,
        principal TEXT NOT NULL,
        effect TEXT NOT NULL,
        at TEXT NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (pattern, principal)
    );
    CREATE TABLE erasure (
        document TEXT NOT NULL,
        version TEXT NOT NULL,
        at TEXT NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (document, version)
    );
    CREATE TABLE effective (
        document TEXT PRIMARY KEY,
        allow TEXT NOT NULL,
        deny TEXT NOT NULL,
        epoch INTEGER NOT NULL
    );
    CREATE INDEX effective_epoch ON effective (epoch);
    CREATE TABLE membership (
        "group" TEXT NOT NULL,
        member TEXT NOT NULL,
        origin TEXT NOT NULL,
        PRIMARY KEY (origin, "group", member)
    );
    """,
    # 2. Changes are sealed from here on; `change_head` says how many there are, so that a cut at the end is found too.
    """
    ALTER TABLE change ADD COLUMN previous TEXT NOT NULL DEFAULT '';
    ALTER TABLE change ADD COLUMN hash TEXT NOT NULL DEFAULT '';
    CREATE TABLE change_head (one INTEGER PRIMARY KEY CHECK (one = 1), changes INTEGER NOT NULL, hash TEXT NOT NULL);
    """,
)


def stamp(moment: datetime) -> str:
    """A moment as text that sorts by time: UTC to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def packed(names: Sequence[str]) -> str:
    """Names as JSON."""
    return json.dumps(list(names), ensure_ascii=False)


def access(allow: str, deny: str) -> Access:
    """An access rule from its two columns."""
    return Access(allow=tuple(json.loads(allow)), deny=tuple(json.loads(deny)))


@lru_cache(maxsize=4096)
def packed_rule(rule: DocumentRule) -> tuple[str, str, str]:
    """A rule as its columns allow, deny and steps."""
    steps = json.dumps([step.to_json() for step in rule.steps], ensure_ascii=False)
    return packed(rule.access.allow), packed(rule.access.deny), steps


def unpacked_steps(text: str) -> tuple[RuleStep, ...]:
    """The steps of a rule from their column."""
    return tuple(
        RuleStep(
            kind=one["kind"],
            where=one["where"],
            allow=None if one["allow"] is None else tuple(one["allow"]),
            deny=tuple(one["deny"]),
        )
        for one in json.loads(text)
    )


def operator_rule(row: Sequence[Any]) -> OperatorRule:
    """The record of (pattern, principal, effect, at, by, why)."""
    pattern, principal, effect, at, by, why = row
    return OperatorRule(
        pattern=pattern, principal=principal, effect=effect, at=datetime.fromisoformat(at), by=by, why=why
    )


def erasure(row: Sequence[Any]) -> Erasure:
    """The record of (document, version, at, by, why)."""
    document, version, at, by, why = row
    return Erasure(document=document, version=version, at=datetime.fromisoformat(at), by=by, why=why)


def change(row: Sequence[Any]) -> ControlChange:
    """The record of (epoch, at, by, kind, subject, why, detail)."""
    epoch, at, by, kind, subject, why, detail = row
    return ControlChange(
        epoch=epoch,
        at=datetime.fromisoformat(at),
        by=by,
        kind=kind,
        subject=subject,
        why=why,
        detail=json.loads(detail),
    )
