"""Findings: problems in settings and data, each with its place and remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem: a stable code, where it stands, and what to do next.

    `row` counts from 1 as an editor shows the line; None when the finding concerns the whole file.
    """

    code: str
    severity: Severity
    message: str
    remedy: str
    file: str | None = None
    row: int | None = None
    field: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON: code, severity, file, row, field, message, remedy."""
        return asdict(self)

    def line(self) -> str:
        """The finding in one line for a terminal."""
        place = self.file or ""
        if self.row is not None:
            place += f" row {self.row}"
        if self.field:
            place += f" field {self.field}"
        return f"{self.severity}: {place + ': ' if place else ''}{self.message} {self.remedy} [{self.code}]"
