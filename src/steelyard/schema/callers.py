"""Who calls the server: the identity that a key or a token ends in, and the keys themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.schema.scope import Scope

ASK = "ask"
"""The role of who may ask, search and classify."""

OPERATE = "operate"
"""The role of who may see the corpus, the models, the quality and the audit, and may release."""

ROLES = (ASK, OPERATE)
"""Every role a caller can have; one does not contain the other."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: what they may see (`scope`), which key or token says so, how they are called, and what they may do.

    `key_id` names a key (`k...`), a token's subject (`jwt:...`), a signed-in session's key, or `anonymous`; limits count by it.
    """

    scope: Scope
    key_id: str
    name: str
    roles: frozenset[str]

    def may(self, role: str) -> bool:
        """Whether the caller has this role."""
        return role in self.roles

    def to_json(self) -> dict[str, Any]:
        """The caller as JSON: key_id, name, user, groups, roles."""
        return {
            "key_id": self.key_id,
            "name": self.name,
            "user": self.scope.user,
            "groups": sorted(self.scope.groups),
            "roles": sorted(self.roles),
        }


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key without its secret, which nobody can read back. Times are ISO 8601, UTC.

    `user` and `groups` are the scope of who calls with it. `expires` None: never. `successor` is the key that took its place.
    """

    id: str
    name: str
    user: str | None
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    created: str
    by: str
    expires: str | None = None
    revoked: str | None = None
    successor: str | None = None

    def state(self, now: str) -> str:
        """`active`, `expired` or `revoked`, at `now` (ISO 8601, UTC)."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"

    def caller(self) -> Caller:
        """Who calls with this key."""
        scope = Scope(user=self.user, groups=frozenset(self.groups))
        return Caller(scope=scope, key_id=self.id, name=self.name, roles=frozenset(self.roles))

    def to_json(self) -> dict[str, Any]:
        """The key as JSON."""
        return {**self.__dict__, "groups": list(self.groups), "roles": list(self.roles)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ApiKey:
        """The key of a stored row, whose `groups` and `roles` are JSON arrays already read."""
        names = ("id", "name", "user", "created", "by", "expires", "revoked", "successor")
        return cls(groups=tuple(row["groups"]), roles=tuple(row["roles"]), **{name: row[name] for name in names})
