"""Change logs: one JSON line a change, with date, operation, path and the whole new text."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TextIO, cast

from steelyard.corpus.history import blob_id
from steelyard.schema.errors import DataError
from steelyard.schema.findings import Finding
from steelyard.schema.history import Change

ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
OPERATIONS = ("add", "modify", "delete", "rename")
MOST_FINDINGS = 50
"""Problems told of one file: past this many the file as a whole is wrong."""


def is_change_log(path: Path) -> bool:
    """Whether the name is a change log's."""
    return path.name.lower().endswith(ENDINGS)


def read_change_log(path: Path) -> tuple[list[Change], dict[str, bytes]]:
    """The changes of a log in file order, and the bytes they name by key (equal texts once).

    A row is `{"date", "op", "path", "text"}`: ISO date or time (UTC where it names no zone); op add, modify, delete or rename; text
    the whole new text (null for delete); `from` the old path of a rename. More fields are ignored.

    Raises:
        DataError: rows are wrong; the error carries all of them (at most 50), each with its row and field.
    """
    changes: list[Change] = []
    texts: dict[str, bytes] = {}
    findings: list[Finding] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or len(findings) >= MOST_FINDINGS:
            continue
        row, problems = _row(line)
        findings += [_finding(path, number, *problem) for problem in problems]
        if row is None or problems:
            continue
        key = None
        if row["op"] != "delete":
            content = row["text"].encode()
            key = blob_id(content)
            texts[key] = content
        changes.append(Change(at=_moment(row["date"]), path=row["path"], key=key, before=row.get("from")))
    if findings:
        raise DataError(
            f"the change log has {len(findings)} problem{'s' * (len(findings) > 1)}: {findings[0].line()}",
            findings=findings,
            where=str(path),
            remedy="Correct the rows named.",
            code="history.change_log",
        )
    return changes, texts


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with cast(TextIO, opener(path, "rt", encoding="utf-8")) as lines:
        try:
            yield from lines
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
            raise DataError(
                f"the change log cannot be read to its end: {error}.",
                findings=(),
                where=str(path),
                remedy="Write it again as UTF-8 (gzipped where the name ends in .gz).",
                code="history.change_log",
            ) from error


Problem = tuple[str, str, str]
"""Field, message, remedy."""


def _row(line: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    try:
        row = json.loads(line)
    except ValueError as error:
        return None, [("", f"not JSON: {error}.", "Write one JSON object a line.")]
    if not isinstance(row, dict):
        return None, [("", "not an object.", "Write one JSON object a line.")]
    problems: list[Problem] = []
    if not isinstance(row.get("date"), str) or not _is_moment(row["date"]):
        problems.append(
            ("date", f"{row.get('date')!r} is no date.", "Write it like 2026-01-31 or 2026-01-31T12:00:00Z.")
        )
    if row.get("op") not in OPERATIONS:
        problems.append(("op", f"{row.get('op')!r} is no operation.", f"Write one of: {', '.join(OPERATIONS)}."))
    named = ("path", "from") if row.get("op") == "rename" else ("path",)
    problems += [
        (name, f"{row.get(name)!r} is no path inside the source.", "Write a relative path without '..'.")
        for name in named
        if not _is_path(row.get(name))
    ]
    if row.get("op") in ("add", "modify", "rename") and not isinstance(row.get("text"), str):
        problems.append(("text", "the text is missing.", "Give the whole new text of the document."))
    return row, problems


def _is_path(value: Any) -> bool:
    if not isinstance(value, str) or not value or "\\" in value or "\0" in value:
        return False
    pure = PurePosixPath(value)
    return not pure.is_absolute() and ".." not in pure.parts


def _is_moment(text: str) -> bool:
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _finding(path: Path, row: int, field: str, message: str, remedy: str) -> Finding:
    return Finding(
        code="history.change_log",
        severity="error",
        message=message,
        remedy=remedy,
        file=path.name,
        row=row,
        field=field or None,
    )
