"""What the audit keeps of an answer that was given, over HTTP or at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.registry.answers_audit import AnswersAudit
from steelyard.schema.audit import AnswerRecord, Cited, digest, question_hash
from steelyard.schema.errors import NotFoundError
from steelyard.schema.releases import RequestTrace
from steelyard.schema.serving import AnswerNote

if TYPE_CHECKING:
    from concurrent.futures import Future

    from steelyard.workspace.parts import Parts


class AnswerTrail:
    """Turns served answers into records of the audit. `keep_text` keeps the question's words beside its hash."""

    def __init__(self, path: Path, *, keep_text: bool) -> None:
        self.audit = AnswersAudit(path)
        self._keep_text = keep_text

    def note(self, record: AnswerNote) -> None:
        """Keep one answer; when this returns, its record survives a power cut. For many threads.

        Raises:
            StoreError: it could not be kept, so the answer must not be given.
        """
        self.submit(record).result()

    def submit(self, record: AnswerNote) -> Future[None]:
        """`note` without waiting: the future ends when the record is on the disk, or with the error."""
        return self.audit.submit(answer_record(record, keep_text=self._keep_text))

    def close(self) -> None:
        """Write what waits, then stop."""
        self.audit.close()


def answer_record(note: AnswerNote, *, keep_text: bool) -> AnswerRecord:
    """The record of one served answer; texts go into it as hashes, but for the question where it is kept."""
    served = note.served
    passages = [passage for part in served.parts for passage in part.passages] or [
        hit.passage.id for hit in served.hits
    ]
    return AnswerRecord(
        trace_id=served.id,
        at=served.at,
        kind=served.kind,
        key_id=note.caller.key_id,
        name=note.caller.name,
        user=note.scope.user,
        groups=tuple(sorted(note.scope.groups)),
        release=served.release,
        generation=served.generation,
        versions=tuple(part.name for part in served.parts),
        passages=tuple(passages),
        citations=tuple(map(Cited.of, served.citations)),
        question=question_hash(served.id, note.question),
        answer=digest(served.text),
        cost_usd=served.cost_usd,
        latency_ms=served.latency_ms,
        tokens=served.tokens,
        abstained=served.abstained,
        handoff=served.handoff,
        label=served.label,
        text=note.question if keep_text else None,
        as_of=None if note.as_of is None else note.as_of.isoformat(),
    )


def find_request(parts: Parts, request: str) -> RequestTrace:
    """Which version answered a request: of the command line's log, or of the audit; of several parts the one that answered.

    Raises:
        NotFoundError: there is no such request.
    """
    try:
        return parts.requests.get(request)
    except NotFoundError:
        try:
            _, record = AnswersAudit(parts.state.audit).get(request)
        except NotFoundError:
            record = None
        if record is None or not record.versions:
            raise
    tasks = {name: settings.task for name, settings in parts.settings.components.items()}
    named = [version_name(one) for one in record.versions]
    component, candidate, version = next((one for one in named if tasks.get(one[0]) == "answer"), named[0])
    return RequestTrace(
        id=record.trace_id,
        at=record.at,
        component=component,
        candidate=candidate,
        version=version,
        release=record.release,
        generation=record.generation,
        dataset=parts.registry.get(component, candidate, version).dataset,
        text=record.text,
    )


def version_name(written: str) -> tuple[str, str, int]:
    """Component, candidate and version of `COMPONENT/CANDIDATE@VERSION`.

    >>> version_name("intent/linear@3")
    ('intent', 'linear', 3)
    """
    component, _, rest = written.partition("/")
    candidate, _, number = rest.rpartition("@")
    return component, candidate, int(number)
