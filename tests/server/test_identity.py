"""Who a request is from: keys, tokens and sessions, and nobody without one."""

from __future__ import annotations

import os
import stat
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from steelyard.config import ScopeSettings, ServeSettings
from steelyard.registry.keys import Keys
from steelyard.schema.errors import ForbiddenError, IdentityError
from steelyard.server.identity import Identity
from steelyard.server.sessions import COOKIE, CSRF_HEADER, Session, Sessions

CLOSED = ServeSettings()
PUBLIC = ServeSettings(anonymous="public", scopes={"public": ScopeSettings(groups=("guests",))})


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(tmp_path: Path, clock: Clock):
    keys = Keys(tmp_path / "private" / "keys.sqlite", "ada")
    sessions = Sessions(tmp_path / "private" / "session.key", 12.0, clock)

    def credentials(settings: ServeSettings = CLOSED) -> Identity:
        return Identity(tmp_path, settings, keys, sessions)

    return credentials


def cookie_of(credentials: Identity, session: Session, *, secure: bool = False) -> dict[str, str]:
    jar = SimpleCookie(credentials.sessions.cookie(session, secure=secure))
    return {"cookie": f"other=1; {COOKIE}={jar[COOKIE].value}"}


def code_of(call) -> str:
    with pytest.raises((IdentityError, ForbiddenError)) as caught:
        call()
    return caught.value.code


def test_a_request_without_a_name_gets_nothing_unless_a_scope_is_configured_for_it(made) -> None:
    assert code_of(lambda: made().identify({})) == "identity.none"
    caller = made(PUBLIC).identify({}, client="10.0.0.7")
    assert (caller.scope.user, caller.scope.groups, caller.roles) == (None, {"guests"}, {"ask"})
    assert caller.key_id == "anonymous:10.0.0.7"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YWRhOmFkYQ=="},
        {"authorization": ""},
        {"x-api-key": ""},
        {"authorization": "Bearer a.b.c"},
    ],
)
def test_what_does_not_count_is_never_answered_as_anonymous(made, headers) -> None:
    assert code_of(lambda: made(PUBLIC).identify(headers)) == "identity.unknown_key"


def test_a_key_counts_in_either_header(made) -> None:
    credentials = made()
    key, token = credentials.keys.create("helpdesk", user="ada")
    for headers in ({"authorization": f"Bearer {token}"}, {"authorization": f"bearer  {token} "}, {"x-api-key": token}):
        assert credentials.identify(headers).key_id == key.id
    assert credentials.identify({"authorization": f"Bearer {token}"}, method="POST").key_id == key.id


def test_a_session_is_its_key_until_the_key_is_revoked(made) -> None:
    credentials = made()
    _, token = credentials.keys.create("ops", roles=["ask", "operate"])
    session, caller = credentials.sign_in(f" {token}\n")
    headers = cookie_of(credentials, session)
    assert credentials.identify(headers) == caller
    credentials.keys.revoke("ops")
    assert code_of(lambda: credentials.identify(headers)) == "identity.none"


def test_a_session_ends_after_its_hours(made, clock) -> None:
    credentials = made()
    session, _ = credentials.sign_in(credentials.keys.create("ops")[1])
    headers = cookie_of(credentials, session)
    clock.now += 12 * 3600 - 1
    credentials.identify(headers)
    clock.now += 2
    assert code_of(lambda: credentials.identify(headers)) == "identity.none"


def test_a_cookie_that_was_changed_is_nobody(made) -> None:
    credentials = made(PUBLIC)
    session, _ = credentials.sign_in(credentials.keys.create("ops", roles=["operate"])[1])
    value = cookie_of(credentials, session)["cookie"]
    for at in range(value.index("steelyard_session=") + 18, len(value), 7):
        changed = value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
        assert credentials.identify({"cookie": changed}).name == "public"
    for broken in ("steelyard_session=", "steelyard_session=.", "steelyard_session=e30=.x", "=;=;", "\x00"):
        assert credentials.identify({"cookie": broken}).name == "public"


def test_signing_in_gives_another_id_than_was_there_before(made) -> None:
    credentials = made()
    _, token = credentials.keys.create("ops")
    assert credentials.sign_in(token)[0].id != credentials.sign_in(token)[0].id


def test_a_change_through_a_cookie_needs_the_token_of_its_session(made) -> None:
    credentials = made()
    _, token = credentials.keys.create("ops", roles=["operate"])
    session, _ = credentials.sign_in(token)
    other, _ = credentials.sign_in(token)
    headers = cookie_of(credentials, session)
    own = credentials.sessions.csrf(session)
    for wrong in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: credentials.sessions.csrf(other)}, {CSRF_HEADER: "ä"}):
        assert code_of(lambda wrong=wrong: credentials.identify({**headers, **wrong}, method="POST")) == "identity.csrf"
    assert credentials.identify({**headers, CSRF_HEADER: own}, method="POST").name == "ops"
    assert credentials.identify(headers, method="POST", csrf=own).name == "ops"
    foreign = {**headers, CSRF_HEADER: own, "sec-fetch-site": "cross-site"}
    assert code_of(lambda: credentials.identify(foreign, method="DELETE")) == "identity.csrf"
    assert credentials.identify({**headers, "sec-fetch-site": "cross-site"}).name == "ops"  # a link from elsewhere


def test_a_form_can_be_protected_before_anybody_signed_in(made) -> None:
    sessions = made().sessions
    visitor = sessions.start()
    sessions.check_csrf(visitor, sessions.csrf(visitor), {})
    assert code_of(lambda: sessions.check_csrf(visitor, sessions.csrf(sessions.start()), {})) == "identity.csrf"
    assert code_of(lambda: sessions.check_csrf(None, sessions.csrf(visitor), {})) == "identity.csrf"
    assert made().of_session(visitor) is None


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(made) -> None:
    credentials = made()
    session = credentials.sessions.start()
    assert credentials.sessions.cookie(session, secure=True).endswith("HttpOnly; SameSite=Lax; Secure")
    assert "Secure" not in credentials.sessions.cookie(session, secure=False)
    assert "Max-Age=0" in credentials.sessions.farewell()


def test_every_worker_knows_the_sessions_of_every_other(tmp_path: Path) -> None:
    one = Sessions(tmp_path / "p" / "session.key", 1.0)
    other = Sessions(tmp_path / "p" / "session.key", 1.0)
    session = one.start("k0123456789")
    value = SimpleCookie(one.cookie(session, secure=False))[COOKIE].value
    assert other.read({"cookie": f"{COOKIE}={value}"}) == session
    assert [path.name for path in (tmp_path / "p").iterdir() if path.name.startswith("session")] == ["session.key"]
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "p" / "session.key").stat().st_mode) == 0o600
