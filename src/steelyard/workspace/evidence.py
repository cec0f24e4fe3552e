"""All sealed histories of a workspace together: checked, exported, cut."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.corpus.control import Control
from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.chain import Entry, Verified, verify_lines
from steelyard.registry.keys import Keys
from steelyard.schema.errors import UserError
from steelyard.workspace.safekeeping import verify_registry

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

CHAINS: Mapping[str, str] = {
    "answers": "every answer",
    "registry": "versions, aliases and releases, and the files that answer",
    "keys": "API keys",
    "access": "who may see what, and erasures",
}
"""Every sealed history, with what it holds."""


def verify_all(parts: Parts, heads: Mapping[str, str], *, files: bool = True) -> dict[str, Verified]:
    """Check every history; `heads` are hashes by name of the history that were kept elsewhere and must still stand in it.

    Without `files` the fitted files are not looked at, only the tables against their history.

    Raises:
        UserError: a head names no history.
    """
    for name in heads:
        if name not in CHAINS:
            raise UserError(
                f"there is no history '{name}'.", remedy=f"One of: {', '.join(CHAINS)}.", code="audit.unknown_chain"
            )
    return {
        "answers": AnswersAudit(parts.state.audit).verify(heads.get("answers")),
        "registry": (
            verify_registry(parts, heads.get("registry")) if files else parts.registry.verify(heads.get("registry"))
        ),
        "keys": Keys(parts.state.keys).verify(heads.get("keys")),
        "access": _access(parts, heads.get("access")),
    }


def export_lines(parts: Parts) -> Iterator[str]:
    """Every record of every history as JSON Lines, `chain` naming the history; oldest first within each."""
    sources: Mapping[str, Iterator[str]] = {
        "answers": AnswersAudit(parts.state.audit).lines(),
        "registry": parts.registry.history_lines(),
        "keys": (
            json.dumps(one.to_json(), ensure_ascii=False, sort_keys=True) for one in Keys(parts.state.keys).history()
        ),
    }
    for name, lines in sources.items():
        for line in lines:
            yield json.dumps({"chain": name, **json.loads(line)}, ensure_ascii=False)
    if parts.state.control.is_file():
        control = Control(parts.state.control)
        for change in control.history(limit=-1):
            yield json.dumps({"chain": "access", **change.to_json()}, ensure_ascii=False)
        control.close()


def verify_file(file: Path) -> dict[str, tuple[Verified, int]]:
    """Check an export, or an archive of a cut: by history what was found, and the number of its first record.

    Changes of access are exported without their seals, and are not among them.

    Raises:
        UserError: there is no such file.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise UserError("it is no file of records.", where=str(file), code="audit.no_file") from error
    lines: dict[str, list[str]] = {}
    for line in text.splitlines():
        try:
            name = str(json.loads(line).get("chain", "answers"))
        except (ValueError, AttributeError):
            name = "answers"
        lines.setdefault(name, []).append(line)
    return {name: verify_lines(own) for name, own in lines.items() if name != "access"}


def cut_answers(parts: Parts, older_than: timedelta, *, why: str, archive: Path | None, dry_run: bool) -> Entry | int:
    """Delete answers' records that are older, sealed by a record of it; that record, or how many there would be.

    Raises:
        UserError: the archive exists.
        StoreError: the chain is not whole.
    """
    audit = AnswersAudit(parts.state.audit)
    moment = (datetime.now(UTC) - older_than).isoformat(timespec="milliseconds")
    through = audit.before(moment)
    if dry_run or not through:
        return audit.records_through(through)
    return audit.cut(through, why=why, archive=archive)


def _access(parts: Parts, expected: str | None) -> Verified:
    if not parts.state.control.is_file():
        return Verified(entries=0, head="0" * 64, broken=())
    control = Control(parts.state.control)
    entries, head, broken, seals = control.verify_history()
    control.close()
    if expected is not None and expected not in seals:
        broken = (*broken, f"no change carries the hash {expected[:16]} that was kept elsewhere")
    return Verified(entries=entries, head=head, broken=broken)
