"""Who calls: what a request shows becomes a caller with a scope, or is refused."""

from __future__ import annotations

from collections.abc import Mapping

from steelyard.config import ServeSettings
from steelyard.registry.keys import Keys
from steelyard.schema.callers import ASK, Caller
from steelyard.schema.errors import IdentityError
from steelyard.schema.scope import Scope


class Identity:
    """Names the caller of a request."""

    def __init__(self, settings: ServeSettings, keys: Keys) -> None:
        self.keys = keys
        self._settings = settings

    def identify(
        self,
        headers: Mapping[str, str],
        *,
        client: str = "",
        method: str = "GET",  # noqa: ARG002 - for sessions
        csrf: str | None = None,  # noqa: ARG002 - for sessions
    ) -> Caller:
        """Who sends a request with these headers (names in lower case), from the address `client`.

        Raises:
            IdentityError: nothing was shown that counts, and no scope is configured for callers without a key.
        """
        written = headers.get("authorization")
        if written is not None:
            return self.keys.identify(written.partition(" ")[2].strip()).caller()
        name = self._settings.anonymous
        if name is None:
            raise IdentityError(
                "nobody is named: the request shows neither a key nor a token.",
                remedy="Send `Authorization: Bearer KEY`; `steelyard keys create NAME` makes one.",
                code="identity.none",
            )
        scope = self._settings.scopes[name]
        return Caller(
            scope=Scope(user=scope.user, groups=frozenset(scope.groups)),
            key_id=f"anonymous:{client}",
            name=name,
            roles=frozenset({ASK}),
        )
