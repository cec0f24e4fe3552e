"""The documents' history: dated commits, replayed from the initial files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from steelyard.schema.errors import BrokenError

START = date(2024, 11, 4)
"""The day the initial files were written."""

Files = dict[str, bytes]
"""Path in the workspace to content."""

Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One dated state of the documents; `files` is the whole state after it."""

    when: datetime
    author: str
    message: str
    files: Mapping[str, bytes]


def commits(data: Path) -> Iterator[Commit]:
    """The initial state and every commit after it, in date order.

    Raises:
        BrokenError: the packaged history does not replay (a text to be replaced is not there exactly once).
    """
    files: Files = {
        path.relative_to(data / "base").as_posix(): path.read_bytes()
        for path in sorted((data / "base").rglob("*"))
        if path.is_file()
    }
    yield Commit(when=_noon(START), author=_AUTHOR, message="Move the help pages into git", files=dict(files))
    for entry in _entries(data):
        _apply(files, entry, data)
        yield Commit(
            when=_noon(_day(entry)), author=entry.get("author", _AUTHOR), message=entry["message"], files=dict(files)
        )


_AUTHOR = "Maren Oake <maren@larkfield.example>"


def _entries(data: Path) -> list[Entry]:
    found: list[Entry] = []
    for path in sorted(data.glob("history-*.toml")):
        found += tomllib.loads(path.read_text(encoding="utf-8"))["commit"]
    return sorted(found, key=_day)


def _day(entry: Entry) -> date:
    day = entry["date"]
    return day if isinstance(day, date) else date.fromisoformat(day)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(9, 30), tzinfo=UTC)


def _apply(files: Files, entry: Entry, data: Path) -> None:
    for rename in entry.get("rename", []):
        files[rename["to"]] = files.pop(rename["path"])
    for edit in entry.get("edit", []):
        text = files[edit["path"]].decode("utf-8")
        if text.count(edit["find"]) != 1:
            raise BrokenError(
                f"the text {edit['find'][:60]!r} stands {text.count(edit['find'])} times in {edit['path']}.",
                where=f"example history, {entry['date']}",
                remedy="The package is damaged: install it again.",
                code="example.history",
            )
        files[edit["path"]] = text.replace(edit["find"], edit["replace"]).encode("utf-8")
    for added in entry.get("add", []):
        files[added["path"]] = (data / "added" / added["from"]).read_bytes()
    for deleted in entry.get("delete", []):
        del files[deleted["path"]]
