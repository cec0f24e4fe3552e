"""Access rules put in force: by ingest in the right order, and in an index that follows the control plane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from steelyard.corpus.control import Control
from steelyard.corpus.interface import Index
from steelyard.schema.control import DocumentRule
from steelyard.schema.scope import EVERYONE, Access


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
        self._narrowed: dict[str, DocumentRule] = {}
        self.changed: set[str] = set()

    def close(self, edited: Iterable[str]) -> int:
        """Put the rules in force, of `edited` documents the narrower of old and new; the epoch that rows may be staged under."""
        rules = dict(self._rules)
        for document in edited:
            before = self._control.rule(document)
            if before is not None and document in rules:
                rule = rules[document]
                rules[document] = replace(rule, access=narrowed(before.access, rule.access))
                if rules[document] != rule:
                    self._narrowed[document] = rule
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
        """Put the rules in force that were narrowed, and let the index follow."""
        if self._narrowed:
            self.changed |= self._control.put_rules(self._narrowed).keys()
        catch_up(index, self._control)
