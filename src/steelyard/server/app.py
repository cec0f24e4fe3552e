"""The application: all routes over one site, behind the door."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from steelyard.schema.errors import SteelyardError
from steelyard.server import (
    routes_chat,
    routes_decision,
    routes_feedback,
    routes_health,
    routes_metrics,
    routes_pages,
    routes_parts,
)
from steelyard.server.access_matrix import check_rows
from steelyard.server.door import Door
from steelyard.server.failures import OPENAI_PATHS, RefusedError
from steelyard.server.site import Site
from steelyard.version import __version__

FOLDER_VARIABLE = "STEELYARD_SERVE_FOLDER"
"""How `serve` tells its worker processes which workspace they serve."""

WORKERS_VARIABLE = "STEELYARD_SERVE_WORKERS"
"""How many of them there are."""

ROOMS = (
    routes_parts,
    routes_chat,
    routes_health,
    routes_pages,
    routes_decision,
    routes_feedback,
    routes_metrics,
)
"""Groups of routes; each has `add_routes(app, site)`. A request is compared with one route after the other: those asked most come first."""

ABOUT = """One endpoint for a pipeline of measured parts: the router picks the intent, retrieval answers with citations what the asker
may see, the writer puts it in the house's words. Every answer names the versions that made it."""


def make_app(folder: Path | str, *, workers: int = 1) -> FastAPI:
    """The application of the workspace at `folder`; it loads the release in force when it starts.

    `workers` is how many processes share the machine. `app.state.site` is its `Site`.

    Raises:
        ConfigError: the folder holds no workspace, or its settings are wrong.
        BrokenError: a route has no row in the access matrix.
    """
    site = Site(Path(folder), workers=workers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(site.open)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(site.close)

    app = FastAPI(
        title="Steelyard",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from another host
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    app.state.site = site
    for room in ROOMS:
        room.add_routes(app, site)
    site.routes = app.routes
    check_rows(app.routes)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _unreadable)
    app.add_exception_handler(SteelyardError, _pass_on)
    _correct_document(app)
    app.add_middleware(Door, site=site, routes=app.routes)
    return app


def app_of_environment() -> FastAPI:
    """`make_app` of the folder that the environment names: what a worker process of `serve` calls."""
    return make_app(os.environ[FOLDER_VARIABLE], workers=int(os.environ.get(WORKERS_VARIABLE, "1")))


def _correct_document(app: FastAPI) -> None:
    """Take out of the document what FastAPI adds by itself and no route ever answers: its own form of 422, and any 422 under /v1/."""
    made = app.openapi

    def corrected() -> dict[str, Any]:
        document = made()
        for path, methods in document["paths"].items():
            for route in methods.values() if path.startswith(OPENAI_PATHS) else ():
                route["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = corrected  # type: ignore[method-assign]


async def _malformed(request: Request, error: Exception) -> Any:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(one) for one in first["loc"] if one != "body") or "the body"
    openai = request.url.path.startswith(OPENAI_PATHS)
    refused = RefusedError(
        f"{place}: {first['msg']}.",
        status=400 if openai else 422,
        remedy="Correct it; /openapi.json says what each field takes.",
        code="server.malformed",
    )
    raise refused


async def _unreadable(_: Request, error: Exception) -> Any:
    assert isinstance(error, HTTPException)
    raise RefusedError(
        f"{error.detail}.",
        status=error.status_code,
        remedy="Send JSON in UTF-8, as /openapi.json describes it.",
        code="server.unreadable",
        headers=error.headers,
    )


async def _pass_on(_: Request, error: Exception) -> Any:
    # The door turns it into an answer: one place, one shape.
    raise error
