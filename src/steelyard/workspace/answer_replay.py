"""`audit show`: an answer asked again, of the versions and the generation that gave it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.chain import is_sealed
from steelyard.schema.audit import AnswerRecord, digest, question_hash
from steelyard.schema.errors import SteelyardError, UserError
from steelyard.schema.outputs import Request
from steelyard.schema.serving import InForce, Served
from steelyard.workspace.answer_trail import version_name

if TYPE_CHECKING:
    from steelyard.serving.pipeline import Pipeline
    from steelyard.workspace.running import Running


@dataclass(frozen=True, kw_only=True)
class Replay:
    """An answer's record, and what the same question gives now from the same versions and generation.

    `same_passages` and `same_answer` are None where it was not asked again; `why_not` says why. `missing` are passages of then that are
    not found now, each with the reason; `added` are those of now that were not found then. `sealed` says whether the record is
    what was sealed; whether the chain around it is whole, `audit verify` says.
    """

    number: int
    sealed: bool
    record: AnswerRecord
    same_passages: bool | None = None
    same_answer: bool | None = None
    why_not: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    added: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The replay as JSON."""
        missing = [{"passage": passage, "because": because} for passage, because in self.missing]
        return {**self.__dict__, "record": self.record.to_json(), "missing": missing, "added": list(self.added)}


def replay(running: Running, trace: str, question: str | None, *, again: bool = True) -> Replay:
    """The record of an answer, and the answer given again where the question is known: kept, or told in `question`.

    Passages are looked for under the access rules of now: what the asker may no longer see is not shown, and counted as missing.

    Raises:
        NotFoundError: there is no such answer.
        UserError: `question` is not what was asked.
    """
    entry, record = AnswersAudit(running.parts.state.audit).get(trace)
    if question is not None and question_hash(record.trace_id, question) != record.question:
        raise UserError(
            "this is not the question that was asked.",
            remedy="Give it letter by letter: its hash is all that was kept.",
            code="audit.other_question",
        )
    shown = Replay(number=entry.number, sealed=is_sealed(entry), record=record)
    asked = record.text if question is None else question
    if not again:
        return replace(shown, why_not="it was not wanted")
    if asked is None:
        return replace(shown, why_not="the question was not kept; give it with --question")
    if record.kind == "write":
        return replace(shown, why_not="a reply rests on the values of its slots, which are not kept")
    try:
        return _compared(running, shown, asked)
    except SteelyardError as error:
        return replace(shown, why_not=error.message.rstrip("."))


def _compared(running: Running, shown: Replay, asked: str) -> Replay:
    record = shown.record
    if record.generation:
        running.parts.toolbox.library.generation(record.generation)
    versions = tuple(version_name(one) for one in record.versions)
    wanted = InForce(release=record.release, generation=record.generation, versions=versions, pinned=True)
    pipeline = running.load(wanted)
    tries = list(_asked_again(pipeline, record, asked))
    now = next((one for one in tries if _passages(one) == record.passages), tries[0])
    found = _passages(now)
    missing = [(one, _because(running, one, record)) for one in record.passages if one not in found]
    return replace(
        shown,
        same_passages=found == record.passages,
        same_answer=digest(now.text) == record.answer and now.label == record.label,
        missing=tuple(missing),
        added=tuple(one for one in found if one not in record.passages),
    )


def _asked_again(pipeline: Pipeline, record: AnswerRecord, asked: str) -> Sequence[Served]:
    """The answer again; of a search, once for each way of searching, because the record does not say which was wanted."""
    at = None if record.as_of is None else datetime.fromisoformat(record.as_of)
    if record.kind == "classify":
        return [pipeline.route(asked)]
    if record.kind == "search":
        count = max(1, len(record.passages))
        return [pipeline.search(asked, record.scope, count, mode=mode) for mode in ("fused", "lexical", "dense")]
    if record.kind == "answer":
        return [pipeline.ask(asked, record.scope, at=at)]
    return [pipeline.respond(Request(text=asked, at=at), record.scope)]


def _passages(served: Served) -> tuple[str, ...]:
    found = tuple(passage for part in served.parts for passage in part.passages)
    return found or tuple(hit.passage.id for hit in served.hits)


def _because(running: Running, passage: str, record: AnswerRecord) -> str:
    """Why a passage of then is not found now."""
    library = running.parts.toolbox.library
    document, _, rest = passage.rpartition("@")
    version = rest.partition(":")[0]
    if any(
        one.document == document or (not one.document and one.version.startswith(version))
        for one in library.control.erasures()
    ):
        return "it was erased"
    held = [one for one in library.history(document) if one.version.startswith(version)]
    if not held:
        return "it is no longer kept"
    if not library.control.permits(document, held[-1].version, record.scope):
        return "the asker may no longer see it"
    return "it is not found any more"
