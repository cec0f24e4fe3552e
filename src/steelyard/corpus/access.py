"""Who may see a document: how the rule of its source and what it says about itself are put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.schema.scope import Access, principal


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


def names(text: str) -> tuple[str, ...]:
    """Group names from a comma-separated string; an empty string gives none.

    >>> names("guild, staff")
    ('guild', 'staff')
    """
    return tuple(name for part in text.split(",") if (name := part.strip()))
