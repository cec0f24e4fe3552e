"""The decision over HTTP: what was recommended, and on what evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from steelyard.schema.callers import OPERATE
from steelyard.server.documented import errors

if TYPE_CHECKING:
    from steelyard.server.site import Site


class Decision(BaseModel):
    """decision.json as `steelyard weigh` wrote it last; its keys are those of `weigh --json`."""

    model_config = ConfigDict(extra="allow")

    created: str
    components: dict[str, Any]


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the route."""

    @app.get(
        "/api/decision",
        tags=["decision"],
        summary="Read the decision",
        response_model=Decision,
        responses=errors(404, 504, role=OPERATE),
    )
    async def decision() -> JSONResponse:
        """What was recommended for each component, with its evidence, alternatives, break-even and flip points."""
        return JSONResponse(await site.work(site.workspace.last_decision))
