"""The fast access tests of the doors: callers, keys, sessions, tokens, and the routes of a small workspace that is really served."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

from steelyard.config import JwtSettings, ServeSettings
from steelyard.config.tree import ScopeSettings
from steelyard.metrics.answers import leaks
from steelyard.registry.keys import Keys
from steelyard.schema.callers import ApiKey, Caller
from steelyard.schema.corpus import Citation, Hit
from steelyard.schema.errors import SteelyardError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output
from steelyard.schema.scope import Access, Scope
from steelyard.server.access_matrix import role_of
from steelyard.server.callers import asked_scope
from steelyard.server.identity import Identity
from steelyard.server.sessions import CSRF_HEADER, Sessions
from steelyard.server.tokens import Tokens
from steelyard.stores import conformance
from steelyard.workspace import Workspace


def refused(call: Callable[[], Any]) -> str:
    """The code that a call is refused with; "" when it is not."""
    try:
        call()
    except SteelyardError as error:
        return error.code
    return ""


def callers(folder: Path) -> None:
    """Roles, and whose documents an operator may look at."""
    asker = Caller(scope=Scope(user="ada"), key_id="k1", name="ada", roles=frozenset({"ask"}))
    lead = Caller(scope=Scope(user="bo"), key_id="k2", name="bo", roles=frozenset({"ask", "operate"}))
    assert [asker.may("ask"), asker.may("operate"), lead.may("operate")] == [True, False, True]
    assert asked_scope(asker, None, None) == Scope(user="ada")
    assert asked_scope(lead, "eve", ("staff",)) == Scope(user="eve", groups=frozenset({"staff"}))
    assert asked_scope(lead, None, ("staff",)) == Scope(groups=frozenset({"staff"}))
    assert asked_scope(lead, "eve", None) == Scope(user="eve")
    for user, groups in (("eve", None), (None, ("staff",)), (None, ()), ("ada", ())):
        assert refused(lambda user=user, groups=groups: asked_scope(asker, user, groups)) == "server.forbidden"
    assert [role_of("GET", "/audit"), role_of("HEAD", "/audit"), role_of("POST", "/api/ask")] == [
        "operate",
        "operate",
        "ask",
    ]
    assert refused(lambda: role_of("GET", "/none")) == "server.route_without_row"
    key = ApiKey(id="k", name="k", user=None, groups=(), roles=(), created="2026", by="me", expires="2026-06")
    assert [key.state(now) for now in ("2026-05", "2026-06", "2026-07")] == ["active", "expired", "expired"]
    assert replace(key, expires=None).state("2027") == "active"
    assert replace(key, expires=None, revoked="2026").state("2025") == "revoked"


def leaked(folder: Path) -> None:
    """What `weigh` counts as shown to somebody who may not see it."""
    staff, eve = Scope(groups=frozenset({"staff"})), Scope(user="eve", groups=frozenset({"staff"}))
    rule = Access(allow=("staff",), deny=("user:eve",))
    opened, closed = conformance.passage("a", "refund"), conformance.passage("b", "refund", rule)
    quotes = tuple(
        Citation(document=f"docs/{name}.md", version="0" * 64, start=0, end=1, quote="r", heading=(), page=None)
        for name in "abx"
    )
    rules = {"docs/a.md": Access(allow=("everyone",)), "docs/b.md": rule}
    output = Output(
        text="a secret",
        hits=(Hit(passage=opened, score=1.0, copies=(closed,)), Hit(passage=closed, score=0.5)),
        citations=quotes,
    )
    asked = (Scope(), staff, eve)
    assert [leaks(output, asker) for asker in asked] == [2, 0, 2]
    assert [leaks(output, asker, lambda name, _: rules.get(name)) for asker in asked] == [4, 1, 4]
    hidden = Item(id="1", task="answer", text="?", answers=("secret",), answerable=False)
    assert [leaks(output, staff, None, one) for one in (hidden, replace(hidden, answerable=True))] == [1, 0]
    assert leaks(replace(output, text="nothing"), staff, None, hidden) == 0
    assert leaks(replace(output, abstained=True), staff, None, hidden) == 0


def keys(folder: Path) -> None:
    """A key counts until it is revoked or has expired, and only with its own secret."""
    made = Keys(folder / "keys.sqlite")
    one, token = made.create("one", user="ada", groups=["staff"], roles=["ask"])
    other, second = made.create("other", roles=["operate"])
    assert [made.identify(text).id for text in (token, second)] == [one.id, other.id]
    assert made.identify(token).caller().scope == Scope(user="ada", groups=frozenset({"staff"}))
    swapped = token.replace(one.id, other.id)
    for wrong in (token[:-1], token + "x", swapped, "", "sy_", "sk-none"):
        assert refused(lambda wrong=wrong: made.identify(wrong)) == "identity.unknown_key"
    assert (made.active(one.id) or other).id == one.id
    assert made.active("k0000000000") is None
    assert made.revoke(one.id).revoked is not None
    assert refused(lambda: made.revoke(one.id)) == "keys.revoked_before"
    assert refused(lambda: made.identify(token)) == "identity.revoked_key"
    assert made.active(one.id) is None
    assert made.identify(second).id == other.id
    assert refused(lambda: made.rotate(one.id, overlap=timedelta(1))) == "keys.not_active"
    _, early, again = made.rotate(other.id, overlap=timedelta(days=1), expires=timedelta(days=9))
    assert made.identify(second).id == early.id
    assert refused(lambda: made.rotate(early.id, overlap=timedelta(1))) == "keys.not_active"
    second, other = again, made.identify(again)
    assert other.expires is not None
    assert made.identify(made.rotate(other.id, overlap=timedelta(days=1))[2]).expires is not None
    other, second = made.create("late", roles=["operate"])
    _, old, third = made.rotate(other.id, overlap=timedelta(0))
    assert made.identify(third).expires is None
    assert made.verify().whole
    assert refused(lambda: made.identify(second)) == "identity.expired_key"
    assert made.active(old.id) is None
    assert made.identify(third).roles == ("operate",)
    assert refused(lambda: made.rotate(old.id, overlap=timedelta(1))) == "keys.not_active"
    assert refused(lambda: made.create("bad", groups=["user:ada"])) == "keys.bad_group"
    assert refused(lambda: made.create("bad", groups=[" "])) == "keys.bad_group"
    assert refused(lambda: made.create("bad", roles=["root"])) == "keys.bad_role"
    assert refused(lambda: made.create("bad", roles=[])) == "keys.no_role"


def sessions(folder: Path) -> None:
    """Who shows nothing is nobody, or the public where one is named; a cookie counts while its key and its seal do."""
    now = [1_000.0]
    kept = Keys(folder / "keys.sqlite")
    made = Sessions(folder / "private" / "session.key", 1.0, clock=lambda: now[0])
    one, token = kept.create("one", user="ada", roles=["ask"])
    public = ServeSettings(anonymous="public", scopes={"public": ScopeSettings(user=None, groups=("visitors",))})
    closed, opened = (Identity(folder, settings, kept, made) for settings in (ServeSettings(), public))
    assert refused(lambda: closed.identify({})) == "identity.none"
    stranger = opened.identify({}, client="1.2.3.4")
    assert (stranger.scope, stranger.roles) == (Scope(groups=frozenset({"visitors"})), frozenset({"ask"}))
    for identity in (closed, opened):
        for headers in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}):
            assert identity.identify(headers).scope == Scope(user="ada")
        # What is shown and does not count is never taken for nobody.
        for headers in ({"authorization": token}, {"authorization": ""}, {"x-api-key": ""}, {"x-api-key": "sy_x"}):
            assert refused(lambda identity=identity, headers=headers: identity.identify(headers)).startswith(
                "identity."
            )
    tokens = Identity(folder, ServeSettings(jwt=JwtSettings(issuer="i", audience="a", jwks="keys.json")), kept, made)
    dotted = {"authorization": "Bearer a.b.c"}
    assert [refused(lambda one=one: one.identify(dotted)) for one in (closed, tokens)] == [
        "identity.unknown_key",
        "identity.bad_token",
    ]
    assert tokens.identify({"x-api-key": token}).scope == Scope(user="ada")
    session, caller = closed.sign_in(token)
    assert caller.scope == Scope(user="ada")
    cookie = {"cookie": made.cookie(session, secure=False).partition(";")[0]}
    assert made.read(cookie) == session
    assert closed.identify(cookie).scope == Scope(user="ada")
    assert refused(lambda: closed.identify(cookie, method="post")) == "identity.csrf"
    assert closed.identify({**cookie, CSRF_HEADER: made.csrf(session)}, method="POST").scope == Scope(user="ada")
    assert closed.identify(cookie, method="POST", csrf=made.csrf(session)).scope == Scope(user="ada")
    other = made.start(one.id)
    foreign = {**cookie, CSRF_HEADER: made.csrf(session), "sec-fetch-site": "cross-site"}
    for headers in ({**cookie, CSRF_HEADER: made.csrf(other)}, foreign):
        assert refused(lambda headers=headers: closed.identify(headers, method="POST")) == "identity.csrf"
    assert refused(lambda: made.check_csrf(None, made.csrf(session), {})) == "identity.csrf"
    body, _, seal = cookie["cookie"].partition("=")[2].partition(".")
    for wrong in (f"{body}.{'0' * len(seal)}", f"{body}", f"x{body}.{seal}", ""):
        assert made.read({"cookie": f"steelyard_session={wrong}"}) is None
    assert made.read({}) is None
    assert made.read({"cookie": made.cookie(made.start(), secure=True).partition(";")[0]}) is not None
    assert closed.of_session(made.start()) is None
    assert closed.of_session(None) is None
    now[0] += 3_600.0
    assert made.read(cookie) is None
    now[0] -= 1.0
    assert made.read(cookie) == session
    kept.revoke(one.id)
    assert refused(lambda: closed.identify(cookie)) == "identity.none"
    assert opened.identify(cookie).scope == stranger.scope


def claims(folder: Path) -> None:
    """What a provider's token says of its bearer, and what it cannot say."""

    def told(said: dict[str, Any], **settings: Any) -> Caller:
        return Tokens(JwtSettings(issuer="i", audience="a", jwks="keys.json", **settings), folder)._caller(said)

    plain = told({"sub": " ada ", "groups": ["eng", "user:eve", ""]})
    assert plain.scope == Scope(user="ada", groups=frozenset({"eng"}))
    assert (plain.roles, plain.name, plain.key_id) == (frozenset({"ask"}), " ada ", "jwt:ada")
    names = {"name": "Ada L.", "preferred_username": "al"}
    assert [told({"sub": "ada", **said}).name for said in (names, {"preferred_username": "al"})] == ["Ada L.", "al"]
    sourced = told({"sub": "ada", "groups": ["eng", "user:eve"]}, group_source="okta")
    assert sourced.scope.groups == frozenset({"okta:eng", "okta:user:eve"})
    for nobody in ({}, {"sub": " "}, {"sub": 3}, {"sub": "a\x1bb"}):
        assert refused(lambda nobody=nobody: told(nobody)) == "identity.bad_token"
    named = {"roles": {"boss": "operate"}}
    assert told({"sub": "ada", "roles": ["boss", "clerk"]}, **named).roles == frozenset({"operate"})
    assert told({"sub": "ada", "roles": ["clerk"]}, **named).roles == frozenset()


