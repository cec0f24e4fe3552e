"""Who may see what, worked out the slow way and from nothing but what a person wrote: the judge of the access tests.

It shares no code with the package. Every question is answered from the start, by recursion over plain tuples.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Said:
    """What people wrote, as they wrote it."""

    source_allow: dict[str, list[str]] = field(default_factory=dict)
    source_deny: dict[str, list[str]] = field(default_factory=dict)
    rules: list[tuple[str, str, list[str] | None, list[str]]] = field(default_factory=list)
    """(source, beginning of the name below it, allow, deny): the longest beginning that fits decides the allow."""
    front: dict[str, tuple[list[str] | None, list[str]]] = field(default_factory=dict)
    """document -> what its newest text says of itself."""
    operator: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(verb, document or beginning with `*`, principal, ''), in order; the last word on a pair holds, `reset` takes it back."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    erased_versions: set[tuple[str, str]] = field(default_factory=set)


def is_one(asker: tuple[str | None, frozenset[str]], name: str, said: Said, seen: tuple[str, ...] = ()) -> bool:
    """Whether the asker goes by `name`: says so, or is a member of it, or of a group in it, and so on."""
    if name.startswith("workspace:"):
        name = name[len("workspace:") :]
    if name == "everyone":
        return True
    user, groups = asker
    if name.startswith("user:"):
        return user is not None and name == "user:" + user
    if name in groups or "workspace:" + name in groups:
        return True
    if name in seen:
        return False
    return any(is_one(asker, member, said, (*seen, name)) for member in said.groups.get(name, []))


def may(asker: tuple[str | None, frozenset[str]], document: str, version: str, said: Said) -> bool:
    """Whether the asker may see this version of this document today."""
    if document in said.erased or (document, version) in said.erased_versions:
        return False
    source, _, below = document.partition("/")
    if source not in said.source_allow:
        return False
    allow = said.source_allow[source]
    deny = list(said.source_deny[source])
    longest = -1
    for where, beginning, its_allow, its_deny in said.rules:
        if where == source and below.startswith(beginning):
            deny += its_deny
            if its_allow is not None and len(beginning) > longest:
                longest, allow = len(beginning), its_allow
    own_allow, own_deny = said.front.get(document, (None, []))
    if own_allow is not None:
        allow = own_allow
    deny += own_deny
    allow = list(allow)
    standing: dict[tuple[str, str], str] = {}
    for verb, pattern, name, _ in said.operator:
        if verb == "reset":
            standing.pop((pattern, name), None)
        else:
            standing[pattern, name] = verb
    for (pattern, name), verb in standing.items():
        if document == pattern or (pattern.endswith("*") and document.startswith(pattern.rstrip("*"))):
            (allow if verb == "allow" else deny).append(name)
    if any(is_one(asker, name, said) for name in deny):
        return False
    return any(is_one(asker, name, said) for name in allow)
