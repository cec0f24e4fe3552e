"""Who calls: an API key, a token or a signed-in session, and nobody else unless a named scope is configured for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steelyard.config import ServeSettings
from steelyard.registry.keys import Keys
from steelyard.schema.callers import ASK, Caller
from steelyard.schema.errors import IdentityError
from steelyard.schema.scope import Scope
from steelyard.server.sessions import CSRF_HEADER, Session, Sessions
from steelyard.server.tokens import Tokens

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, so a page of another site gains nothing by making a browser send them."""


class Identity:
    """Names the caller of a request. Keys are read anew with each request, so what is revoked counts no longer at once."""

    def __init__(self, folder: Path, settings: ServeSettings, keys: Keys, sessions: Sessions) -> None:
        self.keys = keys
        self.sessions = sessions
        self._settings = settings
        self._tokens = Tokens(settings.jwt, folder) if settings.jwt is not None else None

    def identify(
        self, headers: Mapping[str, str], *, client: str = "", method: str = "GET", csrf: str | None = None
    ) -> Caller:
        """Who sends a request with these headers (names in lower case), from the address `client`.

        `Authorization: Bearer` with a key or a token, or `x-api-key`; then the cookie of the page, which for a method that changes
        something needs its session's token in the header `x-csrf-token`, or in `csrf` where a plain form's address carries it; then
        the anonymous scope. A key or token that does not count is an error, and is never answered as anonymous.

        Raises:
            IdentityError: nobody, or what is shown does not count.
            ForbiddenError: a cookie without the token of its session.
            StoreError: the keys, or the identity provider's keys, cannot be read.
        """
        shown = _shown(headers)
        if shown is not None:
            return self._of_token(shown)
        session = self.sessions.read(headers)
        found = self.of_session(session)
        if found is not None:
            if method.upper() not in SAFE_METHODS:
                self.sessions.check_csrf(session, headers.get(CSRF_HEADER, csrf), headers)
            return found
        return self._anonymous(client)

    def may_wait(self, headers: Mapping[str, str]) -> bool:
        """Whether `identify` may ask the identity provider, and so take seconds."""
        return self._tokens is not None and (_shown(headers) or "").count(".") == 2

    def of_session(self, session: Session | None) -> Caller | None:
        """Who is signed in; None when nobody is, or the key they signed in with does not count any more."""
        if session is None or session.key_id is None:
            return None
        key = self.keys.active(session.key_id)
        return None if key is None else key.caller()

    def sign_in(self, token: str) -> tuple[Session, Caller]:
        """A new session for who shows an API key on the page.

        Raises:
            IdentityError: it does not count.
        """
        key = self.keys.identify(token.strip())
        return self.sessions.start(key.id), key.caller()

    def _of_token(self, shown: str) -> Caller:
        if self._tokens is not None and shown.count(".") == 2:
            return self._tokens.identify(shown)
        return self.keys.identify(shown).caller()

    def _anonymous(self, client: str) -> Caller:
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


def _shown(headers: Mapping[str, str]) -> str | None:
    """What the request shows; "" when it shows something that can be nothing."""
    written = headers.get("authorization")
    if written is not None:
        scheme, _, rest = written.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""
    key = headers.get("x-api-key")
    return None if key is None else key.strip()
