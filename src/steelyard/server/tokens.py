"""Tokens of an identity provider: signature, issuer, audience and clock checked, then claims become a caller."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from steelyard.config import JwtSettings
from steelyard.schema.callers import ASK, Caller
from steelyard.schema.errors import IdentityError, MissingExtraError, StoreError
from steelyard.schema.scope import USER_PREFIX, Scope, principal

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

PUBLIC_KINDS = ("RSA", "EC", "OKP")
"""Kinds of keys that can check a signature without being able to make one."""

FETCH_S = 5.0
"""How long the provider may take to hand out its keys."""

LARGEST_SET = 1_000_000
LONGEST_TOKEN = 16_384

STALE_S = 24 * 3600.0
"""How long keys that were read once go on counting while the provider cannot be reached."""


class KeySource:
    """The provider's public keys, read again when a token names one that is not known, but not more often than the settings say.

    A provider that cannot be reached is no reason to turn everybody away: keys that were read go on counting for STALE_S.
    """

    def __init__(self, settings: JwtSettings, folder: Path, clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._guard = threading.Lock()
        self._keys: KeySet | None = None
        self._read_at = 0.0
        self._tried_at: float | None = None

    def keys(self, kid: str | None) -> KeySet:
        """The keys to check a token with that names `kid`.

        Raises:
            StoreError: they were never read and cannot be.
        """
        with self._guard:
            now = self._clock()
            known = self._keys is not None and (kid is None or any(key.kid == kid for key in self._keys))
            age = now - self._read_at
            due = self._keys is None or not known or age > self._settings.keep_s
            rested = self._tried_at is None or now - self._tried_at >= self._settings.refetch_s
            if due and rested:
                self._tried_at = now
                try:
                    self._keys, self._read_at = _key_set(self._fetched()), now
                except (OSError, ValueError) as error:
                    if self._keys is None or age > STALE_S:
                        self._fail(error)
            if self._keys is None or self._clock() - self._read_at > max(STALE_S, self._settings.keep_s):
                self._fail(None)
            return self._keys

    def _fetched(self) -> bytes:
        place = self._settings.jwks
        if "://" not in place:
            return (self._folder / place).read_bytes()
        # No redirects: the address in the settings is the one that was checked for https.
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(place, timeout=FETCH_S) as answer:
            body: bytes = answer.read(LARGEST_SET + 1)
        if len(body) > LARGEST_SET:
            raise ValueError(f"more than {LARGEST_SET} bytes")
        return body

    def _fail(self, error: Exception | None) -> NoReturn:
        raise StoreError(
            f"the identity provider's keys cannot be read{f': {error}' if error else ''}.",
            where=self._settings.jwks,
            remedy="Check `jwks` under [serve.jwt] and that the provider can be reached; API keys go on working.",
            code="identity.no_jwks",
        ) from error


class Tokens:
    """Checks tokens and says who shows them."""

    def __init__(self, settings: JwtSettings, folder: Path, clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._source = KeySource(settings, folder, clock)

    def identify(self, token: str) -> Caller:
        """Who shows this token.

        Raises:
            IdentityError: the signature, the algorithm, the issuer, the audience, the time or a claim is not as the settings say.
            StoreError: the provider's keys cannot be read.
            MissingExtraError: the libraries that serve are not installed.
        """
        try:
            from joserfc import jwt
            from joserfc.errors import ExpiredTokenError, JoseError
            from joserfc.jws import extract_compact
        except ImportError as error:
            raise MissingExtraError(
                "tokens need the libraries that serve.", remedy="pip install 'steelyard[serve]'.", code="extra.serve"
            ) from error
        settings = self._settings
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise _refused("it is no token")
        try:
            kid = extract_compact(token.encode()).headers().get("kid")
            keys = self._source.keys(kid if isinstance(kid, str) else None)
            claims = jwt.decode(token, keys, algorithms=list(settings.algorithms)).claims
            jwt.JWTClaimsRegistry(
                leeway=int(settings.leeway_s),
                iss={"essential": True, "value": settings.issuer},
                aud={"essential": True, "value": settings.audience},
                exp={"essential": True},
            ).validate(claims)
        except ExpiredTokenError as error:
            raise IdentityError(
                "the token has expired.", remedy="Fetch a new one.", code="identity.expired_token"
            ) from error
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise _refused(str(error)[:120] or type(error).__name__) from error
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        user = claims.get(self._settings.user_claim)
        if not isinstance(user, str) or not user.strip() or not user.isprintable():
            raise _refused(f"the claim '{self._settings.user_claim}' names no user")
        scope = Scope(user=user.strip(), groups=frozenset(self._groups(claims)))
        name = claims.get("name") or claims.get("preferred_username") or user
        return Caller(scope=scope, key_id=f"jwt:{user.strip()}", name=str(name)[:100], roles=self._roles(claims))

    def _groups(self, claims: Mapping[str, Any]) -> list[str]:
        source = self._settings.group_source
        found = []
        for group in _texts(claims.get(self._settings.groups_claim)):
            # A group called `user:ada` would make somebody else of its member.
            name = principal(f"{source}:{group}" if source else group)
            if name is not None and not name.startswith(USER_PREFIX):
                found.append(name)
        return found

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        meaning = self._settings.roles
        if not meaning:
            return frozenset({ASK})
        return frozenset(meaning[role] for role in _texts(claims.get(self._settings.roles_claim)) if role in meaning)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _key_set(body: bytes) -> KeySet:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    raw = json.loads(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("keys"), list):
        raise ValueError("it is no set of keys")
    keys = []
    for one in raw["keys"]:
        # What encrypts, and what could sign, is left out; an unknown kind is not an error of the others (RFC 7517, section 5).
        if isinstance(one, dict) and one.get("kty") in PUBLIC_KINDS and one.get("use", "sig") == "sig":
            try:
                keys.append(JWKRegistry.import_key(one))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not keys:
        raise ValueError("it holds no public key that signs")
    return KeySet(keys)


def _texts(value: object) -> Sequence[str]:
    """A claim that lists names: a JSON array, or a text with spaces between them as `scope` is written."""
    if isinstance(value, str):
        return value.split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _refused(why: str) -> IdentityError:
    return IdentityError(
        f"the token does not count: {why}.",
        remedy="Fetch a new one from the provider that [serve.jwt] names.",
        code="identity.bad_token",
    )
