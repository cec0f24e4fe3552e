"""Feedback over HTTP: what an asker says of an answer of theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import Request as HTTPRequest

from steelyard.schema.callers import ASK, OPERATE
from steelyard.schema.errors import NotFoundError
from steelyard.schema.feedback import Feedback
from steelyard.server.bodies import MAX_TEXT, Body, Name, Text
from steelyard.server.callers import caller
from steelyard.server.documented import body_errors

if TYPE_CHECKING:
    from steelyard.schema.callers import Caller
    from steelyard.server.site import Site

WAIT_S = 0.4
"""How long an answer that is not known yet is waited for: another process may be about to write it."""

TraceId = Annotated[str, Field(min_length=6, max_length=64, pattern="^[0-9a-f]+$")]
Longer = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


WHOLE_ID = 32
"""Characters of a trace id; what is shorter or longer is none, and not worth waiting for."""


class FeedbackBody(Body):
    """A verdict on an answer; what would have been right may be said too."""

    trace_id: TraceId = Field(description="The whole `trace_id` of the answer.")
    verdict: Literal["right", "wrong", "unsafe"] = Field(description="`unsafe`: it could harm somebody.")
    component: Name | None = Field(default=None, description="The part that it is about; left out: the whole answer.")
    label: Name | None = Field(default=None, description="The label that would have been right.")
    answer: Longer | None = Field(default=None, description="The answer that would have been right.")
    question: Text | None = Field(
        default=None, description="What was asked; kept for the review, so leave it out where it must not be kept."
    )
    comment: Longer | None = None


class FeedbackAnswer(BaseModel):
    """That the verdict was kept."""

    number: int
    trace_id: str
    verdict: str
    state: str


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the route."""

    @app.post(
        "/api/feedback",
        tags=["feedback"],
        summary="Say whether an answer was right",
        status_code=201,
        response_model=FeedbackAnswer,
        responses=body_errors(404, role=ASK),
    )
    async def feedback(body: FeedbackBody, request: HTTPRequest) -> JSONResponse:
        """Keep a verdict on an answer of one's own for review; a later one of the same caller on the same answer replaces it."""
        who = caller(request)
        kept = await site.work(lambda: _keep(site, who, body))
        told = {"number": kept.number, "trace_id": kept.request, "verdict": kept.verdict, "state": kept.state}
        return JSONResponse(told, status_code=201)


def _keep(site: Site, who: Caller, body: FeedbackBody) -> Feedback:
    """The kept feedback.

    Raises:
        NotFoundError: there is no such answer, or it was given to somebody else: the two look the same.
    """
    calls = _calls(site, body.trace_id, who)
    parts = {call["component"]: call for call in calls}
    if not calls or (body.component is not None and body.component not in parts):
        raise NotFoundError(
            "there is no such answer of yours.",
            remedy="Give the whole `trace_id` of an answer that this key was given, and a component that took part in it.",
            code="feedback.unknown_answer",
        )
    about = [call for call in calls if body.component in (None, call["component"]) and call["version"]]
    return site.running.parts.feedback.add(
        Feedback(
            number=0,
            at=datetime.now(UTC).isoformat(),
            request=body.trace_id,
            component=body.component,
            versions=tuple(f"{call['component']}/{call['candidate']}@{call['version']}" for call in about),
            verdict=body.verdict,
            label=body.label,
            answer=body.answer,
            comment=body.comment,
            question=body.question,
            caller=who.key_id,
        )
    )


def _calls(site: Site, trace: str, who: Caller) -> list[dict[str, Any]]:
    """The calls of an answer that the caller may speak of. Another's answer is waited for like one that is not there."""
    operations = site.running.parts.operations
    site.observer.recorder.flush()
    found = operations.calls(trace)
    if not _is_theirs(found, who) and len(trace) == WHOLE_ID:
        sleep(WAIT_S)
        found = operations.calls(trace)
    return found if _is_theirs(found, who) else []


def _is_theirs(calls: list[dict[str, Any]], who: Caller) -> bool:
    return any(who.may(OPERATE) or call["key"] == who.key_id for call in calls)
