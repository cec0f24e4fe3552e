"""Writes a steelyard.toml around files that already exist."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from steelyard.config import FILE_NAME
from steelyard.schema.decision import Facts
from steelyard.schema.errors import UserError
from steelyard.schema.items import Task
from steelyard.workspace.paths import write_whole

TASK_FILES: Mapping[Task, tuple[str, str, str]] = {
    "classify": ("intent", "examples", "columns text,label"),
    "answer": ("answer", "questions", "question, answers[], source, groups[] in each line"),
    "write": ("reply", "examples", "input, output with {slots}, slots in each line"),
}
"""By task: the component's usual name, the setting that names its file, and what the file holds."""

BEHAVIOUR_TASKS: Mapping[str, Task] = {
    "facts": "answer",
    "mixed": "answer",
    "classification": "classify",
    "style": "write",
    "format": "write",
}


def write_settings(
    folder: Path,
    *,
    docs: Sequence[Path],
    examples: Path | None,
    questions: Path | None,
    replies: Path | None,
    allow: str,
    facts: Path | None = None,
) -> Path:
    """Write `folder`/steelyard.toml naming the given files, relative to it; returns its path. The files stay where they are.

    `facts` is a facts file of `steelyard decide`: its traffic and requirements become settings, and each of its components gets
    a table with the file that is still to be written, unless a file of that task was given.

    Raises:
        UserError: a file does not exist, or there is a steelyard.toml already.
        FactsError: the facts file is wrong.
    """
    for path in (*docs, *(one for one in (examples, questions, replies, facts) if one is not None)):
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
    known = _known(facts)
    files = {
        task: path for task, path in zip(TASK_FILES, (examples, questions, replies), strict=True) if path is not None
    }
    write_whole(target, _toml(folder, docs, files, allow, known))
    return target


def _known(path: Path | None) -> tuple[Facts, ...]:
    if path is None:
        return ()
    from steelyard.decision.facts import read_facts

    return read_facts(path).components


def _toml(folder: Path, docs: Sequence[Path], files: Mapping[Task, Path], allow: str, known: Sequence[Facts]) -> str:
    def named(path: Path) -> str:
        return _quoted(Path(os.path.relpath(path, folder)).as_posix())

    lines = ["# `steelyard config` shows every setting with its default.", "", "[workspace]"]
    lines += [f"name = {_quoted(folder.resolve().name)}"]
    for path in docs:
        lines += ["", "[[sources]]", f"path = {named(path)}", f"allow = [{_quoted(allow)}]"]
    for task, path in files.items():
        name, key, _ = TASK_FILES[task]
        lines += ["", f"[components.{name}]", f"task = {_quoted(task)}", f"{key} = {named(path)}"]
    for facts in known:
        task = BEHAVIOUR_TASKS.get(facts.behaviour or "facts", "answer")
        if task not in files:
            _, key, columns = TASK_FILES[task]
            file = f"{facts.name}.{'csv' if task == 'classify' else 'jsonl'}"
            lines += ["", f"[components.{_key(facts.name)}]", f"task = {_quoted(task)}"]
            lines += [f"{key} = {_quoted(file)}    # still to be written: {columns}"]
    lines += _requirements(known) if known else []
    if not known and "answer" in files:
        lines += ["", "[requirements]", "# citations = true", "# scoping = true", "# p95_ms = 800"]
    lines += ["", "[traffic]", *_traffic(known), "", "[economics]", f"horizon_months = {_horizon(known)}"]
    return "\n".join(lines) + "\n"


def _requirements(known: Sequence[Facts]) -> list[str]:
    wanted = {
        "citations": any(facts.needs_citations for facts in known),
        "audit": any(facts.needs_audit for facts in known),
        "scoping": any(facts.per_user_scoping for facts in known),
        "erasure": any(facts.needs_erasure for facts in known),
        "residency": any(facts.needs_residency for facts in known),
    }
    lines = [f"{name} = true" for name, is_wanted in wanted.items() if is_wanted]
    budgets = [facts.latency_budget_ms for facts in known if facts.latency_budget_ms is not None]
    if budgets:
        # One limit for all components: the widest is met by every component that meets its own.
        lines.append(f"p95_ms = {max(budgets):g}")
    return ["", "[requirements]", *lines] if lines else []


def _traffic(known: Sequence[Facts]) -> list[str]:
    queries = [facts.queries_per_month for facts in known if facts.queries_per_month is not None]
    updates = [
        facts.knowledge_update_per_year
        for facts in known
        if facts.knowledge_update_per_year is not None and BEHAVIOUR_TASKS.get(facts.behaviour or "facts") == "answer"
    ]
    lines = [f"queries_per_month = {max(queries):.0f}" if queries else "queries_per_month = 50_000"]
    return lines + ([f"updates_per_year = {max(updates):g}"] if updates else [])


def _horizon(known: Sequence[Facts]) -> int:
    return max((facts.horizon_months for facts in known if facts.horizon_months is not None), default=24)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
