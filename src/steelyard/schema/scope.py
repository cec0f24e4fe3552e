"""Who asks, and who may see."""

from __future__ import annotations

from dataclasses import dataclass, field

EVERYONE = "everyone"
"""The group every asker is in, also an unknown one."""

USER_PREFIX = "user:"
"""A rule that names one person is written `user:NAME`."""

OWN_SOURCE = "workspace"
"""The identity source of a group that is written without one."""


@dataclass(frozen=True, kw_only=True, order=True)
class Group:
    """A group of people, known by where it comes from and its id there: `eng` of one source is not `eng` of another.

    Written `source:id`; a name without a colon is a group of the workspace's own.

    >>> Group.named("okta:eng") == Group.named("google:eng")
    False
    >>> str(Group.named("workspace:staff"))
    'staff'
    """

    source: str
    id: str

    @classmethod
    def named(cls, text: str) -> Group:
        """The group that `text` writes; only the first colon divides, so an id may hold more."""
        source, colon, name = text.partition(":")
        return cls(source=source, id=name) if colon else cls(source=OWN_SOURCE, id=source)

    def __str__(self) -> str:
        return self.id if self.source == OWN_SOURCE and ":" not in self.id else f"{self.source}:{self.id}"


def principal(text: str) -> str | None:
    """The one way of writing a name that a rule, a scope or a directory may use; None for a name of nobody.

    >>> principal(" workspace:staff "), principal("user:ada"), principal("okta:"), principal("")
    ('staff', 'user:ada', None, None)
    """
    text = text.strip()
    if text.startswith(USER_PREFIX):
        return text if len(text) > len(USER_PREFIX) else None
    group = Group.named(text)
    group = Group(source=group.source.strip(), id=group.id.strip())
    return str(group) if group.source and group.id else None


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
        """Every name an access rule can match for this asker, sorted: groups, `everyone`, and `user:NAME`.

        Groups that hold these groups are not among them: the control plane adds those when it resolves a scope.
        """
        names = {name for group in self.groups if (name := principal(group)) and not name.startswith(USER_PREFIX)}
        names.add(EVERYONE)
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


NOBODY = Access()
"""The rule of what nobody may see."""