SETTINGS = """
[workspace]
name = "doors"
[models]
encoder = "fake"
[[sources]]
path = "docs"
allow = ["everyone"]
[[sources]]
path = "vault"
allow = ["staff"]
[[sources]]
path = "own"
allow = ["user:bo"]
[serve]
requests_per_minute = 0
"""


@dataclass(frozen=True)
class Served:
    """A small workspace that is served, and a key of each kind."""

    client: TestClient
    keys: dict[str, str]
    hidden: dict[str, str]
    opened_by_bo: dict[str, str]

    def call(self, kind: str | None, method: str, path: str, **more: Any) -> Any:
        """One request with a key of this kind."""
        shown = {"Authorization": f"Bearer {self.keys[kind]}"} if kind else {}
        return self.client.request(method, path, headers=shown, **more)


@lru_cache(maxsize=1)
def served() -> Served:
    """The workspace, served once for all checks until the tests end: no check changes its documents or keys."""
    from steelyard.server.app import make_app

    folder = Path(tempfile.mkdtemp(prefix="doors-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    texts = {
        "docs/open.md": "The lantern is open.",
        "vault/closed.md": "The lantern is closed.",
        "own/bo.md": "Only for one.",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    (folder / "steelyard.toml").write_text(SETTINGS)
    Workspace(folder).ingest()
    app = make_app(folder)
    client = TestClient(app, raise_server_exceptions=False)
    client.__enter__()
    atexit.register(client.__exit__, None, None, None)
    made = app.state.site.identity.keys
    tokens = {
        "asker": made.create("asker", user="ada")[1],
        "staff": made.create("staff", user="dee", groups=["staff"])[1],
        "operator": made.create("operator", roles=["operate"])[1],
        "lead": made.create("lead", user="cy", roles=["ask", "operate"])[1],
    }
    library = app.state.site.running.parts.toolbox.library
    held = {one.document: {"document": one.document, "version": one.version} for one in library.versions(1)}
    return Served(client, tokens, held["vault/closed.md"], held["own/bo.md"])


def searched(folder: Path) -> None:
    """A search finds what its caller may see; only operators ask as somebody else."""
    one = served()

    def found(kind: str, **more: Any) -> list[str]:
        answer = one.call(kind, "POST", "/api/search", json={"query": "lantern", **more})
        return sorted(hit["document"] for hit in answer.json()["hits"]) if answer.status_code == 200 else []

    assert found("asker") == ["docs/open.md"]
    assert found("staff") == ["docs/open.md", "vault/closed.md"]
    assert found("lead", asker={"groups": ["staff"]}) == ["docs/open.md", "vault/closed.md"]
    assert found("staff", asker={"user": "ada"}) == []


def let_in(folder: Path) -> None:
    """A route is reached by who has its role, and by nobody without a key unless it is open."""
    one = served()
    calls = {(None, "/api/source"): 401, ("asker", "/metrics"): 403, ("operator", "/ask"): 403, (None, "/healthz"): 200}
    assert {key: one.call(key[0], "GET", key[1]).status_code for key in calls} == calls
    assert one.call("operator", "GET", "/metrics").status_code == 200


def opened(folder: Path) -> None:
    """A source opens for who may see it, over the API and on the page."""
    one = served()
    for path in ("/api/source", "/source"):
        read = {kind: one.call(kind, "GET", path, params=one.hidden).status_code for kind in ("asker", "staff")}
        assert read == {"asker": 404, "staff": 200}, path
    as_staff = {**one.hidden, "asker": "other", "groups": "staff"}
    seen = {kind: one.call(kind, "GET", "/source", params=as_staff).status_code for kind in ("asker", "lead")}
    assert seen == {"asker": 403, "lead": 200}
    as_bo = {**one.opened_by_bo, "asker": "other", "user": "bo"}
    assert one.call("lead", "GET", "/source", params=as_bo).status_code == 200
    assert one.call("lead", "GET", "/source", params={**as_bo, "user": ""}).status_code == 404


def verdicts(folder: Path) -> None:
    """Feedback is taken on an answer of one's own, or from operators; another's answer looks like none."""
    one = served()
    trace = one.call("staff", "POST", "/api/search", json={"query": "lantern"}).json()["trace_id"]
    told = {"trace_id": trace, "verdict": "right"}
    given = [one.call(kind, "POST", "/api/feedback", json=told).status_code for kind in ("asker", "staff", "lead")]
    assert given == [404, 201, 201]
    none = one.call("asker", "POST", "/api/feedback", json={**told, "trace_id": "0" * 31})
    assert none.json() == one.call("asker", "POST", "/api/feedback", json=told).json()


def verdicts_on_the_page(folder: Path) -> None:
    """The same with the page's form."""
    one = served()
    trace = one.call("staff", "POST", "/api/search", json={"query": "lantern"}).json()["trace_id"]

    def code(kind: str, request: str) -> int:
        form = {"request": request, "verdict": "right"}
        answer = one.call(kind, "POST", "/ask/feedback", data=form, follow_redirects=False)
        return int(answer.status_code)

    assert [code(kind, trace) for kind in ("asker", "staff", "lead")] == [404, 303, 303]
    assert [code("staff", trace[:20]), code("staff", "0" * 32)] == [404, 404]


def tries(folder: Path) -> None:
    """Questions of the team are offered to operators only."""
    from steelyard.server.pages import ask_room

    asked: list[str] = []
    part = SimpleNamespace(train=[SimpleNamespace(text="Who was dismissed?", answerable=True)])
    examples = SimpleNamespace(split=lambda name: asked.append(name) or part)
    site = SimpleNamespace(
        running=SimpleNamespace(parts=SimpleNamespace(examples=examples)),
        settings=SimpleNamespace(components={"a": SimpleNamespace(task="answer")}),
    )
    asker, lead = (
        Caller(scope=Scope(), key_id="k", name="n", roles=frozenset(roles)) for roles in ({"ask"}, {"ask", "operate"})
    )
    assert ask_room.tries(site, asker) == []
    assert ask_room.tries(site, lead) == ["Who was dismissed?"]


DOOR_CHECKS = {
    "schema.callers": [callers],
    "server.callers": [callers],
    "server.access_matrix": [callers],
    "server.pages.ask_room": [tries, opened],
    "metrics.answers": [leaked],
    "registry.keys": [keys],
    "server.identity": [sessions],
    "server.sessions": [sessions],
    "server.tokens": [claims],
    "server.door": [let_in],
    "server.routes_parts": [searched],
    "server.routes_feedback": [verdicts],
    "server.pages.ask_routes": [verdicts_on_the_page],
}
"""The checks by the part of the package that they look at first."""
