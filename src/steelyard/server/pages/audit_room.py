"""The room *Audit*: what was answered and changed lately, whether the record is whole, and an answer asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.schema.audit import AnswerRecord
from steelyard.schema.errors import SteelyardError

if TYPE_CHECKING:
    from steelyard.registry.chain import Entry
    from steelyard.server.site import Site
    from steelyard.workspace import Workspace

SHOWN_ANSWERS, SHOWN_CHANGES = 30, 20

WORDS: Mapping[str, str] = {
    "version.registered": "registered",
    "alias.moved": "pointed",
    "release.made": "released",
    "release.rolled_back": "rolled back to",
}


def context(workspace: Workspace) -> dict[str, Any]:
    """What the template shows."""
    entries = workspace.answers(SHOWN_ANSWERS)
    return {
        "answers": [one for one in map(_answer, entries) if one is not None],
        "changes": [_change(one) for one in reversed(workspace.history()[-SHOWN_CHANGES:])],
        "chains": workspace.verify_audit(),
    }


def replay_context(site: Site, trace: str, question: str | None) -> dict[str, Any]:
    """One answer's record, and the same question asked again of the versions and the generation that answered.

    Raises:
        NotFoundError: there is no such answer.
    """
    from steelyard.workspace.answer_replay import replay

    wrong = None
    try:
        found = replay(site.running, trace, question)
    except SteelyardError as error:
        if question is None:
            raise
        wrong = f"{error.message[:1].upper()}{error.message[1:]}"
        found = replay(site.running, trace, None, again=False)
    return {"replay": found, "record": found.record, "wrong": wrong}


def _answer(entry: Entry) -> dict[str, Any] | None:
    try:
        return {"number": entry.number, "record": AnswerRecord.from_json(entry.evidence)}
    except (KeyError, TypeError):
        return None  # the record of a cut stands in the same chain


def _change(entry: Entry) -> dict[str, Any]:
    evidence = entry.evidence
    what = WORDS.get(entry.what, entry.what.replace(".", " ").replace("_", " "))
    return {"entry": entry, "what": what, "about": _about(evidence)}


def _about(evidence: Mapping[str, Any]) -> str:
    if {"component", "candidate", "version"} <= set(evidence):
        return f"{evidence['component']}/{evidence['candidate']}@{evidence['version']}"
    if {"alias", "component", "to"} <= set(evidence):
        return f"{evidence['component']}@{evidence['alias']} at {evidence['to']}"
    for key in ("release", "number", "alias", "name"):
        if evidence.get(key) is not None:
            return f"{key} {evidence[key]}"
    return ""
