"""The access rules that stand in files, and the rule of a document that follows from them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.corpus.access import effective
from steelyard.corpus.control import Control
from steelyard.corpus.patterns import matches, specificity
from steelyard.corpus.sources import SourceRule
from steelyard.schema.control import DocumentRule, RuleStep
from steelyard.schema.scope import Access


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """One rule of a rules file: what it says of the documents its pattern names, and where it stands."""

    pattern: str
    allow: tuple[str, ...] | None
    deny: tuple[str, ...]
    where: str


_Said = tuple[str, tuple[str, ...] | None, tuple[str, ...]]
"""What a document says of itself: its name, allow (None when it says nothing), deny."""


@dataclass(frozen=True, kw_only=True)
class FileRules:
    """What the files of a workspace say about access: the rules of its sources and of its rules files."""

    sources: tuple[SourceRule, ...]
    lines: tuple[RuleLine, ...] = ()
    # Documents that say nothing of themselves share their rules: few of them, whatever the number of documents.
    _shared: dict[tuple[str, tuple[RuleLine, ...]], DocumentRule | None] = field(default_factory=dict, compare=False)

    def rule(
        self, document: str, source: str, allow: Sequence[str] | None, deny: Sequence[str] | None
    ) -> DocumentRule | None:
        """The rule of a document of `source` that says `allow` and `deny` of itself; None when there is no such source.

        The source's rule, then the rules files from the general to the specific, then the document itself: each `allow` replaces
        what came before, each `deny` is added.
        """
        lines = tuple(line for line in self.lines if matches(line.pattern, document))
        if allow is not None or deny:
            own = (document, None if allow is None else tuple(allow), tuple(deny or ()))
            return self._rule(source, lines, own)
        if (source, lines) not in self._shared:
            self._shared[source, lines] = self._rule(source, lines, None)
        return self._shared[source, lines]

    def _rule(self, source: str, lines: tuple[RuleLine, ...], said: _Said | None) -> DocumentRule | None:
        own = next((one for one in self.sources if one.path == source), None)
        if own is None:
            return None
        steps = [RuleStep(kind="source", where=f"[[sources]] {own.path}", allow=own.access.allow, deny=own.access.deny)]
        ordered = sorted(lines, key=_weight)
        steps += [RuleStep(kind="rules_file", where=one.where, allow=one.allow, deny=one.deny) for one in ordered]
        if said is not None:
            document, allow, deny = said
            steps.append(RuleStep(kind="front_matter", where=document, allow=allow, deny=deny))
        access = Access()
        for step in steps:
            access = effective(access, step.allow, step.deny)
        return DocumentRule(access=access, steps=tuple(steps))

    def withdrawn(
        self, control: Control, read: Collection[str], root: Path, among: Collection[str] | None = None
    ) -> dict[str, DocumentRule]:
        """The rules of the documents that are not among those `read`, where the files say something else of them by now.

        Of those in `among`, or of all.
        """
        found = {}
        for document in control.documents() if among is None else sorted(among):
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
