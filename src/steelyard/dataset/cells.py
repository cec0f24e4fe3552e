"""The fields of one row, read with their rules; what breaks one is noted, not raised."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, get_args

from steelyard.schema.errors import nearest
from steelyard.schema.findings import Finding, Severity
from steelyard.schema.items import NO_SLOTS, SplitName

MAX_TEXT_CHARS = 100_000  # far above any message or reply; longer means a whole document slipped into a cell
_TRUE = frozenset({"true", "yes", "1", "y"})
_FALSE = frozenset({"false", "no", "0", "n"})
_PARTS: Mapping[str, SplitName] = {name: name for name in get_args(SplitName)}
# What other tools call the parts. Named in the remedy, not accepted: `test` is a validation set to some and a holdout to others.
_ELSEWHERE = {"test": "holdout", "dev": "validation", "val": "validation", "valid": "validation", "training": "train"}
_SLOT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Cells:
    """Reads fields of one row by name; `findings` collects what is wrong. A wrong field reads as empty."""

    def __init__(self, values: Mapping[str, Any], *, file: str, row: int) -> None:
        self._values = values
        self._file = file
        self._row = row
        self.findings: list[Finding] = []

    def has(self, field: str) -> bool:
        """Whether the row says anything in `field`."""
        value = self._values.get(field)
        return value is not None and not (isinstance(value, str) and not value.strip())

    def text(self, field: str) -> str:
        """A text that must be there; surrounding white space is cut."""
        if not self.has(field):
            self.error("dataset.empty_field", field, f"'{field}' is empty.", "Fill it in, or remove the row.")
            return ""
        return self.optional(field) or ""

    def optional(self, field: str) -> str | None:
        """A text, or None when the row has none."""
        if not self.has(field):
            return None
        value = self._values[field]
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            self.error("dataset.wrong_type", field, f"'{field}' is not a text.", "Write it as a JSON string.")
            return None
        if len(value) > MAX_TEXT_CHARS:
            message = f"'{field}' has {len(value):,} characters; the limit is {MAX_TEXT_CHARS:,}."
            self.error("dataset.text_too_long", field, message, "Shorten it; documents belong in a source.")
            return None
        return value.strip()

    def name(self) -> str:
        """The row's id, "" when it has none."""
        return self.optional("id") or ""

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts without blanks and repeats: a JSON list, or one string with `|` between values."""
        if not self.has(field):
            return ()
        value = self._values[field]
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError:
                # An answer may well begin with a bracket; it is then a text like any other.
                value = [value]
        elif isinstance(value, str):
            value = value.split("|")
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = [value]
        if not isinstance(value, list) or any(
            isinstance(entry, bool | dict | list) or entry is None for entry in value
        ):
            self.error(
                "dataset.wrong_type", field, f"'{field}' is not a list of texts.", 'Write it as ["first", "second"].'
            )
            return ()
        return tuple(dict.fromkeys(text for text in (str(entry).strip() for entry in value) if text))

    def flag(self, field: str) -> bool | None:
        """True or false; None when the row does not say."""
        if not self.has(field):
            return None
        word = str(self._values[field]).strip().lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        self.error("dataset.not_a_flag", field, f"'{field}' is '{word[:40]}'.", "Write true or false.")
        return None

    def split(self) -> SplitName | None:
        """The part of the dataset that the row is put in; None when it is to be drawn."""
        text = self.optional("split")
        if text is None:
            return None
        word = text.lower()
        if word not in _PARTS:
            near = [_ELSEWHERE[word]] if word in _ELSEWHERE else nearest(word, list(_PARTS))
            hint = f"Did you mean '{near[0]}'? " if near else ""
            message = f"'{text[:40]}' is no part of a dataset."
            self.error(
                "dataset.unknown_split", "split", message, f"{hint}Write {', '.join(_PARTS)}, or leave it empty."
            )
            return None
        return _PARTS[word]

    def slots(self) -> Mapping[str, str]:
        """Slot values by name, as texts."""
        if not self.has("slots"):
            return NO_SLOTS
        value = self._values["slots"]
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, dict):
            self.error("dataset.bad_slots", "slots", "'slots' is not a JSON object.", 'Write it as {"name": "value"}.')
            return NO_SLOTS
        slots: dict[str, str] = {}
        for name, entry in value.items():
            if not _SLOT_NAME.match(name):
                message = f"'{name}' cannot be the name of a slot."
                self.error("dataset.slot_name", "slots", message, "Use letters, digits and _, and begin with a letter.")
            elif isinstance(entry, dict | list | bool) or entry is None:
                self.error(
                    "dataset.bad_slots", "slots", f"the value of '{name}' is not a text.", "Write it as a string."
                )
            else:
                slots[name] = str(entry)
        return MappingProxyType(slots)

    def period(self) -> tuple[datetime | None, datetime | None]:
        """`valid_from` and `valid_to`, UTC; the row holds from the first instant up to, not at, the second."""
        begin, end = self.date("valid_from"), self.date("valid_to")
        if begin and end and end <= begin:
            message = f"valid_to ({end:%Y-%m-%d}) is not after valid_from ({begin:%Y-%m-%d})."
            self.error("dataset.invalid_period", "valid_to", message, "Swap or correct the two dates.")
        return begin, end

    def date(self, field: str) -> datetime | None:
        """An ISO 8601 date or time in UTC; a date is its first instant, a time without a zone is UTC."""
        text = self.optional(field)
        if text is None:
            return None
        try:
            when = datetime.fromisoformat(text)
            return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        except (ValueError, OverflowError):
            self.error("dataset.invalid_date", field, f"'{text[:40]}' is not a date.", "Write it as 2026-03-31.")
            return None

    def error(self, code: str, field: str, message: str, remedy: str) -> None:
        """Note what makes the row unusable."""
        self._note(code, "error", field, message, remedy)

    def warn(self, code: str, field: str, message: str, remedy: str) -> None:
        """Note what is suspicious; the row is used."""
        self._note(code, "warning", field, message, remedy)

    def _note(self, code: str, severity: Severity, field: str, message: str, remedy: str) -> None:
        finding = Finding(
            code=code, severity=severity, message=message, remedy=remedy, file=self._file, row=self._row, field=field
        )
        self.findings.append(finding)
