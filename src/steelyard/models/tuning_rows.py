"""Rows for hosted fine-tuning: the provider's file, and everything that is wrong with it before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from steelyard.schema.errors import DataError
from steelyard.schema.findings import Finding
from steelyard.schema.tuning import ChatPair

FEWEST_ROWS = 10
"""Providers refuse files with fewer."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE = re.compile(r"\bline (\d+)", re.IGNORECASE)


def tuning_file(pairs: Sequence[ChatPair]) -> bytes:
    """The rows as JSON Lines in the chat form that providers take; the same rows give the same bytes."""
    lines = []
    for pair in pairs:
        turns = [*(message.to_json() for message in pair.messages), {"role": "assistant", "content": pair.completion}]
        lines.append(json.dumps({"messages": turns}, ensure_ascii=False))
    return "".join(line + "\n" for line in lines).encode()


def check_rows(pairs: Sequence[ChatPair], *, file: str | None, longest: int, count: Callable[[ChatPair], int]) -> None:
    """Nothing, when a provider will take the rows.

    Raises:
        DataError: with every problem of every row: nothing to say, nothing asked, control characters, too many tokens; or too few rows.
    """
    findings = [finding for pair in pairs for finding in _problems(pair, file, longest, count)]
    if len(pairs) < FEWEST_ROWS:
        findings.append(
            Finding(
                code="tuning.too_few",
                severity="error",
                message=f"{len(pairs)} rows are too few for hosted tuning; providers take {FEWEST_ROWS} and more.",
                remedy="Add rows.",
                file=file,
            )
        )
    if findings:
        raise _invalid(findings, file)


def refused_rows(pairs: Sequence[ChatPair], words: str, file: str | None) -> DataError | None:
    """The provider's words about lines of the uploaded file as findings on rows of the team's own; None where they name no line."""
    lines = [int(number) for number in _LINE.findall(words)]
    found = [
        Finding(
            code="tuning.refused_row",
            severity="error",
            message=f"the provider refused it: {words}",
            remedy="Correct the row, or take it out.",
            file=file,
            row=pairs[line - 1].row or None,
        )
        for line in dict.fromkeys(lines)
        if 1 <= line <= len(pairs)
    ]
    return _invalid(found, file) if found else None


def _problems(pair: ChatPair, file: str | None, longest: int, count: Callable[[ChatPair], int]) -> list[Finding]:
    texts = [message.content for message in pair.messages]
    problems = []
    if not pair.completion.strip():
        problems.append(
            ("tuning.no_completion", "there is nothing to learn to say.", "Give the row an answer, reply or label.")
        )
    if not any(message.role == "user" and message.content.strip() for message in pair.messages):
        problems.append(("tuning.no_prompt", "nobody asks anything.", "Give the row a text."))
    if any(_CONTROL.search(text) for text in (*texts, pair.completion)):
        problems.append(("tuning.control_characters", "it holds control characters.", "Take them out."))
    if (tokens := count(pair)) > longest:
        problems.append(
            (
                "tuning.too_long",
                f"it takes about {tokens:,} tokens; the provider cuts at {longest:,}.",
                "Shorten the row.",
            )
        )
    return [
        Finding(code=code, severity="error", message=message, remedy=remedy, file=file, row=pair.row or None)
        for code, message, remedy in problems
    ]


def _invalid(findings: Sequence[Finding], file: str | None) -> DataError:
    return DataError(
        f"{len(findings)} problem{'' if len(findings) == 1 else 's'} with the rows: {findings[0].line()}",
        findings=findings,
        where=file or "",
        remedy="Correct the rows; nothing was sent." if not _sent(findings) else "Correct the rows.",
        code="tuning.invalid",
    )


def _sent(findings: Sequence[Finding]) -> bool:
    return any(one.code == "tuning.refused_row" for one in findings)
