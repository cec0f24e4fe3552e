"""One workspace being served in this process: what every route works with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from steelyard.registry.keys import Keys
from steelyard.schema.errors import SteelyardError
from steelyard.schema.scope import Scope
from steelyard.schema.serving import AnswerNote, Served
from steelyard.server.crew import Crew
from steelyard.server.failures import UnavailableError
from steelyard.server.identity import Identity
from steelyard.server.limits import RateLimit
from steelyard.server.observing import Observer, last_of
from steelyard.server.sessions import CSRF_FIELD, Sessions
from steelyard.serving.pipeline import Pipeline
from steelyard.workspace import Workspace
from steelyard.workspace.answer_trail import AnswerTrail

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import Scope as ASGIScope

    from steelyard.schema.callers import Caller
    from steelyard.serving.splitting import Choice

T = TypeVar("T")

BUSY_RETRY_S = 1.0
"""When a request that found no room is told to come again."""

STREAM_PIECES = 64
"""Pieces of a streamed answer that wait for a slow reader before the generator waits too."""


class Audit(Protocol):
    """Keeps a record of every answer."""

    def submit(self, record: AnswerNote) -> Future[None]:
        """Keep one record: the future ends when it is on the disk, or with the error. Called by many threads."""

    def close(self) -> None:
        """Write what is pending and close."""


class Site:
    """The workspace, its running pipeline, identity, limits and audit. `open` loads; nothing answers before.

    `page_failure` turns an error into a page for a browser that asked for one.
    """

    def __init__(self, folder: Path, *, workers: int = 1) -> None:
        self.workspace = Workspace(folder)
        self.settings = self.workspace.settings
        self.running = self.workspace.running()
        state, serve = self.workspace.state, self.settings.serve
        self.audit: Audit = AnswerTrail(state.audit, keep_text=self.settings.releases.keep_questions)
        sessions = Sessions(state.session_secret, serve.session_hours)
        self.identity = Identity(folder, serve, Keys(state.keys), sessions)
        self.limits = RateLimit(state.limits, serve.requests_per_minute, serve.burst)
        self.page_failure: Callable[[SteelyardError, ASGIScope], Response | None] = lambda *_: None
        self.observer = Observer(self.workspace, self.running)
        self.routes: list[Any] = []
        self.ready = False
        self._threads = self.settings.serve.threads or max(1, cores() // workers)
        self._waiting = 0
        self._crew = Crew(self._threads, embed=self.running.embed_ahead, used=self.running.embedded)

    def open(self) -> None:
        """Load the release in force.

        Raises:
            SteelyardError: there is nothing to serve, or it cannot be loaded.
        """
        self.running.current.begin()
        self.observer.open()
        self.ready = True

    def close(self) -> None:
        """Write what is pending and close the files."""
        self.ready = False
        self._crew.close()
        self.audit.close()  # before the observer, who is told of what it still keeps
        self.observer.close()
        self.limits.close()
        self.running.close()

    async def identify(self, request: HTTPConnection) -> Caller:
        """Who calls; see `Identity.identify`. Counts the request against the caller's rate.

        Raises:
            IdentityError, ForbiddenError, StoreError: as `Identity.identify`.
            LimitError: the caller asks too often.
        """
        call = partial(
            self.identity.identify,
            request.headers,
            client=request.client.host if request.client else "",
            method=request.scope["method"],
            csrf=request.query_params.get(CSRF_FIELD),
        )
        # A token may need the provider's keys, which may take seconds; a key is found in microseconds.
        found = await anyio.to_thread.run_sync(call) if self.identity.may_wait(request.headers) else call()
        self.limits.take(found.key_id)
        return found

    async def work(self, call: Callable[[], T]) -> T:
        """Run `call` in a worker thread; what is computed at a time, and how much may wait, is bounded.

        Raises:
            UnavailableError: too many requests wait already (503), or it takes longer than `[serve] timeout_s` (504).
        """
        with self._admitted():
            return await asyncio.wrap_future(self._crew.submit(call))

    async def answer(
        self,
        who: Caller,
        scope: Scope,
        question: str,
        make: Callable[[Pipeline], Served],
        *,
        kind: str,
        as_of: datetime | None = None,
    ) -> Served:
        """One answer of the pipeline in force, kept by the audit before it is given.

        `kind` says what is asked for: see `Crew`. `as_of` is the day that was asked about, if one was.

        Raises:
            UnavailableError, SteelyardError: as `work`, and as the pipeline.
            StoreError: its record could not be kept.
        """

        def whole() -> tuple[Served, Future[None]]:
            served, choice = self.observer.answer(who, make)
            record = AnswerNote(served=served, caller=who, scope=scope, question=question, as_of=as_of)
            return served, self._keep(record, choice, make)

        with self._admitted():
            # The disk is not waited for in the worker thread: the next answer is computed meanwhile.
            return await asyncio.wrap_future(self._crew.submit_lasting(whole, message=question, kind=kind))

    async def stream(
        self,
        who: Caller,
        scope: Scope,
        question: str,
        make: Callable[[Pipeline], Iterator[str | Served]],
        *,
        kind: str,
    ) -> AsyncIterator[str | Served]:
        """The pieces of an answer as they are made, then the whole, which the audit keeps before it is given. `kind`: see `answer`.

        A reader who leaves early stops nothing: what was begun is finished and kept, as part of it was read.

        Raises:
            UnavailableError, SteelyardError: as `work`, and as the pipeline.
            StoreError: its record could not be kept.
        """
        sender, receiver = anyio.create_memory_object_stream[tuple[str | Served, Future[None] | None]](STREAM_PIECES)
        loop = asyncio.get_running_loop()

        def whole() -> None:
            gone = False
            choice = self.observer.choose(who)
            for piece in self.observer.streamed(who, choice, make):
                kept = None
                if isinstance(piece, Served):
                    record = AnswerNote(served=piece, caller=who, scope=scope, question=question)
                    kept = self._keep(record, choice, lambda line: last_of(make(line)))
                try:
                    if not gone:
                        asyncio.run_coroutine_threadsafe(sender.send((piece, kept)), loop).result()
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    gone = True

        async def run() -> None:
            try:
                with self._admitted():
                    await asyncio.wrap_future(self._crew.submit(whole, message=question, kind=kind))
            finally:
                await sender.aclose()

        task = asyncio.create_task(run())
        async with receiver:
            async for piece, kept in receiver:
                if kept is not None:
                    await asyncio.wrap_future(kept)
                yield piece
        await task

    def _keep(self, record: AnswerNote, choice: Choice, make: Callable[[Pipeline], Served]) -> Future[None]:
        """Let the audit keep an answer; once it is kept, whoever watches is told."""

        def told(done: Future[None]) -> None:
            if done.exception() is None:
                self.observer.answered(record, choice, make)

        kept = self.audit.submit(record)
        kept.add_done_callback(told)
        return kept

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """A request among those that are under way, for at most `[serve] timeout_s`."""
        serve = self.settings.serve
        if self._waiting >= serve.waiting + self._threads:
            raise UnavailableError(
                "too many requests are waiting.",
                status=503,
                remedy="Try again in a moment.",
                code="server.busy",
                retry_after_s=BUSY_RETRY_S,
            )
        self._waiting += 1
        try:
            with anyio.fail_after(serve.timeout_s):
                yield
        except TimeoutError:
            raise UnavailableError(
                f"the answer took longer than {serve.timeout_s:g} s.",
                status=504,
                remedy="Ask less at once, or try again.",
                code="server.timeout",
            ) from None
        finally:
            self._waiting -= 1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
