"""`access`: who may see which document by which rule, and what operators say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.corpus.control import operator_step
from steelyard.corpus.patterns import is_plain, matches
from steelyard.corpus.sidecar import follow_files
from steelyard.corpus.sources import SourceRule
from steelyard.registry.versions import whoami
from steelyard.schema.control import ControlChange, Effect, Explanation, OperatorRule, RuleStep
from steelyard.schema.errors import NotFoundError, nearest
from steelyard.schema.scope import Access, Scope
from steelyard.workspace.upkeep import require_corpus

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What one word of an operator did: the documents of today whose access it changed."""

    pattern: str
    principal: str
    effect: str
    changed: tuple[str, ...]
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        """The result with the keys of `access allow --json`: pattern, principal, effect, changed, dry_run."""
        return {**self.__dict__, "changed": list(self.changed)}


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What reading the rules and groups again changed."""

    changed: tuple[str, ...]
    groups_changed: bool

    def to_json(self) -> dict[str, Any]:
        """The result with the keys of `access sync --json`: changed, groups_changed."""
        return {"changed": list(self.changed), "groups_changed": self.groups_changed}


class Granting:
    """Access of one workspace; every change counts from the next query of every process."""

    def __init__(self, parts: Parts) -> None:
        require_corpus(parts)
        self._parts = parts
        self._control = parts.toolbox.library.control

    def show(self, pattern: str | None = None) -> dict[str, Access]:
        """Who may see the documents that `pattern` names (all by default), in document order.

        Raises:
            NotFoundError: no document has this name.
        """
        found = self._control.all_access()
        if pattern is None:
            return found
        named = {document: access for document, access in found.items() if _named(pattern, document)}
        if not named and is_plain(pattern):
            raise _unknown(pattern, list(found))
        return named

    def explain(self, document: str, *, user: str | None = None, groups: Sequence[str] = ()) -> Explanation:
        """By which rules a document is seen by whom it is; with an asker, which rule decided for them.

        Raises:
            NotFoundError: no document has this name.
        """
        rule = self._control.rule(document)
        erased = [one for one in self._control.erasures() if one.document == document and not one.version]
        if rule is None and not erased:
            raise _unknown(document, self._control.documents())
        steps = [*(rule.steps if rule else ()), *map(operator_step, self._control.operator_rules(document))]
        steps += [RuleStep(kind="erasure", where=f"{one.by}, {one.at:%Y-%m-%d}", allow=()) for one in erased]
        access = self._control.access(document)
        if user is None and not groups:
            return Explanation(document=document, access=access, steps=tuple(steps))
        asker = self._control.resolve(Scope(user=user, groups=frozenset(groups)))
        return Explanation(
            document=document,
            access=access,
            steps=tuple(steps),
            permitted=access.permits(asker),
            because=_because(access, steps, asker),
            principals=asker.principals,
        )

    def say(self, pattern: str, principal: str, effect: Effect, *, why: str = "", dry_run: bool = False) -> Granted:
        """Allow or deny a principal for the documents that `pattern` names, those to come included.

        Raises:
            UserError: the name is that of nobody.
            NotFoundError: no document has this name.
        """
        self._require(pattern)
        if dry_run:
            changed = self._control.would_change(pattern, principal, effect)
        else:
            changed = self._control.say(pattern, principal, effect, by=whoami(), why=why)
        return Granted(pattern=pattern, principal=principal, effect=effect, changed=tuple(changed), dry_run=dry_run)

    def reset(self, pattern: str, principal: str | None = None, *, why: str = "", dry_run: bool = False) -> int:
        """Take back what operators said of `pattern`, of one principal or of all; how many words that are.

        Raises:
            UserError: the name is that of nobody.
        """
        if dry_run:
            said = [rule for rule in self._control.operator_rules() if rule.pattern == pattern]
            return len([rule for rule in said if principal is None or rule.principal == principal])
        return self._control.take_back(pattern, principal, by=whoami(), why=why)

    def sync(self) -> Synced:
        """Read the rules of the sources, `access.toml` and `groups.toml` again, without reading a document.

        Raises:
            DataError: they have problems; all are named, and nothing was changed.
        """
        settings, root = self._parts.settings, self._parts.folder
        sources = [SourceRule(path=one.path, allow=one.allow, deny=one.deny) for one in settings.sources]
        before = self._control.groups()
        rules = follow_files(sources, root, self._control)
        changed = self._control.put_rules(rules.withdrawn(self._control, (), root), by=whoami(), why="sync")
        return Synced(changed=tuple(sorted(changed)), groups_changed=before != self._control.groups())

    def operator_rules(self) -> list[OperatorRule]:
        """What operators said and did not take back."""
        return self._control.operator_rules()

    def history(self, limit: int = 50) -> list[ControlChange]:
        """The newest changes of access, groups and erasures, oldest first."""
        return self._control.history(limit=limit)

    def _require(self, pattern: str) -> None:
        # A pattern may name documents to come; a plain name that nothing carries is a slip.
        if is_plain(pattern) and self._control.rule(pattern) is None:
            raise _unknown(pattern, self._control.documents())


def _named(pattern: str, document: str) -> bool:
    return document == pattern or matches(pattern, document)


def _unknown(document: str, known: Sequence[str]) -> NotFoundError:
    near = nearest(document, known)
    hint = f"Did you mean '{near[0]}'?" if near else "Documents are named as in citations, e.g. docs/a.md."
    return NotFoundError(f"there is no document '{document}'.", remedy=hint, code="corpus.unknown_document")


def _because(access: Access, steps: Sequence[RuleStep], asker: Scope) -> str:
    """Which rule decided for an asker, in words."""
    names = set(asker.principals)
    denying = [(step, name) for step in steps for name in step.deny if name in names]
    if any(step.kind == "erasure" for step in steps):
        return "the document was erased"
    if denying:
        step, name = denying[-1]
        return f"'{name}' is denied by {_place(step)}; deny beats allow"
    allowing = [(step, name) for step in steps for name in step.allow or () if name in names and name in access.allow]
    if allowing:
        step, name = allowing[-1]
        return f"'{name}' is allowed by {_place(step)}"
    last = next((step for step in reversed(steps) if step.allow is not None and step.kind != "operator"), None)
    return f"{_place(last)} names nobody that the asker is" if last else "no rule allows it"


def _place(step: RuleStep) -> str:
    kinds = {"source": "the source", "rules_file": "the rules file", "front_matter": "the front matter of"}
    return f"{kinds.get(step.kind, step.kind)} {step.where}"
