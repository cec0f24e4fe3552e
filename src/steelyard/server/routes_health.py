"""Whether the process runs, and whether it can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from steelyard.server.access_matrix import OPEN
from steelyard.server.bodies import Health, Readiness
from steelyard.server.documented import errors
from steelyard.server.failures import UnavailableError

if TYPE_CHECKING:
    from steelyard.server.site import Site


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.get("/healthz", tags=["health"], summary="Alive", response_model=Health, responses=errors(role=OPEN))
    async def healthz() -> JSONResponse:
        """The process runs; says nothing about what it can answer."""
        return JSONResponse({"status": "ok"})

    app.head("/healthz", include_in_schema=False)(healthz)

    @app.get("/readyz", tags=["health"], summary="Ready", response_model=Readiness, responses=errors(role=OPEN))
    async def readyz() -> JSONResponse:
        """The release in force is loaded and answers."""
        if not site.ready:
            raise UnavailableError(
                "the server is not ready.", status=503, remedy="Try again.", code="server.not_ready", retry_after_s=1
            )
        current = site.running.current
        in_force = current.get().in_force
        return JSONResponse(
            {
                "status": "ready",
                "release": in_force.release,
                "generation": in_force.generation,
                "failure": current.failure is not None,
            }
        )

    app.head("/readyz", include_in_schema=False)(readyz)
