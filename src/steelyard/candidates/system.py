"""A whole system: router, answerer and writer in a row, as one request passes them."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from steelyard.candidates.interface import Candidate
from steelyard.components.slots import ANSWER_SLOT
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

PAGE_SLOT = "page"
"""The slot that takes the title of the cited page."""


@dataclass(frozen=True, kw_only=True)
class SystemOutput:
    """What a system made of one message: each part's output, the finished reply, and the wall seconds."""

    routed: Output | None
    answered: Output | None
    written: Output | None
    text: str
    seconds: float


class System:
    """Router, answerer and writer; a part that is None is left out.

    The answer reaches the writer as a slot value, so it stands in the reply verbatim; the writer never composes facts. An
    out-of-scope message is not looked up. Without a writer, or where it declines, the answer is the reply.
    """

    def __init__(self, *, router: Candidate | None, answerer: Candidate | None, writer: Candidate | None) -> None:
        self.router = router
        self.answerer = answerer
        self.writer = writer

    def respond(self, request: Request, scope: Scope) -> SystemOutput:
        """The system's reply to one message.

        Raises:
            NotFittedError: a part was neither fitted nor loaded.
        """
        start = perf_counter()
        routed = self.router.predict(request, scope) if self.router else None
        answered = None
        if self.answerer and not (routed and routed.out_of_scope):
            answered = self.answerer.predict(request, scope)
        slots = {name: value for name, value in request.slots.items() if name not in (ANSWER_SLOT, PAGE_SLOT)}
        if answered and not answered.abstained and answered.text:
            slots[ANSWER_SLOT] = answered.text
            if answered.citations:
                slots[PAGE_SLOT] = _title(answered)
        written = None
        if self.writer:
            kind = routed.label if routed else None
            written = self.writer.predict(Request(text=request.text, slots=slots, at=request.at, label=kind), scope)
        return SystemOutput(
            routed=routed,
            answered=answered,
            written=written,
            text=_finished(answered, written),
            seconds=perf_counter() - start,
        )


def _finished(answered: Output | None, written: Output | None) -> str:
    """The reply; where the writer has no words for it (a slot is missing, say), the answer as it was found: better plain than withheld."""
    if written is not None and not written.abstained and written.text:
        return written.text
    return answered.text if answered is not None and not answered.abstained else ""


def _title(answered: Output) -> str:
    first = answered.citations[0]
    for hit in answered.hits:
        if hit.passage.document == first.document:
            return hit.passage.title
    return first.heading[0] if first.heading else first.document
