"""Templates to answers: one strict policy for every page, one session for every visitor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from steelyard.decision import wording
from steelyard.schema.callers import ASK, OPERATE, Caller
from steelyard.schema.errors import ForbiddenError, IdentityError, SteelyardError
from steelyard.server.callers import STATE
from steelyard.server.failures import status_of
from steelyard.server.sessions import Session
from steelyard.version import __version__

if TYPE_CHECKING:
    from starlette.types import Scope

    from steelyard.server.site import Site

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from outside, and nothing inline: what a document says can be no script and no style."""

ROOMS: Mapping[str, str] = {
    "decision": OPERATE,
    "ask": ASK,
    "corpus": OPERATE,
    "models": OPERATE,
    "quality": OPERATE,
    "audit": OPERATE,
}
"""The rooms in the order of the bar, with the role that each asks for."""

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "steelyard_theme"

API_PATHS = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Paths whose errors stay JSON whoever asks."""


class Pages:
    """Renders the page of one site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def show(self, request: HTTPConnection, template: str, *, room: str, status: int = 200, **more: Any) -> Response:
        """A whole page; a visitor without a session gets one, so that their forms are protected from the first on."""
        sessions = self.site.identity.sessions
        session = sessions.read(request.headers)
        fresh = session is None
        session = session or sessions.start()
        who = self.who(request, session)
        html = _template(template).render(
            room=room,
            rooms=[name for name, role in ROOMS.items() if who is not None and who.may(role)],
            workspace=self.site.settings.workspace.name,
            who=who,
            csrf=sessions.csrf(session),
            theme=theme_of(request),
            here=_here(request),
            version=__version__,
            w=wording,
            moment=moment,
            notice=more.pop("notice", None),
            **more,
        )
        answer = HTMLResponse(html, status_code=status, headers=page_headers())
        if fresh:
            answer.headers.append("set-cookie", sessions.cookie(session, secure=_is_secure(request)))
        return answer

    def fragment(self, template: str, **more: Any) -> Response:
        """A part of a page, for a script that puts it in its place."""
        html = _template(template).render(w=wording, moment=moment, **more)
        return HTMLResponse(html, headers=page_headers())

    def who(self, request: HTTPConnection, session: Session | None) -> Caller | None:
        """Who the door let in; on open pages who is signed in, if anybody is."""
        found = getattr(request.state, STATE, None)
        if isinstance(found, Caller):
            return found
        return self.site.identity.of_session(session)

    def failure(self, error: SteelyardError, scope: Scope) -> Response | None:
        """An error as a page, or the way to the sign-in; None where the caller is no browser on a page."""
        request = HTTPConnection(scope)
        if "text/html" not in request.headers.get("accept", "") or request.url.path.startswith(API_PATHS):
            return None
        if isinstance(error, IdentityError) or (isinstance(error, ForbiddenError) and self._is_stranger(request)):
            return RedirectResponse(f"/sign-in?next={quote(_here(request))}", status_code=303)
        status = status_of(error)
        broken = status >= 500 and getattr(error, "status", None) is None
        return self.show(
            request,
            "failure.html.j2",
            room="failure",
            status=status,
            number=status,
            title=TITLES.get(status, "That did not work"),
            code=error.code,
            message="The server could not answer this request." if broken else wording.capitalised(error.message),
            remedy="The operator finds the reason in the server's log." if broken else error.remedy,
        )

    def _is_stranger(self, request: HTTPConnection) -> bool:
        """Whether a page was asked for by somebody who shows nothing: a key may open to them what is closed to the public."""
        session = self.site.identity.sessions.read(request.headers)
        shows = "authorization" in request.headers or "x-api-key" in request.headers
        return request.scope["method"] == "GET" and not shows and self.site.identity.of_session(session) is None


TITLES: Mapping[int, str] = {
    403: "That is not yours to do",
    404: "There is nothing here",
    413: "That is too much at once",
    429: "A little slower",
    503: "Too busy just now",
    504: "That took too long",
}


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a submitted form; the last of several with one name."""
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200))


def page_headers() -> dict[str, str]:
    """The policy, and that nothing is kept on the way."""
    return {"content-security-policy": POLICY, "cache-control": "no-store"}


def theme_of(request: HTTPConnection) -> str:
    """The appearance that the visitor chose; `auto` follows the system."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def own_path(path: str) -> str:
    """A path of this site to go on to; anything that could lead elsewhere becomes the start.

    >>> own_path("/ask?q=1"), own_path("//evil.example"), own_path("https://evil.example")
    ('/ask?q=1', '/', '/')
    """
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else "/"


def moment(text: str | datetime, *, day: bool = False) -> str:
    """A time as a reader says it, UTC.

    >>> moment("2026-11-22T16:41:08+00:00"), moment("2026-11-22T16:41:08+00:00", day=True)
    ('22 Nov 2026, 16:41 UTC', '22 Nov 2026')
    """
    try:
        at = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return str(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    date = f"{at.day} {at:%b %Y}"
    return date if day else f"{date}, {at:%H:%M} UTC"


def ticked(text: str) -> Any:
    """A sentence with what stands between backticks as code; everything is escaped.

    >>> str(ticked("Run `steelyard weigh` & wait."))
    'Run <code>steelyard weigh</code> &amp; wait.'
    """
    from markupsafe import Markup, escape

    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    made = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    return Markup("").join(made)


def _here(request: HTTPConnection) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query and request.scope.get("method", "GET") == "GET" else "")


def _is_secure(request: HTTPConnection) -> bool:
    return request.url.scheme == "https"


def _template(name: str) -> Any:
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("steelyard.server.pages"),
        autoescape=True,  # documents are data: whatever comes from them is escaped
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["ticked"] = ticked
    return made
