"""Routes of the room *Ask*, of the sources that it opens, and of the feedback that it takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from steelyard.schema.callers import OPERATE, Caller
from steelyard.schema.errors import ForbiddenError, NotFoundError, UserError
from steelyard.schema.feedback import Feedback, Verdict
from steelyard.schema.outputs import Request as Message
from steelyard.schema.serving import Served
from steelyard.server.callers import caller
from steelyard.server.pages import ask_room
from steelyard.server.pages.ask_room import Asking, asking_of
from steelyard.server.pages.rendering import Pages, form_of

if TYPE_CHECKING:
    from steelyard.schema.audit import AnswerRecord
    from steelyard.schema.scope import Scope
    from steelyard.serving.pipeline import Pipeline

VERDICTS = ("right", "wrong", "unsafe")
SHOWN_HITS = 10
LONGEST_COMMENT = 2_000


def add_ask(app: FastAPI, pages: Pages) -> None:
    """Add the routes."""
    _add_asking(app, pages)
    _add_source(app, pages)
    _add_feedback(app, pages)


def _add_asking(app: FastAPI, pages: Pages) -> None:
    site = pages.site

    async def tries(who: Caller) -> list[str]:
        return await site.work(lambda: ask_room.tries(site, who))

    @app.get("/ask", include_in_schema=False)
    async def ask_form(request: Request) -> Response:
        """The form, filled from the address where it names a question; nothing is asked yet."""
        who = caller(request)
        shown = ask_room.context(asking_of(request.query_params), who)
        notice = (
            "Noted. A reviewer looks at it before anything learns from it." if "noted" in request.query_params else None
        )
        return pages.show(request, "ask.html.j2", room="ask", tries=await tries(who), notice=notice, **shown)

    @app.post("/ask", include_in_schema=False)
    async def ask(request: Request) -> Response:
        """One question, and what came of it."""
        who = caller(request)
        asking = asking_of(await form_of(request))
        try:
            scope = asking.checked().scope(who)
        except (UserError, ForbiddenError) as error:
            own = Asking(text=asking.text, kind=asking.kind)
            shown = ask_room.context(own, who) | {
                "wrong": f"{error.message[:1].upper()}{error.message[1:]} {error.remedy}"
            }
            status = 403 if isinstance(error, ForbiddenError) else 400
            return pages.show(request, "ask.html.j2", room="ask", status=status, tries=await tries(who), **shown)
        served = await site.answer(
            who, scope, asking.text, lambda line: _asked(line, asking, scope), kind=f"page {asking.kind}"
        )
        shown = ask_room.context(asking, who, served)
        return pages.show(request, "ask.html.j2", room="ask", tries=await tries(who), **shown)


def _asked(line: Pipeline, asking: Asking, scope: Scope) -> Served:
    if asking.kind == "answer":
        return line.ask(asking.text, scope)
    if asking.kind == "search":
        return line.search(asking.text, scope, SHOWN_HITS)
    return line.respond(Message(text=asking.text, slots=asking.slot_values), scope)


def _add_source(app: FastAPI, pages: Pages) -> None:
    site = pages.site

    @app.get("/source", include_in_schema=False)
    async def source(request: Request) -> Response:
        """A stored version with the cited span marked, for who may see it; what is hidden looks like what is not there."""
        query = request.query_params
        scope = asking_of(query).scope(caller(request))
        version = query.get("version", "")
        if not re.fullmatch(r"[0-9a-f]{64}", version):
            raise NotFoundError(
                "there is no such version of a document.",
                remedy="Open a source by the link of a citation.",
                code="page.no_version",
            )
        document = query.get("document", "")
        found = await site.work(lambda: site.running.parts.toolbox.library.read(document, version, scope))
        shown = ask_room.source_context(found, _whole(query.get("start")), _whole(query.get("end")))
        return pages.show(request, "source.html.j2", room="ask", **shown)


def _whole(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text) else 0


def _add_feedback(app: FastAPI, pages: Pages) -> None:
    site = pages.site

    @app.post("/ask/feedback", include_in_schema=False)
    async def feedback(request: Request) -> Response:
        """What the asker says of an answer; it becomes a labelled row only after a review."""
        who, form = caller(request), await form_of(request)
        await site.work(lambda: _keep(pages, who, form))
        return RedirectResponse("/ask?noted", status_code=303)


def _keep(pages: Pages, who: Caller, form: dict[str, Any]) -> None:
    verdict = form.get("verdict", "")
    if verdict not in VERDICTS:
        raise UserError("nothing was said of the answer.", remedy="Press one of the buttons.", code="page.no_verdict")
    from steelyard.registry.answers_audit import AnswersAudit

    workspace, parts = pages.site.workspace, pages.site.running.parts
    asked = str(form.get("request", ""))
    try:
        _, record = AnswersAudit(workspace.state.audit).get(asked)
    except NotFoundError:
        record = None
    if record is None or not _is_theirs(record, asked, who):
        raise NotFoundError("there is no such answer of yours.", remedy="Ask again.", code="page.no_answer")
    parts.feedback.add(
        Feedback(
            number=0,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            request=record.trace_id,
            component=None,
            versions=record.versions,
            verdict=cast(Verdict, verdict),
            caller=who.key_id,
            comment=str(form.get("comment", ""))[:LONGEST_COMMENT] or None,
            question=record.text,
        )
    )


def _is_theirs(record: AnswerRecord, asked: str, who: Caller) -> bool:
    # Another's answer looks like one that was never given, and a part of an id tells nothing of whose it may be.
    return record.trace_id == asked and (record.key_id == who.key_id or who.may(OPERATE))
