"""Writes a steelyard.toml around files that already exist."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from steelyard.config import FILE_NAME
from steelyard.schema.errors import UserError
from steelyard.workspace.paths import write_whole


def write_settings(
    folder: Path,
    *,
    docs: Sequence[Path],
    examples: Path | None,
    questions: Path | None,
    replies: Path | None,
    allow: str,
) -> Path:
    """Write `folder`/steelyard.toml naming the given files, relative to it; returns its path. The files stay where they are.

    Raises:
        UserError: a file does not exist, or there is a steelyard.toml already.
    """
    for path in (*docs, *(one for one in (examples, questions, replies) if one is not None)):
        if not path.exists():
            raise UserError(
                "the path does not exist.", where=str(path), remedy="Correct the path.", code="init.no_such_path"
            )
    target = folder / FILE_NAME
    if target.exists():
        raise UserError(
            "there is a workspace already.",
            where=str(target),
            remedy="Edit that file, or name another folder.",
            code="init.exists",
        )
    write_whole(target, _toml(folder, docs, examples, questions, replies, allow))
    return target


def _toml(
    folder: Path, docs: Sequence[Path], examples: Path | None, questions: Path | None, replies: Path | None, allow: str
) -> str:
    def named(path: Path) -> str:
        return _quoted(Path(os.path.relpath(path, folder)).as_posix())

    lines = ["# `steelyard config` shows every setting with its default.", "", "[workspace]"]
    lines += [f"name = {_quoted(folder.resolve().name)}"]
    for path in docs:
        lines += ["", "[[sources]]", f"path = {named(path)}", f"allow = [{_quoted(allow)}]"]
    if examples is not None:
        lines += ["", "[components.intent]", 'task = "classify"', f"examples = {named(examples)}"]
    if questions is not None:
        lines += ["", "[components.answer]", 'task = "answer"', f"questions = {named(questions)}"]
    if replies is not None:
        lines += ["", "[components.reply]", 'task = "write"', f"examples = {named(replies)}"]
    if questions is not None:
        lines += ["", "[requirements]", "# citations = true", "# scoping = true", "# p95_ms = 800"]
    lines += ["", "[traffic]", "queries_per_month = 50_000", "", "[economics]", "horizon_months = 24"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
