"""Feedback after review: what was said of an answer becomes a labelled row, never one of the holdout."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.versions import utc_now
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.feedback import Feedback
from steelyard.workspace.answer_trail import find_request
from steelyard.workspace.datasets import Datasets
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.schema.datasets import DatasetVersion
    from steelyard.workspace.parts import Parts

PART = "train"
"""Where accepted rows go: what people complain about is no random sample, so it must not measure anything."""

ORIGIN = "feedback"
"""The column that names the feedback a row came from."""


def accept(
    parts: Parts,
    number: int,
    *,
    component: str | None = None,
    label: str | None = None,
    answer: str | None = None,
    text: str | None = None,
) -> tuple[Feedback, DatasetVersion]:
    """Add a labelled row to the component's file, named for training, and keep the new version of the data.

    What the reviewer gives (component, label, answer, text) goes before what the feedback says. A router learns its label, an answer
    component the answer (its question unanswerable, where the verdict is about an answer that should not have been given and none is
    named), a writer the reply.

    Raises:
        NotFoundError: there is no such feedback or component.
        UserError: it was reviewed already, or what a row needs is not known.
        DataError: the component's file has errors; they are mended first.
    """
    held = parts.feedback.get(number)
    if held.state != "new":
        parts.feedback.settle(number, "accepted", at=utc_now(), reviewer=parts.registry.who)
    name = component or held.component or _component_of(parts, held, label or held.label, answer or held.answer)
    settings = parts.examples.component(name)
    question = text or held.question or _asked(parts, held.request)
    if question is None:
        raise UserError(
            f"what was asked is not kept, so feedback {number} cannot become a row.",
            remedy="Give it with --text; `keep_questions = true` under [releases] keeps questions from now on.",
            code="feedback.no_text",
        )
    row = _row(settings.task, question, label or held.label, answer or held.answer, held)
    groups = _groups(parts, held.request) if settings.task == "answer" else []
    row |= {"groups": groups} if groups else {}
    parts.examples.split(name)
    file = parts.folder / parts.examples.file_of(name)
    origin = f"{ORIGIN} {number}"
    if not re.search(rf"\b{origin}\b", file.read_text(encoding="utf-8-sig")):
        # There already, when a review was cut off between the row and its record.
        _append(file, {**row, "split": PART, ORIGIN: origin})
    (made, _) = Datasets(_fresh(parts)).commit(name, note=f"feedback {number} accepted")[0]
    settled = parts.feedback.settle(
        number, "accepted", at=utc_now(), reviewer=parts.registry.who, row={"component": name, **row}
    )
    return settled, made


def reject(parts: Parts, number: int) -> Feedback:
    """Put a piece of feedback aside.

    Raises:
        NotFoundError: there is no such feedback.
        UserError: it was reviewed already.
    """
    return parts.feedback.settle(number, "rejected", at=utc_now(), reviewer=parts.registry.who)


def _component_of(parts: Parts, held: Feedback, label: str | None, answer: str | None) -> str:
    """The component that the verdict must be about: the only one of the versions whose task takes what is given."""
    wanted = "classify" if label is not None and answer is None else "answer"
    named = [version.partition("/")[0] for version in held.versions]
    able = [
        name for name in named if name in parts.settings.components and parts.settings.components[name].task == wanted
    ]
    if len(set(able)) == 1:
        return able[0]
    raise NotFoundError(
        f"which component feedback {held.number} is about is not clear.",
        remedy=f"Name it with --component: {', '.join(named) or ', '.join(parts.settings.components)}.",
        code="feedback.which_component",
    )


def _asked(parts: Parts, request: str) -> str | None:
    try:
        return find_request(parts, request).text
    except NotFoundError:
        return None


def _groups(parts: Parts, request: str) -> list[str]:
    """The groups of who asked: a question is a row for askers who may see what they may see."""
    try:
        _, record = AnswersAudit(parts.state.audit).get(request)
    except NotFoundError:
        return []
    return list(record.groups)


def _row(task: str, question: str, label: str | None, answer: str | None, held: Feedback) -> dict[str, Any]:
    if task == "classify":
        if label is None:
            raise UserError(
                "a row for a router needs the right label.", remedy="Give it with --label.", code="feedback.no_label"
            )
        return {"text": question, "label": label}
    if task == "write":
        if answer is None:
            raise UserError(
                "a row for a writer needs the right reply.", remedy="Give it with --answer.", code="feedback.no_answer"
            )
        return {"input": question, "output": answer}
    if answer is None and held.verdict == "right":
        raise UserError(
            "a question that was answered right needs that answer.",
            remedy="Give it with --answer.",
            code="feedback.no_answer",
        )
    answers = [] if answer is None else [answer]
    return {"question": question, "answers": answers, "answerable": bool(answers)}


def _fresh(parts: Parts) -> Parts:
    """The same workspace with its files unread."""
    return type(parts)(parts.folder, parts.settings, parts.state)


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV, TSV or JSON Lines file, the columns it lacks too; the file is replaced at once."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() not in (".csv", ".tsv"):
        end = "" if not text or text.endswith("\n") else "\n"
        write_whole(path, f"{text}{end}{json.dumps(row, ensure_ascii=False)}\n")
        return
    first = text.partition("\n")[0]
    comma = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=comma))
    known = [cell.strip().lower() for cell in lines[0]]
    lines[0] += [name for name in row if name not in known]
    cells = {name: "|".join(value) if isinstance(value, list) else str(value) for name, value in row.items()}
    header = [cell.strip().lower() for cell in lines[0]]
    lines.append([cells.get(name, "") for name in header])
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=comma, lineterminator="\n")
    writer.writerows([*line, *[""] * (len(header) - len(line))] for line in lines if line)
    write_whole(path, out.getvalue())
