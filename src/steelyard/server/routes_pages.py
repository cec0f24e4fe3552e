"""The page over HTTP: its rooms, its forms, and the few files that it needs."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from steelyard.schema.errors import ForbiddenError, IdentityError, NotFoundError
from steelyard.server.pages.ask_routes import add_ask
from steelyard.server.pages.decision_routes import add_decision
from steelyard.server.pages.operating_routes import add_rooms
from steelyard.server.pages.rendering import ROOMS, THEME_COOKIE, THEMES, Pages, form_of, own_path

if TYPE_CHECKING:
    from steelyard.server.site import Site

MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FILES = ("page.css", "page.js", "mark.svg")
"""Everything that the page loads beside its HTML."""

YEAR_S = 31_536_000


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes of the page; what they show is not part of the API's description."""
    pages = Pages(site)
    site.page_failure = pages.failure
    _add_entrance(app, pages)
    _add_appearance(app, pages)
    _add_files(app)
    add_decision(app, pages)
    add_ask(app, pages)
    add_rooms(app, pages)


def _add_entrance(app: FastAPI, pages: Pages) -> None:
    identity = pages.site.identity

    @app.get("/", include_in_schema=False)
    async def start(request: Request) -> Response:
        """The first room that the visitor may enter."""
        try:
            who = await pages.site.identify(request)
        except (ForbiddenError, IdentityError):
            return RedirectResponse("/sign-in", status_code=303)
        room = next((name for name, role in ROOMS.items() if who.may(role)), None)
        return RedirectResponse(f"/{room}" if room else "/sign-in", status_code=303)

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in_form(request: Request) -> Response:
        """The form for a key."""
        return pages.show(request, "sign_in.html.j2", room="sign-in", next=_next(request), wrong=None)

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        """A key becomes a session."""
        form = await form_of(request)
        goal = own_path(form.get("next", "/"))
        try:
            identity.sessions.check_csrf(
                identity.sessions.read(request.headers), request.query_params.get("csrf"), request.headers
            )
            session, _ = await pages.site.work(lambda: identity.sign_in(form.get("key", "")))
        except (ForbiddenError, IdentityError) as error:
            wrong = f"{error.message[:1].upper()}{error.message[1:]}"
            if isinstance(error, ForbiddenError):
                wrong = "The form was too old. Try again."
            return pages.show(request, "sign_in.html.j2", room="sign-in", status=400, next=goal, wrong=wrong)
        answer = RedirectResponse(goal, status_code=303)
        secure = request.url.scheme == "https"
        answer.headers.append("set-cookie", identity.sessions.cookie(session, secure=secure))
        return answer

    @app.post("/sign-out", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        """The session ends in this browser, when it was this site's own button."""
        if not _is_own(pages, request, await form_of(request)):
            return RedirectResponse("/", status_code=303)
        answer = RedirectResponse("/sign-in", status_code=303)
        answer.headers.append("set-cookie", identity.sessions.farewell())
        return answer


def _add_appearance(app: FastAPI, pages: Pages) -> None:
    @app.post("/appearance", include_in_schema=False)
    async def appearance(request: Request) -> Response:
        """Light, dark, or as the system has it; kept in this browser."""
        form = await form_of(request)
        theme = form.get("theme", "auto")
        answer = RedirectResponse(own_path(form.get("next", "/")), status_code=303)
        if theme in THEMES and _is_own(pages, request, form):
            answer.set_cookie(
                THEME_COOKIE, theme, max_age=YEAR_S, samesite="lax", secure=request.url.scheme == "https", path="/"
            )
        return answer


def _add_files(app: FastAPI) -> None:
    @app.get("/page/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        """One of the page's own files."""
        if name not in FILES:
            raise NotFoundError("the page has no such file.", remedy="Go to the start.", code="page.no_file")
        kind = MEDIA_TYPES[name.rpartition(".")[2]]
        # An address carries the version, so that a browser may keep the file.
        return Response(_packaged(name), media_type=kind, headers={"cache-control": "public, max-age=86400"})


@lru_cache(maxsize=len(FILES))
def _packaged(name: str) -> bytes:
    return (resources.files("steelyard.server.pages") / "static" / name).read_bytes()


def _is_own(pages: Pages, request: Request, form: dict[str, str]) -> bool:
    """Whether a form was made by this site for this session."""
    sessions = pages.site.identity.sessions
    token = form.get("csrf") or request.query_params.get("csrf")
    try:
        sessions.check_csrf(sessions.read(request.headers), token, request.headers)
    except ForbiddenError:
        return False
    return True


def _next(request: Request) -> str:
    return own_path(request.query_params.get("next", "/"))
