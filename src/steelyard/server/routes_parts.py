"""The pipeline and its parts over HTTP: respond, ask, route, write, search, and the sources of what was cited."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request as HTTPRequest

from steelyard.schema.callers import ASK
from steelyard.schema.errors import NotFoundError
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
from steelyard.server import shown
from steelyard.server.bodies import (
    MAX_TEXT,
    AskAnswer,
    AskBody,
    Asker,
    RespondAnswer,
    RespondBody,
    RouteAnswer,
    RouteBody,
    SearchAnswer,
    SearchBody,
    Source,
    WriteAnswer,
    WriteBody,
    moment_of,
)
from steelyard.server.callers import asked_scope, caller
from steelyard.server.documented import body_errors, errors

if TYPE_CHECKING:
    from steelyard.schema.serving import Served
    from steelyard.server.site import Site
    from steelyard.serving.pipeline import Pipeline

DocumentName = Annotated[str, Query(min_length=1, max_length=1000, description="The document's name.")]
VersionHash = Annotated[str, Query(pattern="^[0-9a-f]{64}$", description="The version's SHA-256.")]
Offset = Annotated[int | None, Query(ge=0, le=1_000_000_000)]


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes."""
    _add_pipeline(app, site)
    _add_parts(app, site)
    _add_search(app, site)
    _add_source(app, site)


def _scope(request: HTTPRequest, asker: Asker | None) -> Scope:
    who = caller(request)
    return asked_scope(who, asker.user, tuple(asker.groups)) if asker is not None else who.scope


def _line_of_then(site: Site, line: Pipeline, body: AskBody, at: datetime | None) -> Pipeline:
    """The pipeline on the generation that a question names; the one in force when it names none.

    Raises:
        NotFoundError: there is no such generation, or the moment that it names as well had another one.
    """
    if at is None:
        return line if body.generation is None else site.running.at(line, body.generation)
    found = site.running.parts.toolbox.library.generation_at(at).number
    if body.generation not in (None, found):
        raise NotFoundError(
            f"generation {body.generation} did not answer at that moment.",
            remedy=f"Generation {found} did: give `as_of` or `generation`.",
            code="ask.two_times",
        )
    return site.running.at(line, found)


def _add_pipeline(app: FastAPI, site: Site) -> None:
    @app.post(
        "/api/respond",
        tags=["pipeline"],
        summary="Reply to a message",
        response_model=RespondAnswer,
        responses=body_errors(404, role=ASK),
    )
    async def respond(body: RespondBody, request: HTTPRequest) -> JSONResponse:
        """Route a message, look its answer up among what the asker may see, and write the reply in the house's words."""
        scope = _scope(request, body.asker)
        message = Request(text=body.text, slots=body.slots)
        served = await site.answer(
            caller(request), scope, body.text, lambda line: line.respond(message, scope), kind="respond"
        )
        return JSONResponse(shown.responded(served))


def _add_parts(app: FastAPI, site: Site) -> None:
    @app.post(
        "/api/ask",
        tags=["parts"],
        summary="Ask the documents",
        response_model=AskAnswer,
        responses=body_errors(404, role=ASK),
    )
    async def ask(body: AskBody, request: HTTPRequest) -> JSONResponse:
        """One answer quoted from the documents the asker may see, with citations, or none.

        Of the past, when `as_of` or `generation` says so: the documents are those of then, and who may see them is decided by the rules of
        now.
        """
        scope, at = _scope(request, body.asker), moment_of(body.as_of)

        def make(line: Pipeline) -> Served:
            then = _line_of_then(site, line, body, at)
            return then.ask(body.question, scope, component=body.component, at=at)

        return JSONResponse(
            shown.asked(await site.answer(caller(request), scope, body.question, make, kind="ask", as_of=at))
        )

    @app.post(
        "/api/route",
        tags=["parts"],
        summary="Classify a message",
        response_model=RouteAnswer,
        responses=body_errors(404, role=ASK),
    )
    async def route(body: RouteBody, request: HTTPRequest) -> JSONResponse:
        """The intent of a message with its calibrated probability, and whether it is out of scope."""
        who = caller(request)
        served = await site.answer(
            who, who.scope, body.text, lambda line: line.route(body.text, component=body.component), kind="route"
        )
        return JSONResponse(shown.routed(served))

    @app.post(
        "/api/write",
        tags=["parts"],
        summary="Write a reply",
        response_model=WriteAnswer,
        responses=body_errors(404, role=ASK),
    )
    async def write(body: WriteBody, request: HTTPRequest) -> JSONResponse:
        """An approved reply with the slots filled in verbatim."""
        who = caller(request)
        message = Request(text=body.text, slots=body.slots, label=body.label)
        served = await site.answer(
            who, who.scope, body.text, lambda line: line.write(message, component=body.component), kind="write"
        )
        return JSONResponse(shown.written(served))


def _add_search(app: FastAPI, site: Site) -> None:
    @app.post(
        "/api/search",
        tags=["parts"],
        summary="Search the documents",
        response_model=SearchAnswer,
        responses=body_errors(role=ASK),
    )
    async def search(body: SearchBody, request: HTTPRequest) -> JSONResponse:
        """The best passages that the asker may see, best first."""
        scope = _scope(request, body.asker)
        served = await site.answer(
            caller(request),
            scope,
            body.query,
            lambda line: line.search(body.query, scope, body.k, mode=body.mode),
            kind=f"search {body.mode}",
        )
        return JSONResponse(shown.found(served))


def _add_source(app: FastAPI, site: Site) -> None:
    @app.get(
        "/api/source",
        tags=["parts"],
        summary="Open a cited document",
        response_model=Source,
        responses=errors(404, 422, 504, role=ASK),
    )
    async def source(
        request: HTTPRequest, document: DocumentName, version: VersionHash, start: Offset = None, end: Offset = None
    ) -> JSONResponse:
        """A stored version as it was cited, by the name and hash of a citation; `start` and `end` cut its text."""
        scope = caller(request).scope
        found = await site.work(lambda: site.running.parts.toolbox.library.read(document, version, scope))
        begin = min(start or 0, len(found.text))
        stop = min(len(found.text) if end is None else max(begin, end), len(found.text), begin + MAX_SOURCE)
        return JSONResponse(
            {
                "document": found.document,
                "version": found.version,
                "title": found.title,
                "media_type": found.media_type,
                "text": found.text[begin:stop],
                "start": begin,
                "end": stop,
                "valid_from": found.valid_from.isoformat(),
                "valid_to": found.valid_to.isoformat() if found.valid_to else None,
            }
        )


MAX_SOURCE = 50 * MAX_TEXT
"""Characters of a document that one request gives; the next part is asked for by `start`."""
