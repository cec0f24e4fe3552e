"""Notes every answer for watching, splits requests between production and a canary, and asks a shadow the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import perf_counter, time
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from steelyard.registry.recorder import Recorder
from steelyard.schema.errors import SteelyardError, UserError
from steelyard.schema.serving import AnswerNote, Served
from steelyard.schema.watching import WHOLE_REQUEST, Noted
from steelyard.server.tracing import trace_answer
from steelyard.serving.comparing import compare
from steelyard.serving.pipeline import Pipeline
from steelyard.serving.pulse import Pulse
from steelyard.serving.splitting import Choice, Splitter

if TYPE_CHECKING:
    from steelyard.schema.callers import Caller
    from steelyard.workspace import Workspace
    from steelyard.workspace.running import Running

JUDGE_S = 2.0
"""How often a running canary is judged."""

MOST_MIRRORED = 32
"""Requests that wait for the shadow; more are left out, so that it never takes the machine from those who are answered."""

T = TypeVar("T")

log = logging.getLogger("steelyard.server")


class Observer:
    """What watches one serving process. `close` writes what is pending."""

    def __init__(self, workspace: Workspace, running: Running) -> None:
        parts = running.parts
        watch = workspace.settings.watch
        limit = workspace.settings.requirements.p95_ms
        self._parts = parts
        self._running = running
        self._sources = tuple(one.path for one in workspace.settings.sources)
        self.recorder = Recorder(
            parts.operations,
            limit_ms=watch.p95_ms if limit is None else limit,
            keep_days=watch.keep_days,
            keep_hours_days=watch.keep_hours_days,
        )
        self._pulse = Pulse((parts.state.trials,))
        self.splitter = Splitter(self._pulse.read, parts.trials.running, running.load)
        self._mirrored: Queue[tuple[Choice, Served, Callable[[Pipeline], Served]]] = Queue(MOST_MIRRORED)
        self._ended = Event()
        self._threads: list[Thread] = []

    def open(self) -> None:
        """Begin to judge canaries and to ask shadows, in threads of their own."""
        for target, name in ((self._judge, "steelyard-judge"), (self._mirror, "steelyard-shadow")):
            thread = Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop the threads and write what is pending."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.recorder.close()
        self._pulse.close()

    def choose(self, who: Caller) -> Choice:
        """The pipeline that answers this caller now."""
        return self.splitter.choose(self._running.current.get(), who.key_id)

    def answer(self, who: Caller, make: Callable[[Pipeline], Served]) -> tuple[Served, Choice]:
        """An answer of production or of the canary. A canary that breaks answers nobody: production does, and the failure is noted.

        Raises:
            SteelyardError: as `make`; what is no fault of the asker is noted as a failure.
        """
        choice = self.choose(who)
        if choice.arm == "canary":
            begun = perf_counter()
            try:
                return make(choice.pipeline), choice
            except UserError:
                raise
            except Exception as error:
                log.exception("canary %s failed; production answers", choice.trial)
                self.failed(who, choice, error, perf_counter() - begun)
                # Its own trial has counted this request on the canary's side already.
                choice = Choice(pipeline=self._running.current.get())
        begun = perf_counter()
        try:
            return make(choice.pipeline), choice
        except UserError:
            raise
        except Exception as error:
            self.failed(who, choice, error, perf_counter() - begun)
            raise

    def streamed(
        self, who: Caller, choice: Choice, make: Callable[[Pipeline], Iterator[str | Served]]
    ) -> Iterator[str | Served]:
        """The pieces of a chosen pipeline's answer; a failure is noted.

        A canary that fails before its first piece is out leaves the answer to production, but then no trial counts it again.

        Raises:
            SteelyardError: as `make`.
        """
        begun = perf_counter()
        out = False
        try:
            for piece in make(choice.pipeline):
                out = True
                yield piece
        except UserError:
            raise
        except Exception as error:
            self.failed(who, choice, error, perf_counter() - begun)
            if out or choice.arm != "canary":
                raise
            log.exception("canary %s failed; production answers", choice.trial)
            yield from make(self._running.current.get())

    def failed(self, who: Caller, choice: Choice, error: Exception, seconds: float) -> None:
        """Note a request that could not be answered."""
        in_force = choice.pipeline.in_force
        self.recorder.note(
            [
                Noted(
                    id=uuid4().hex,
                    at=time(),
                    component=WHOLE_REQUEST,
                    candidate="failed",
                    version=0,
                    release=in_force.release,
                    generation=in_force.generation,
                    latency_ms=seconds * 1000,
                    error=error.code if isinstance(error, SteelyardError) else "server.broken",
                    groups=tuple(sorted(who.scope.groups)),
                    key=who.key_id,
                    arm=choice.arm,
                    trial=choice.trial,
                )
            ]
        )

    def answered(self, record: AnswerNote, choice: Choice, make: Callable[[Pipeline], Served]) -> None:
        """Note an answer that was given, and let a shadow be asked the same where one runs; waits for nothing."""
        used = versions_of(record.served)
        fell_back = choice.arm == "canary" and not used <= set(choice.pipeline.in_force.versions)
        if fell_back or (choice.trial is not None and not {name for name, _, _ in used} & set(choice.components)):
            # The canary failed and production answered, or nothing that is tried took part: no request of the trial.
            choice = Choice(pipeline=self._running.current.latest)
        self.recorder.note(calls_of(record, choice, self._sources))
        trace_answer(record, choice.arm)
        if choice.arm == "production":
            shadow = self.splitter.shadow(choice.pipeline)
            if shadow is not None:
                try:
                    self._mirrored.put_nowait((shadow, record.served, make))
                except Full:
                    log.debug("the shadow is busy; a request was left out")

    def _mirror(self) -> None:
        while not self._ended.is_set():
            try:
                shadow, served, make = self._mirrored.get(timeout=0.2)
            except Empty:
                continue
            try:
                self._ask_shadow(shadow, served, make)
            except Exception:
                log.exception("the shadow's answer could not be kept")

    def _ask_shadow(self, shadow: Choice, served: Served, make: Callable[[Pipeline], Served]) -> None:
        assert shadow.trial is not None
        try:
            other: Served | None = make(shadow.pipeline)
        except Exception:
            log.exception("shadow %s failed on request %s", shadow.trial, served.id)
            other = None
        self._parts.trials.compare(shadow.trial, served.id, compare(served, other, shadow.components))
        if other is not None:
            self.recorder.note(_part_calls(other, served.id, shadow, self._sources))

    def _judge(self) -> None:
        judge = self._parts.judge
        while not self._ended.wait(JUDGE_S):
            try:
                if self._parts.trials.running("canary") is not None:
                    judge.advance(time(), self._running.current.get().in_force.release)
            except Exception:
                log.exception("the canary could not be judged; trying again")


def last_of(pieces: Iterator[str | Served]) -> Served:
    """The whole answer at the end of a stream."""
    whole = [piece for piece in pieces if isinstance(piece, Served)]
    return whole[-1]


def versions_of(served: Served) -> set[tuple[str, str, int]]:
    """The versions that took part in an answer."""
    return {(part.component, part.candidate, part.version) for part in served.parts}


def calls_of(record: AnswerNote, choice: Choice, sources: Sequence[str] = ()) -> list[Noted]:
    """What is noted of an answer: the request, and each of its parts; nothing of what was asked or said.

    `sources` are the paths of the workspace's sources, so that an answer is counted under the one that it rests on.
    """
    served = record.served
    groups, key = tuple(sorted(record.scope.groups)), record.caller.key_id
    whole = Noted(
        id=served.id,
        at=datetime.fromisoformat(served.at).timestamp(),
        component=WHOLE_REQUEST,
        candidate=served.kind,
        version=0,
        release=served.release,
        generation=served.generation,
        latency_ms=served.latency_ms,
        usd=served.cost_usd,
        label=served.label,
        probability=served.probability,
        out_of_scope=served.out_of_scope,
        abstained=served.abstained,
        source=_source(served, sources),
        groups=groups,
        key=key,
        arm=choice.arm,
        trial=choice.trial,
    )
    return [whole, *_part_calls(served, served.id, choice, sources, groups=groups, key=key)]


def _part_calls(
    served: Served,
    request: str,
    choice: Choice,
    sources: Sequence[str],
    *,
    groups: tuple[str, ...] = (),
    key: str | None = None,
) -> list[Noted]:
    return [
        Noted(
            id=request,
            at=datetime.fromisoformat(served.at).timestamp(),
            component=part.component,
            candidate=part.candidate,
            version=part.version,
            release=served.release,
            generation=served.generation,
            latency_ms=part.latency_ms,
            usd=part.cost_usd,
            label=part.details.get("label") or served.label,
            probability=part.details.get("probability"),
            out_of_scope=bool(part.details.get("out_of_scope")),
            abstained=bool(part.details.get("abstained")),
            tokens_in=part.tokens_in,
            tokens_out=part.tokens_out,
            source=_source(served, sources) if part.task == "answer" else None,
            groups=groups,
            key=key,
            arm=choice.arm,
            trial=choice.trial,
        )
        for part in served.parts
    ]


def _source(served: Served, sources: Sequence[str]) -> str | None:
    """The source that the first cited document belongs to: the one whose path is the longest beginning of its name."""
    if not served.citations:
        return None
    document = served.citations[0].document
    own = [one for one in sources if document == one or document.startswith(f"{one.rstrip('/')}/")]
    return max(own, key=len, default=None)
