"""Who is in which group: groups in groups, from several identity sources, with cycles."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from steelyard.schema.scope import EVERYONE, USER_PREFIX, Group, Scope

KEPT_SCOPES = 4096
"""Askers whose groups are remembered until the directory changes."""


@dataclass(frozen=True)
class Membership:
    """One line of a directory: `member` is a principal, `user:NAME` or a group."""

    group: Group
    member: str


class Closures:
    """The directory at one epoch, and the groups of the askers of late."""

    def __init__(self, epoch: int, pairs: Iterable[tuple[str, str]]) -> None:
        self.epoch = epoch
        self._groups_of: dict[str, list[str]] = {}
        for group, member in pairs:
            if member != EVERYONE:  # else the whole world were in that group
                self._groups_of.setdefault(member, []).append(group)
        self._known: OrderedDict[Scope, Scope] = OrderedDict()
        self._lock = Lock()

    def resolve(self, scope: Scope) -> Scope:
        """`scope` with all groups that hold it, directly or through other groups."""
        if not self._groups_of:
            return scope
        with self._lock:
            known = self._known.get(scope)
            if known is not None:
                self._known.move_to_end(scope)
                return known
        resolved = Scope(user=scope.user, groups=self._closure(scope))
        with self._lock:
            self._known[scope] = resolved
            while len(self._known) > KEPT_SCOPES:
                self._known.popitem(last=False)
        return resolved

    def _closure(self, scope: Scope) -> frozenset[str]:
        waiting = list(scope.principals)
        # Groups that were visited are not visited again, so cycles end.
        found = set(waiting)
        while waiting:
            for group in self._groups_of.get(waiting.pop(), ()):
                # A group that looks like a person is none: else its members would be in that person's groups.
                if group not in found and not group.startswith(USER_PREFIX):
                    found.add(group)
                    waiting.append(group)
        return frozenset(name for name in found if not name.startswith(USER_PREFIX))
