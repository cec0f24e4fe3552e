"""Who may see a document: the rule of its source, and what the document says about itself."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.corpus.control import Control
from steelyard.corpus.interface import Index
from steelyard.corpus.patterns import matches, specificity
from steelyard.corpus.sources import SourceRule
from steelyard.schema.control import DocumentRule, RuleStep
from steelyard.schema.scope import EVERYONE, Access, principal


def effective(rule: Access, allow: Sequence[str] | None, deny: Sequence[str] | None) -> Access:
    """The access of a document under its source's `rule` and its own `allow` and `deny` (None where it states none).

    Its own `allow` replaces the rule's; an empty one means nobody. Its own `deny` is added to the rule's, so a document can
    never lift a denial of its source. Names are sorted and said once.

    >>> effective(Access(allow=("everyone",), deny=("interns",)), ["guild"], ["user:ada"])
    Access(allow=('guild',), deny=('interns', 'user:ada'))
    >>> effective(Access(allow=("everyone",)), [], None)
    Access(allow=(), deny=())
    """
    allowed = rule.allow if allow is None else allow
    denied = (*rule.deny, *(deny or ()))
    return Access(allow=tuple(sorted(set(known(allowed)))), deny=tuple(sorted(set(known(denied)))))


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The principals among `names`, each in its one way of writing; what names nobody is left out."""
    return tuple(name for text in names if (name := principal(text)) is not None)


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """One rule of a rules file: what it says of the documents its pattern names, and where it stands."""

    pattern: str
    allow: tuple[str, ...] | None
    deny: tuple[str, ...]
    where: str


@dataclass(frozen=True, kw_only=True)
class FileRules:
    """What the files of a workspace say about access: the rules of its sources and of its rules files."""

    sources: tuple[SourceRule, ...]
    lines: tuple[RuleLine, ...] = ()

    def rule(
        self, document: str, source: str, allow: Sequence[str] | None, deny: Sequence[str] | None
    ) -> DocumentRule | None:
        """The rule of a document of `source` that says `allow` and `deny` of itself; None when there is no such source.

        The source's rule, then the rules files from the general to the specific, then the document itself: each `allow` replaces
        what came before, each `deny` is added.
        """
        own = next((one for one in self.sources if one.path == source), None)
        if own is None:
            return None
        steps = [RuleStep(kind="source", where=f"[[sources]] {own.path}", allow=own.access.allow, deny=own.access.deny)]
        lines = sorted((line for line in self.lines if matches(line.pattern, document)), key=_weight)
        steps += [RuleStep(kind="rules_file", where=one.where, allow=one.allow, deny=one.deny) for one in lines]
        if allow is not None or deny:
            own_allow = None if allow is None else tuple(allow)
            steps.append(RuleStep(kind="front_matter", where=document, allow=own_allow, deny=tuple(deny or ())))
        access = Access()
        for step in steps:
            access = effective(access, step.allow, step.deny)
        return DocumentRule(access=access, steps=tuple(steps))

    def withdrawn(self, control: Control, read: Collection[str], root: Path) -> dict[str, DocumentRule]:
        """The rules of the documents that are not among those `read`, where the files say something else of them by now."""
        found = {}
        for document in control.documents():
            before = None if document in read else control.rule(document)
            rule = before and self.again(document, before, root)
            if rule is not None and rule != before:
                found[document] = rule
        return found

    def again(self, document: str, before: DocumentRule, root: Path) -> DocumentRule | None:
        """The rule of a document that is no longer read, by the files as they are now; None when no source holds its place."""
        holding = [one for one in self.sources if _holds(prefix(one.path, root), document)]
        own = max(holding, key=lambda one: len(prefix(one.path, root)), default=None)
        said = next((step for step in before.steps if step.kind == "front_matter"), None)
        if own is None:
            return None
        return self.rule(document, own.path, said.allow if said else None, said.deny if said else None)


def _weight(line: RuleLine) -> tuple[bool, int, int]:
    # Python's sort keeps equals in order, so the later of two equally specific rules wins.
    return specificity(line.pattern)


def prefix(source: str, root: Path) -> str:
    """How the names of a source's documents begin; "" for the workspace folder itself."""
    name = posixpath.relpath(source, root.resolve().as_posix()) if posixpath.isabs(source) else source
    name = posixpath.normpath(Path(name).as_posix())
    return "" if name == "." else name


def _holds(name: str, document: str) -> bool:
    return not name or document == name or document.startswith(name + "/")


def narrowed(before: Access, after: Access) -> Access:
    """A rule that shows nothing to anybody whom either of the two keeps out: for the moments between one version and the next.

    >>> narrowed(Access(allow=("everyone",)), Access(allow=("staff",), deny=("interns",)))
    Access(allow=('staff',), deny=('interns',))
    """
    old, new = set(before.allow), set(after.allow)
    both = old & new if EVERYONE not in old | new else (new if EVERYONE in old else old)
    return Access(allow=tuple(sorted(both)), deny=tuple(sorted({*before.deny, *after.deny})))


def catch_up(index: Index, control: Control) -> None:
    """Let an index follow what the control plane says now."""
    if index.epoch != control.epoch():
        delta = control.since(index.epoch)
        index.restrict(delta.access, delta.epoch, delta.withheld)


class Enforcing:
    """The access side of one ingest: closes first, opens last.

    A document whose text and rule change together is under both rules until its new text answers, so neither the old text is shown
    to whom the new rule lets in, nor the new text to whom the old rule let in.
    """

    def __init__(self, control: Control, rules: dict[str, DocumentRule]) -> None:
        self._control = control
        self._rules = rules
        self.changed: set[str] = set()

    def close(self, edited: Iterable[str]) -> int:
        """Put the rules in force, of `edited` documents the narrower of old and new; the epoch that rows may be staged under."""
        rules = dict(self._rules)
        for document in edited:
            before = self._control.rule(document)
            if before is not None and document in rules:
                rules[document] = replace(rules[document], access=narrowed(before.access, rules[document].access))
        self.changed |= self._control.put_rules(rules).keys()
        return self._control.epoch()

    def access(self, document: str) -> Access:
        """Who may see a document now."""
        return self._control.access(document)

    def settle(self, epoch: int, staged: Sequence[str]) -> None:
        """Called when rows are staged and not yet in force: what changed elsewhere since `epoch` holds for them too."""
        if staged and self._control.epoch() != epoch:
            self._control.touch(staged)

    def open(self, index: Index) -> None:
        """Put the rules in force as they are, and let the index follow."""
        self.changed |= self._control.put_rules(self._rules).keys()
        catch_up(index, self._control)


def names(text: str) -> tuple[str, ...]:
    """Group names from a comma-separated string; an empty string gives none.

    >>> names("guild, staff")
    ('guild', 'staff')
    """
    return tuple(name for part in text.split(",") if (name := part.strip()))
