"""Records of the control plane: who may see what by which rule, what was erased, and how that came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from steelyard.schema.scope import NOBODY, Access

Effect = Literal["allow", "deny"]


@dataclass(frozen=True, kw_only=True)
class RuleStep:
    """One rule that took part in a document's access: where it stands, and what it said.

    `kind` is `source`, `rules_file`, `front_matter`, `operator` or `erasure`; `where` is a file with its line, or who and when.
    `allow` None: it said nothing about who may. An operator's allow is added, any other replaces what came before; denies add up.
    """

    kind: str
    where: str
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The step as JSON: kind, where, allow (null when it said nothing), deny."""
        allow = None if self.allow is None else list(self.allow)
        return {"kind": self.kind, "where": self.where, "allow": allow, "deny": list(self.deny)}


@dataclass(frozen=True, kw_only=True)
class DocumentRule:
    """What the files say about one document: the rule that follows, and the steps that led to it, in order."""

    access: Access
    steps: tuple[RuleStep, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OperatorRule:
    """What an operator said about the documents a pattern names: one principal is allowed, or denied."""

    pattern: str
    principal: str
    effect: Effect
    at: datetime
    by: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON; `at` in ISO form."""
        return {**self.__dict__, "at": self.at.isoformat()}


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What must not come back: a document ("" for any) and a version of it ("" for all)."""

    document: str
    version: str
    at: datetime
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ControlChange:
    """One line of the control plane's history, never changed afterwards. `epoch` numbers it; later ones are larger."""

    epoch: int
    at: datetime
    by: str
    kind: str
    subject: str
    why: str
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The line as JSON; `at` in ISO form."""
        return {**self.__dict__, "at": self.at.isoformat(), "detail": dict(self.detail)}


@dataclass(frozen=True, kw_only=True)
class AccessDelta:
    """What a store must follow to stand at `epoch`: the access of the documents that changed, and all that is withheld."""

    epoch: int
    access: Mapping[str, Access]
    withheld: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Who may see a document, by which steps. `decided_by` is the step that settled it for one asker, None when none was named."""

    document: str
    access: Access = NOBODY
    steps: tuple[RuleStep, ...] = ()
    permitted: bool | None = None
    because: str = ""
    principals: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON: document, allow, deny, steps, permitted (null without an asker), because, principals."""
        return {
            "document": self.document,
            "allow": list(self.access.allow),
            "deny": list(self.access.deny),
            "steps": [step.to_json() for step in self.steps],
            "permitted": self.permitted,
            "because": self.because,
            "principals": list(self.principals),
        }
