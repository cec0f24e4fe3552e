"""The threads of one worker process that compute answers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import islice
from threading import Condition, Thread
from typing import Any, TypeVar

TOGETHER = 4
"""Messages embedded in one call at the most: of 16 tokens four take 4.6 ms each, one alone 6.5, and eight 4.4."""

LOOKED_AT = 16
"""Calls at the head of the queue among which those with messages of like length are looked for: padding is work too."""

T = TypeVar("T")

log = logging.getLogger("steelyard.server")


@dataclass(eq=False)
class _Job:
    call: Callable[[], Any]
    future: Future[Any]
    message: str | None
    kind: Hashable
    lasting: bool
    context: Context = field(default_factory=copy_context)
    embedded: bool = False


class Crew:
    """Runs calls in `threads` threads, first come first served.

    A call may say which message it is about to embed. While all threads are busy such calls wait, and then `embed` is given a few messages
    at once before their calls run: an encoder reads four in the time of three. Where nobody waits nothing is held up. `used` says whether
    a call did embed its message: calls of a `kind` (what was asked for) are taken to do as the last one did.
    """

    def __init__(self, threads: int, *, embed: Callable[[Sequence[str]], None], used: Callable[[str], bool]) -> None:
        self._count = threads
        self._embed = embed
        self._used = used
        self._jobs: deque[_Job] = deque()
        self._uses: dict[Hashable, bool] = {}
        self._turn = Condition()
        self._threads: list[Thread] = []
        self._closed = False

    def submit(self, call: Callable[[], T], *, message: str | None = None, kind: Hashable = None) -> Future[T]:
        """Queue a call; the future ends with its result. One that is cancelled before its turn is not run."""
        return self._queue(_Job(call, Future(), message, kind, lasting=False))

    def submit_lasting(
        self, call: Callable[[], tuple[T, Future[None]]], *, message: str | None = None, kind: Hashable = None
    ) -> Future[T]:
        """As `submit`, but the future ends when the one ends that the call gives, with its error or the call's own result."""
        return self._queue(_Job(call, Future(), message, kind, lasting=True))

    def close(self) -> None:
        """Run what waits, then end the threads; later calls fail."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join()

    def _queue(self, job: _Job) -> Future[Any]:
        with self._turn:
            if self._closed:
                raise RuntimeError("the crew is closed")
            if len(self._threads) < self._count:
                # Begun with the first calls, not with the object: a server that forks its workers must not take dead threads along.
                self._threads.append(Thread(target=self._work, name=f"steelyard-{len(self._threads)}", daemon=True))
                self._threads[-1].start()
            self._jobs.append(job)
            self._turn.notify()
        return job.future

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                others = self._others(job)
            if others:
                self._embed_all([job, *others])
            self._run(job)
            del job, others  # a thread that waits keeps no answer, and no pipeline that made one, alive

    def _others(self, job: _Job) -> list[_Job]:
        """Calls that wait, to embed their messages together with that of `job`; out of the queue until that is done."""
        if not self._may_embed(job):
            return []
        waiting = [one for one in islice(self._jobs, LOOKED_AT) if self._may_embed(one)]
        length = len(job.message or "")
        nearest = sorted(waiting, key=lambda one: abs(len(one.message or "") - length))[: TOGETHER - 1]
        for one in nearest:
            self._jobs.remove(one)
        return nearest

    def _may_embed(self, job: _Job) -> bool:
        return job.message is not None and not job.embedded and self._uses.get(job.kind, False)

    def _embed_all(self, jobs: Sequence[_Job]) -> None:
        try:
            self._embed([job.message for job in jobs if job.message is not None])
        except Exception:
            log.exception("messages could not be embedded together; each is embedded by itself")
        with self._turn:
            for job in reversed(jobs):
                job.embedded = True
                if job is not jobs[0]:
                    self._jobs.appendleft(job)
            self._turn.notify(len(jobs) - 1)

    def _run(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            made = job.context.run(job.call)
        except BaseException as error:
            job.future.set_exception(error)
            return
        if job.message is not None:
            self._uses[job.kind] = self._used(job.message)
        if not job.lasting:
            job.future.set_result(made)
            return
        result, lasting = made

        def ended(done: Future[None]) -> None:
            error = done.exception()
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

        lasting.add_done_callback(ended)
