"""The release in force, loaded: one call for the whole pipeline, and one for each part alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal
from uuid import uuid4

from steelyard.candidates.interface import Candidate, Search, Streaming
from steelyard.candidates.system import System
from steelyard.components.fusion import NEUTRAL_WEIGHT
from steelyard.models.metering import metered
from steelyard.schema.corpus import Citation, Hit
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.items import Task
from steelyard.schema.outputs import Output, Request
from steelyard.schema.runs import VersionRecord
from steelyard.schema.scope import Scope
from steelyard.schema.serving import InForce, Kind, PartUse, Served

Mode = Literal["fused", "lexical", "dense"]


@dataclass(frozen=True, kw_only=True)
class LoadedPart:
    """One version, ready to answer."""

    record: VersionRecord
    task: Task
    candidate: Candidate


class Pipeline:
    """The loaded parts of one release on one generation. It never changes, so whoever began on it ends on it.

    `placed` gives a citation the page and heading of its own characters. Safe for many threads.
    """

    def __init__(
        self,
        in_force: InForce,
        parts: Mapping[str, LoadedPart],
        *,
        search: Search | None,
        placed: Callable[[Citation], Citation],
        cpu_hour_usd: float,
    ) -> None:
        self.in_force = in_force
        self.parts = dict(parts)
        self._search = search
        self._placed = placed
        self._usd_per_s = cpu_hour_usd / 3600

    def respond(self, request: Request, scope: Scope) -> Served:
        """The finished reply to one message: routed, looked up among what the asker may see, written; the measured `System`.

        Raises:
            NotFoundError: a task has several components, so that nobody can say which one a message passes.
        """
        router, answerer, writer = (self._only(task) for task in ("classify", "answer", "write"))
        system = System(
            router=router.candidate if router else None,
            answerer=answerer.candidate if answerer else None,
            writer=writer.candidate if writer else None,
        )
        with _timed() as passed:
            out = system.respond(request, scope)
            seconds = passed()
        uses = [
            self._use(part, output)
            for part, output in ((router, out.routed), (answerer, out.answered), (writer, out.written))
            if part is not None and output is not None
        ]
        routed, answered = out.routed, out.answered
        found = answered is not None and not answered.abstained and bool(answered.text)
        outside = routed is not None and routed.out_of_scope
        return self._served(
            "pipeline",
            out.text,
            uses,
            seconds,
            handoff=outside or (answerer is not None and not found) or not out.text,
            abstained=answerer is not None and not found,
            label=routed.label if routed else None,
            probability=routed.probability if routed else None,
            out_of_scope=outside,
            citations=moved(answered.citations, answered.text, out.text) if answered and found else (),
        )

    def ask(self, question: str, scope: Scope, *, component: str | None = None, at: datetime | None = None) -> Served:
        """One answer from the documents the asker may see, with citations, or none.

        Raises:
            NotFoundError: there is no such answer component, or several and none is named.
        """
        return self._alone("answer", component, Request(text=question, at=at), scope)

    def route(self, text: str, *, component: str | None = None) -> Served:
        """One classification.

        Raises:
            NotFoundError: there is no such classify component, or several and none is named.
        """
        return self._alone("classify", component, Request(text=text), Scope())

    def write(self, request: Request, *, component: str | None = None) -> Served:
        """One reply with the slots of `request` filled in, or none that fits.

        Raises:
            NotFoundError: there is no such write component, or several and none is named.
        """
        return self._alone("write", component, request, Scope())

    def search(self, text: str, scope: Scope, k: int, *, mode: Mode = "fused") -> Served:
        """The best `k` passages that the asker may see, best first; fused with the weight that the answering version chose.

        Raises:
            UserError: nothing is ingested yet.
        """
        if self._search is None:
            raise UserError(
                "there are no documents to search.",
                remedy="Run `steelyard ingest` first.",
                code="serving.no_documents",
            )
        with _timed() as passed:
            if mode == "lexical":
                hits = self._search.lexical(text, scope, k)
            elif mode == "dense":
                hits = self._search.dense(text, scope, k)
            else:
                hits = self._search.fused(text, scope, k, self.dense_weight)
            seconds = passed()
        return self._served("search", "", [], seconds, hits=tuple(hits))

    def alone(self, component: str, request: Request, scope: Scope) -> Served:
        """The output of one component, whatever its task.

        Raises:
            NotFoundError: there is no such component, or none of its versions answers now.
        """
        return self._alone(self._named(component).task, component, request, scope)

    def stream(self, component: str | None, request: Request, scope: Scope) -> Iterator[str | Served]:
        """The pieces of a text as they are made, then the whole: of one component, or of the pipeline.

        Only a generator makes pieces (see `Streaming`), and only where its words are the last word: a writer's reply, like every quoted
        answer, is there at once. Together the pieces are the text.

        Raises:
            NotFoundError: as `alone` and `respond`.
        """
        if component is not None:
            part = self._named(component)
            if part.task == "answer" and isinstance(part.candidate, Streaming):
                yield from self._streamed(part, part.candidate, request, scope)
            else:
                yield self.alone(component, request, scope)
        else:
            yield self.respond(request, scope)

    @property
    def dense_weight(self) -> float:
        """The weight of meaning against words that the answering version chose; neutral where none chose one."""
        chosen = (getattr(part.candidate, "dense_weight", None) for part in self.parts.values())
        return next((float(one) for one in chosen if one is not None), NEUTRAL_WEIGHT)

    def part(self, task: Task, name: str | None) -> LoadedPart:
        """The part of a task: the named component, or the only one.

        Raises:
            NotFoundError: there is none, or several and none is named.
        """
        able = {component: part for component, part in self.parts.items() if part.task == task}
        if name is None and len(able) == 1:
            return next(iter(able.values()))
        if name is not None and name in able:
            return able[name]
        listed = ", ".join(able) or "none"
        what = f"no component '{name}'" if name is not None else ("several components" if able else "no component")
        raise NotFoundError(
            f"there {'are' if able and name is None else 'is'} {what} with task '{task}'.",
            remedy=f"Components with this task that answer now: {listed}.",
            code="serving.which_component",
        )

    def _named(self, component: str) -> LoadedPart:
        found = self.parts.get(component)
        if found is None:
            raise NotFoundError(
                f"there is no component '{component}' that answers now.",
                remedy=f"There are: {', '.join(self.parts) or 'none'}.",
                code="serving.unknown_component",
            )
        return found

    def _streamed(
        self, part: LoadedPart, streaming: Streaming, request: Request, scope: Scope
    ) -> Iterator[str | Served]:
        start = perf_counter()
        for piece in streaming.stream(request, scope):
            if isinstance(piece, Output):
                yield self._of_one(part, piece, perf_counter() - start)
            else:
                yield piece

    def _only(self, task: Task) -> LoadedPart | None:
        return self.part(task, None) if any(part.task == task for part in self.parts.values()) else None

    def _alone(self, task: Task, component: str | None, request: Request, scope: Scope) -> Served:
        part = self.part(task, component)
        with _timed() as passed:
            output = part.candidate.predict(request, scope)
            seconds = passed()
        return self._of_one(part, output, seconds)

    def _of_one(self, part: LoadedPart, output: Output, seconds: float) -> Served:
        return self._served(
            part.task,
            output.text,
            [self._use(part, output)],
            seconds,
            handoff=output.abstained or output.out_of_scope,
            abstained=output.abstained,
            label=output.label,
            probability=output.probability,
            out_of_scope=output.out_of_scope,
            citations=output.citations,
        )

    def _use(self, part: LoadedPart, output: Output) -> PartUse:
        usage, record = output.usage, part.record
        details: dict[str, Any] = dict(output.trace)
        for name in ("label", "probability", "out_of_scope", "abstained"):
            value = getattr(output, name)
            if value is not None and value is not False:
                details[name] = value
        return PartUse(
            component=record.component,
            task=part.task,
            candidate=record.candidate,
            version=record.version,
            dataset=record.dataset,
            latency_ms=usage.seconds * 1000,
            cost_usd=usage.seconds * self._usd_per_s + usage.usd,
            tokens_in=usage.tokens_in,
            tokens_cached=usage.tokens_cached,
            tokens_out=usage.tokens_out,
            passages=tuple(hit.passage.id for hit in output.hits),
            details=details,
        )

    def _served(
        self,
        kind: Kind,
        text: str,
        parts: list[PartUse],
        seconds: float,
        *,
        citations: tuple[Citation, ...] = (),
        hits: tuple[Hit, ...] = (),
        **more: Any,
    ) -> Served:
        return Served(
            id=uuid4().hex,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            kind=kind,
            text=text,
            release=self.in_force.release,
            generation=self.in_force.generation,
            parts=tuple(parts),
            latency_ms=seconds * 1000,
            # The time between the parts is paid for too.
            cost_usd=max(seconds * self._usd_per_s, sum(part.cost_usd for part in parts)),
            citations=tuple(map(self._placed, citations)),
            hits=hits,
            **more,
        )


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives the seconds that an answer has taken so far: since now, and what was embedded ahead for it while it waited."""
    start = perf_counter()
    with metered() as meter:
        yield lambda: perf_counter() - start + meter.ahead_s


def moved(citations: Sequence[Citation], answer: str, reply: str) -> tuple[Citation, ...]:
    """The citations of an answer as those of a reply that holds it: `supports` is the part of the reply.

    None where the reply does not hold the answer word by word; then nobody can say which part of it is supported.
    """
    at = reply.find(answer)

    def of_reply(one: Citation) -> Citation:
        copies = tuple(map(of_reply, one.copies))
        if at < 0 or one.supports is None:
            return replace(one, supports=None, copies=copies)
        return replace(one, supports=(at + one.supports[0], at + one.supports[1]), copies=copies)

    return tuple(map(of_reply, citations))
