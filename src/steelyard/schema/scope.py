"""Who asks, and who may see."""

from __future__ import annotations

from dataclasses import dataclass, field

EVERYONE = "everyone"
"""The group every asker is in, also an unknown one."""

USER_PREFIX = "user:"
"""A rule that names one person is written `user:NAME`."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Who is asking; a required argument of every search.

    `user` is None for an anonymous asker. `groups` need not contain `everyone`: it is implied. A group whose name looks like a
    person's (`user:NAME`) counts as none, so that nobody becomes somebody else through a group of that name.
    """

    user: str | None = None
    groups: frozenset[str] = frozenset()

    @property
    def principals(self) -> tuple[str, ...]:
        """Every name an access rule can match for this asker, sorted: groups, `everyone`, and `user:NAME`."""
        names = {group for group in self.groups if not group.startswith(USER_PREFIX)} | {EVERYONE}
        if self.user:
            names.add(USER_PREFIX + self.user)
        return tuple(sorted(names))


@dataclass(frozen=True, kw_only=True)
class Access:
    """Which principals may see a document. Deny beats allow; an empty `allow` means nobody, never everyone."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = field(default=())

    def permits(self, scope: Scope) -> bool:
        """Whether `scope` may see what carries this rule.

        >>> Access(allow=("staff",)).permits(Scope(groups=frozenset({"staff"})))
        True
        >>> Access().permits(Scope(user="ada"))
        False
        """
        names = set(scope.principals)
        return bool(names & set(self.allow)) and not names & set(self.deny)
