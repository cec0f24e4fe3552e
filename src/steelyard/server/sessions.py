"""Sessions of the page: a signed cookie that remembers a key's id, and tokens that keep other sites from pressing its buttons."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from time import time

from steelyard.registry.keys import private_folder
from steelyard.schema.errors import ForbiddenError

COOKIE = "steelyard_session"

SECRET_BYTES = 32

CSRF_FIELD = "csrf"
"""The form field that carries the token, and with `x-` before and `-token` behind it the header."""

CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One visitor of the page. `key_id` None: not signed in, but their forms are protected already. `expires` is Unix time."""

    id: str
    key_id: str | None
    expires: int


class Sessions:
    """Makes and reads the cookie; nothing is stored, so every worker and every restart knows every session.

    A session counts as long as its key does: who revokes a key ends its sessions with the next request. The secret that signs is
    made once and readable to its owner only; deleting it ends every session.
    """

    def __init__(self, secret_file: Path, hours: float, clock: Callable[[], float] = time) -> None:
        self._file = secret_file
        self._seconds = int(hours * 3600)
        self._clock = clock
        self._secret: bytes | None = None

    def start(self, key_id: str | None = None) -> Session:
        """A new session; also at sign-in, so that an id that was planted before is worth nothing."""
        return Session(id=secrets.token_hex(16), key_id=key_id, expires=int(self._clock()) + self._seconds)

    def read(self, headers: Mapping[str, str]) -> Session | None:
        """The session of a request's cookie; None when there is none, it was tampered with or has ended."""
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return None
        if COOKIE not in jar:
            return None
        body, _, seal = jar[COOKIE].value.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal("session", body).encode()):
            return None
        try:
            raw = json.loads(base64.urlsafe_b64decode(body))
            found = Session(id=raw["id"], key_id=raw["key"], expires=raw["exp"])
        except (ValueError, KeyError, TypeError):
            return None
        return found if found.expires > self._clock() else None

    def cookie(self, session: Session, *, secure: bool) -> str:
        """The value of a `Set-Cookie` header: no script reads it, no other site sends it with a form; `secure` over https."""
        raw = {"id": session.id, "key": session.key_id, "exp": session.expires}
        body = base64.urlsafe_b64encode(json.dumps(raw, separators=(",", ":")).encode()).decode()
        left = max(0, session.expires - int(self._clock()))
        more = "; Secure" if secure else ""
        value = f"{body}.{self._seal('session', body)}"
        return f"{COOKIE}={value}; Path=/; Max-Age={left}; HttpOnly; SameSite=Lax{more}"

    @staticmethod
    def farewell() -> str:
        """The value of a `Set-Cookie` header that signs out."""
        return f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"

    def csrf(self, session: Session) -> str:
        """What a form of this session carries in its field `csrf`, and a script in the header `x-csrf-token`."""
        return self._seal("csrf", session.id)

    def check_csrf(self, session: Session | None, token: str | None, headers: Mapping[str, str]) -> None:
        """Nothing, when a changing request comes from a form that this server made for this session.

        Raises:
            ForbiddenError: the token is missing or another's, or the browser says that another site sent it.
        """
        foreign = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        shown = (token or "").encode("utf-8", "replace")
        if foreign or session is None or not hmac.compare_digest(shown, self.csrf(session).encode()):
            raise ForbiddenError(
                "the form was not made for this session.",
                remedy="Load the page again and repeat what you did.",
                code="identity.csrf",
            )

    def _seal(self, purpose: str, text: str) -> str:
        return hmac.new(self._key(), f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        if self._secret is None:
            self._secret = _kept_secret(self._file)
        return self._secret


def _kept_secret(path: Path) -> bytes:
    """The secret in a file, made when it is missing; whoever comes second takes what the first one made."""
    private_folder(path.parent)
    made = secrets.token_bytes(SECRET_BYTES)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(made)
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_bytes()
