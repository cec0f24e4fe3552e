"""CSV and JSON Lines to raw rows, with every problem of the file at once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.schema.findings import Finding

CSV_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIXES = (".jsonl", ".ndjson")
MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_FIELD_CHARS = 1_000_000  # a longer cell is a quoting mistake that swallowed the rest of the file


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """One row: the line it starts on (from 1, as an editor shows it) and its values by column name, lower case."""

    row: int
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """The rows that could be read, the columns seen (CSV: the header; JSON Lines: all keys), and what was wrong."""

    rows: tuple[RawRow, ...]
    columns: tuple[str, ...]
    findings: tuple[Finding, ...]


def read_rows(path: Path, shown_as: str) -> RawFile:
    """Read a CSV, TSV or JSON Lines file; a damaged row costs only itself and becomes a finding.

    `shown_as` is the file's name in findings. Never raises for what is in the file; a missing file is a finding too.
    """
    suffix = path.suffix.lower()
    if suffix not in CSV_SUFFIXES + JSON_SUFFIXES:
        return _failed(
            "dataset.unknown_format",
            f"'{path.suffix or path.name}' is not a known file type.",
            "Use .csv, .tsv or .jsonl.",
            shown_as,
        )
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_FILE_BYTES else b""
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return _failed(
            "dataset.unreadable", f"the file cannot be read: {reason}.", "Check the path in steelyard.toml.", shown_as
        )
    if size > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // 1024**2
        return _failed(
            "dataset.too_large", f"the file is larger than {limit} MB.", "Split it, or sample its rows.", shown_as
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _failed("dataset.not_utf8", "the file is UTF-16.", "Save it as UTF-8.", shown_as)
    lines, findings = _decode(data, shown_as)
    tab = "\t" if suffix == ".tsv" else None
    parsed = _json_lines(lines, shown_as) if suffix in JSON_SUFFIXES else _csv(lines, tab, shown_as)
    ordered = sorted((*findings, *parsed.findings), key=lambda finding: finding.row or 0)
    return RawFile(rows=parsed.rows, columns=parsed.columns, findings=tuple(ordered))


def _failed(code: str, message: str, remedy: str, file: str) -> RawFile:
    finding = Finding(code=code, severity="error", message=message, remedy=remedy, file=file)
    return RawFile(rows=(), columns=(), findings=(finding,))


def _decode(data: bytes, file: str) -> tuple[list[str | None], list[Finding]]:
    """The lines with their ends; None where a line is not UTF-8."""
    findings: list[Finding] = []
    lines: list[str | None] = []
    # Only \n ends a line here, as in an editor; str.splitlines would also cut at U+2028 inside a JSON string.
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True), start=1):
        try:
            lines.append(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            lines.append(None)
            message = f"byte {raw[error.start]:#04x} at position {error.start + 1} of the line is not UTF-8."
            findings.append(_error("dataset.not_utf8", message, "Save the file as UTF-8.", file, number))
    return lines, findings


def _json_lines(lines: list[str | None], file: str) -> RawFile:
    rows: list[RawRow] = []
    findings: list[Finding] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        if line is None or not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            message = f"the line is not valid JSON: {reason}."
            findings.append(_error("dataset.bad_json", message, "Write one JSON object a line.", file, number))
            continue
        if not isinstance(value, dict):
            message = f"the line is a JSON {_kind(value)}, not an object."
            findings.append(_error("dataset.bad_json", message, "Write one JSON object a line.", file, number))
            continue
        if "\\ud" in line.lower() and not _is_whole(value):
            message = "the line holds half of a character (a lone \\ud8xx escape)."
            findings.append(_error("dataset.bad_json", message, "Write the whole character.", file, number))
            continue
        values = {str(key).strip().lower(): entry for key, entry in value.items()}
        columns.update(dict.fromkeys(values))
        rows.append(RawRow(row=number, values=values))
    return RawFile(rows=tuple(rows), columns=tuple(columns), findings=tuple(findings))


def _csv(lines: list[str | None], delimiter: str | None, file: str) -> RawFile:
    if not lines or lines[0] is None:
        return RawFile(rows=(), columns=(), findings=())
    # A line that is not UTF-8 becomes a blank one: the reader skips it and the row numbers stay right.
    text = "".join("\n" if line is None else line for line in lines)
    limit = csv.field_size_limit(MAX_FIELD_CHARS)
    try:
        return _csv_rows(text, delimiter or _delimiter(lines[0]), file)
    finally:
        csv.field_size_limit(limit)


def _csv_rows(text: str, delimiter: str, file: str) -> RawFile:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[RawRow] = []
    findings: list[Finding] = []
    columns: tuple[str, ...] = ()
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            message = f"the row cannot be read as CSV: {error}."
            remedy = (
                'Put text with commas or line breaks in double quotes, and write a double quote inside it twice ("").'
            )
            findings.append(_error("dataset.bad_csv", message, remedy, file, start))
            continue
        if not cells or not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = tuple(cell.strip().lower() for cell in cells)
            findings += _header_findings(columns, file, start)
        elif len(cells) > len(columns):
            message = f"the row has {len(cells)} cells, the header has {len(columns)}."
            findings.append(
                _error("dataset.extra_cells", message, "Put text with commas in double quotes.", file, start)
            )
        else:
            rows.append(RawRow(row=start, values=dict(zip(columns, cells, strict=False))))
    return RawFile(rows=tuple(rows), columns=columns, findings=tuple(findings))


def _header_findings(columns: tuple[str, ...], file: str, row: int) -> list[Finding]:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    return [
        _error("dataset.duplicate_column", f"the header names '{name}' twice.", "Rename or remove one.", file, row)
        for name in twice
    ]


def _delimiter(header: str) -> str:
    """Comma, unless the header has none and spreadsheets of other countries' separators are there."""
    if "," in header:
        return ","
    return max((";", "\t"), key=header.count) if any(sign in header for sign in ";\t") else ","


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_whole(value: Any) -> bool:
    """Whether the texts inside can be written as UTF-8: JSON escapes can name one half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _error(code: str, message: str, remedy: str, file: str, row: int) -> Finding:
    return Finding(code=code, severity="error", message=message, remedy=remedy, file=file, row=row)
