"""`/v1/chat/completions` and `/v1/models`: stock OpenAI clients ask the pipeline, or one part of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import Request as HTTPRequest

from steelyard.schema.callers import ASK, Caller
from steelyard.schema.errors import NotFoundError
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
from steelyard.schema.serving import Served
from steelyard.server import chat_form
from steelyard.server.bodies_chat import ChatBody, ChatCompletion, ModelCard, ModelList
from steelyard.server.callers import asked_scope, caller
from steelyard.server.documented import body_errors, errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steelyard.server.site import Site
    from steelyard.serving.pipeline import Pipeline

STREAMED = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "One server-sent event.",
            "properties": {
                "data": {"type": "string", "description": "A `chat.completion.chunk` as JSON; at the end `[DONE]`."}
            },
            "required": ["data"],
        }
    }
}
"""What each event of a streamed answer is, for OpenAPI."""


def add_routes(app: FastAPI, site: Site) -> None:
    """Add the routes."""
    _add_chat(app, site)
    _add_models(app, site)


def _add_chat(app: FastAPI, site: Site) -> None:
    answers: dict[int | str, dict[str, Any]] = {
        **body_errors(404, role=ASK, openai=True),
        200: {"description": "The answer, whole or as a stream of pieces.", "content": STREAMED},
    }
    del answers[422]  # under /v1/ a malformed request is 400, as with OpenAI

    @app.post("/v1/chat/completions", tags=["chat"], summary="Chat", response_model=ChatCompletion, responses=answers)
    async def chat(body: ChatBody, request: HTTPRequest) -> Response:
        """Answer the user's last message: the whole pipeline (`steelyard`), or one part (`steelyard/COMPONENT`).

        The field `steelyard` of the answer (of the last piece, when streamed) has the citations, the versions of all parts, the cost, and
        the id that the audit knows the answer by.
        """
        who = caller(request)
        extra = body.steelyard
        asker = extra.asker if extra else None
        scope = asked_scope(who, asker.user, tuple(asker.groups)) if asker else who.scope
        component = _component(body.model, site)
        message = Request(text=body.question, slots=extra.slots if extra else {})
        asking = _Asking(site, body, who, scope, component, message)
        return await (asking.streamed() if body.stream else asking.whole())


def _add_models(app: FastAPI, site: Site) -> None:
    begun = int(time.time())

    async def cards() -> list[dict[str, Any]]:
        return chat_form.models((await site.work(site.running.current.get)).in_force, begun)

    @app.get(
        "/v1/models",
        tags=["chat"],
        summary="List the models",
        response_model=ModelList,
        responses=errors(504, role=ASK, openai=True),
    )
    async def models() -> JSONResponse:
        """The pipeline and its parts under the names that `model` takes, each with the versions behind it now."""
        return JSONResponse({"object": "list", "data": await cards()})

    @app.get(
        "/v1/models/{model:path}",
        tags=["chat"],
        summary="Look at a model",
        response_model=ModelCard,
        responses=errors(400, 404, 504, role=ASK, openai=True),
    )
    async def model(model: str) -> JSONResponse:
        """One of them."""
        found = next((one for one in await cards() if one["id"] == model), None)
        if found is None:
            raise _unknown(model, [one["id"] for one in await cards()])
        return JSONResponse(found)


class _Asking:
    """One chat request under way."""

    def __init__(
        self, site: Site, body: ChatBody, who: Caller, scope: Scope, component: str | None, message: Request
    ) -> None:
        self._site = site
        self._body = body
        self._who = who
        self._scope = scope
        self._component = component
        self._message = message

    async def whole(self) -> JSONResponse:
        def make(line: Pipeline) -> Served:
            if self._component is None:
                return line.respond(self._message, self._scope)
            return line.alone(self._component, self._message, self._scope)

        served = await self._site.answer(
            self._who, self._scope, self._message.text, make, kind=f"chat {self._component}"
        )
        text = chat_form.said(served, self._site.settings.serve.handoff_text)
        return JSONResponse(chat_form.completion(served, self._body.model, text, self._used(served, text)))

    async def streamed(self) -> StreamingResponse:
        answer_id = uuid4().hex

        def make(line: Pipeline) -> Iterator[str | Served]:
            for piece in line.stream(self._component, self._message, self._scope):
                yield replace(piece, id=answer_id) if isinstance(piece, Served) else piece

        stream = self._site.stream(self._who, self._scope, self._message.text, make, kind=f"stream {self._component}")
        # The first piece is awaited here: what goes wrong before it is still an answer with a status of its own.
        first = await anext(stream)
        events = self._events(answer_id, first, stream)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _events(
        self, answer_id: str, first: str | Served, rest: AsyncIterator[str | Served]
    ) -> AsyncIterator[bytes]:
        options = self._body.stream_options
        head = chat_form.Chunks(answer_id, self._body.model, int(time.time()))
        yield head.begin()
        told = ""
        async for piece in _from(first, rest):
            if isinstance(piece, str):
                told += piece
                yield head.piece(piece)
                continue
            text = chat_form.said(piece, self._site.settings.serve.handoff_text)
            for sentence in chat_form.pieces(text[len(told) :]):
                yield head.piece(sentence)
            used = self._used(piece, text) if options and options.include_usage else None
            for event in head.end(piece, used):
                yield event

    def _used(self, served: Served, text: str) -> dict[str, Any]:
        count = self._site.running.parts.toolbox.encoder.count_tokens
        return chat_form.usage(served, self._message.text, text, count)


async def _from(first: str | Served, rest: AsyncIterator[str | Served]) -> AsyncIterator[str | Served]:
    yield first
    async for piece in rest:
        yield piece


def _component(model: str, site: Site) -> str | None:
    """The component that a model name means; None for the whole pipeline.

    Raises:
        NotFoundError: it means nothing here.
    """
    whole, _, component = model.partition("/")
    if whole != chat_form.WHOLE or (component and component not in site.settings.components) or model.endswith("/"):
        known = [chat_form.WHOLE, *(f"{chat_form.WHOLE}/{name}" for name in site.settings.components)]
        raise _unknown(model, known)
    return component or None


def _unknown(model: str, known: list[str]) -> NotFoundError:
    error = NotFoundError(
        f"there is no model '{model}'.", remedy=f"Models: {', '.join(known)}.", code="serving.unknown_model"
    )
    error.param = "model"  # type: ignore[attr-defined]
    return error
